"""The contract of a tracker.

A tracker that is away, refuses or is not installed costs nothing but a warning: training never
waits for it, and what is missing is written when it answers again, in this run or a later one.
Everything is written once, however often it is handed over, because it is looked for first.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from capsearch.records import Study, StudyRecord, Tracking, Trial

Warn = Callable[[str], None]
May = Callable[[], bool]  # whether this process may still write


def always() -> bool:
    """For a writer that nobody can replace."""
    return True


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
        """Write the result, the report and the model of a complete study.

        Args:
            record: The complete study.
            report: The page.
            figures: The images that stand beside it.
            model: The folder of the chosen model in MLflow's form; may be absent.

        Returns where the study is, or None when it could not be written: people have heard why.
        """
        ...

    def close(self) -> None:
        """Leave an unfinished study's run marked as stopped, not as running."""
        ...
