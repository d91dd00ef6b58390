"""A tracker without a server: for tests, and the plainest reading of the contract."""

from collections.abc import Sequence
from pathlib import Path

from capsearch.records import Study, StudyRecord, Tracking, Trial


class MemoryTracker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.studies: list[Study] = []
        self.trials: dict[str, Trial] = {}
        self.finished: StudyRecord | None = None
        self.closed = False

    @property
    def missing(self) -> int:
        return 0

    def begin(self, study: Study) -> None:
        self.studies.append(study)

    def log(self, trial: Trial) -> None:
        self.trials.setdefault(trial.id, trial)

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self.finished = record
        return Tracking("memory:", "0", record.study.key)

    def close(self) -> None:
        self.closed = True
