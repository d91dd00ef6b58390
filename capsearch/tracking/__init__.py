"""What is shown of a study in MLflow: a projection of its storage, never its source."""

from pathlib import Path

from capsearch.tracking.background import BackgroundTracker
from capsearch.tracking.base import Tracker, Warn, ui_command

__all__ = ["Tracker", "open_tracker", "ui_command"]


def open_tracker(uri: str, root: Path, warn: Warn) -> Tracker:
    """MLflow at `uri`, in the background; a SQLite store has its artifacts in `root`/artifacts."""

    def make() -> Tracker:
        from capsearch.tracking.mlflow import MlflowTracker  # importing MLflow takes seconds

        return MlflowTracker(uri, root, warn)

    return BackgroundTracker(make)
