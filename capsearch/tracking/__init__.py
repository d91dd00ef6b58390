"""What is shown of a study in MLflow: a projection of its storage, never its source."""

from capsearch.tracking.base import Tracker, open_tracker, ui_command

__all__ = ["Tracker", "open_tracker", "ui_command"]
