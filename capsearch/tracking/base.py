"""The contract of a tracker, kept by MLflow's and by the one in memory.

A tracker that cannot be reached costs nothing but a warning: training never waits for it, and what
is missing is written when it answers again, in this run or the next. Everything is written once,
however often it is handed over, because it is looked for first.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from capsearch.records import Study, StudyRecord, Tracking, Trial

Warn = Callable[[str], None]


class Tracker(Protocol):
    """Where trials are logged."""

    @property
    def missing(self) -> int:
        """How many things have been handed over and are not written yet."""
        ...

    def begin(self, study: Study) -> None:
        """Open the study's own run, or find it."""
        ...

    def log(self, trial: Trial) -> None:
        """An ended trial, as a run below the study's; cheap when it is there already."""
        ...

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        """The result, the report and the model of a complete study. None while unreachable."""
        ...

    def close(self) -> None:
        """Leave an unfinished study's run marked as stopped, not as running."""
        ...


def ui_command(uri: str, root: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The MLflow UI over this store, on loopback: its command line, and what its environment adds.

    A store's address may hold a password, and a command line can be read by everybody.
    """
    artifacts = (root / "artifacts").absolute().as_uri()
    server = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    return [*server, "--default-artifact-root", artifacts], {"MLFLOW_BACKEND_STORE_URI": uri}
