"""What is shown of a study in MLflow: a projection of its storage, never its source."""

from collections.abc import Callable
from pathlib import Path

from capsearch import credentials
from capsearch.errors import BadRequest
from capsearch.tracking.background import BackgroundTracker
from capsearch.tracking.base import Tracker, Warn, ui_command

__all__ = ["Tracker", "open_tracker", "ui_command"]

KINDS = ("sqlite", "postgresql", "mysql", "http", "https")


def open_tracker(
    uri: str, root: Path, warn: Warn, may: Callable[[], bool] = lambda: True
) -> Tracker:
    """MLflow at `uri`, in the background; a SQLite store has its artifacts in `root`/artifacts.

    Trials are written only while the process `may`.

    Raises BadRequest for an address that MLflow cannot use.
    """
    kind, mark, _ = uri.partition("://")
    if not mark or kind.partition("+")[0] not in KINDS:
        raise BadRequest(
            f"--tracking-uri {credentials.shown(uri)}: MLflow cannot use this address. Legal: "
            "sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE, http://HOST:PORT"
        )

    def make() -> Tracker:
        from capsearch.tracking.mlflow import MlflowTracker  # importing MLflow takes seconds

        return MlflowTracker(uri, root, warn)

    return BackgroundTracker(make, may)
