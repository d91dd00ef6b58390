"""Whoever watches a study: the terminal, a log of JSON lines, or nobody."""
