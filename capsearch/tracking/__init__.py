"""What is shown of a study in MLflow: a projection of its storage, never its source."""

from pathlib import Path

from capsearch.tracking.background import BackgroundTracker
from capsearch.tracking.base import May, Tracker, Warn, always
from capsearch.tracking.mlflow import MlflowTracker
from capsearch.tracking.store import check_address

__all__ = ["Tracker", "check_address", "open_tracker"]


def open_tracker(uri: str, root: Path, warn: Warn, may: May = always) -> Tracker:
    """MLflow at `uri`, written in the background; nothing but its address can stop a study.

    Args:
        uri: A server of MLflow's, or a database of its.
        root: A SQLite store has its artifacts in `root`/artifacts.
        warn: Told once when MLflow is away or refuses, and once when it has all of it again.
        may: Whether this process still drives the study. Asked before each call to MLflow, in
            another thread; when it answers no, or fails, nothing is written.

    Raises BadRequest for an address that MLflow can never use.
    """
    check_address(uri)
    return BackgroundTracker(lambda allowed: MlflowTracker(uri, root, warn, allowed), may)
