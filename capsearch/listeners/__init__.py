"""Whoever listens to a study while it runs: the terminal, a log of JSON lines, or nobody."""

from capsearch.listeners.base import Listener, Silent

__all__ = ["Listener", "Silent"]
