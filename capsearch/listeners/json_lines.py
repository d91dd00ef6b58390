"""What a collector of logs reads: one JSON object a line on stderr."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from capsearch.listeners.progress import Progress

if TYPE_CHECKING:
    from capsearch.records import Trial
    from capsearch.run import StudyResult


class JsonLines:
    """A listener for batch jobs. Each line has time, level, study, event, and what it tells."""

    def __init__(self, study: str) -> None:
        self._study, self._progress = study, Progress()
        self._write("phase", phase="starting", trainings=0, done=0)

    def phase(self, name: str, total: int = 0, done: int = 0) -> None:
        self._progress = Progress(name, total, done)
        self._write("phase", phase=name, trainings=total, done=done)

    def trial(self, trial: "Trial") -> None:
        self._progress.add(trial, time.monotonic())
        complete = trial.outcome is not None and trial.outcome.complete
        self._write(
            "trial",
            "info" if complete else "warning",
            phase=self._progress.phase,
            done=self._progress.done,
            trainings=self._progress.total,
            trial=trial.id,
            units=list(trial.candidate.units),
            parameters=trial.parameters,
            val_loss=trial.outcome.val_loss if trial.outcome and complete else None,
            reason=trial.outcome.reason if trial.outcome else None,
        )

    def note(self, message: str) -> None:
        self._write("note", message=message)

    def warn(self, message: str) -> None:
        self._write("warning", "warning", message=message)

    def result(self, result: "StudyResult") -> None:
        reason, report = result.document["selected"]["reason"], result.document["report"]
        model = (result.document.get("model") or {}).get("path")
        self._write("result", worked=result.worked, reason=reason, report=report, model=model)

    def failed(self, message: str, exit_code: int) -> None:
        said = self._progress.last_word(message, exit_code)
        self._write("failed", "error", message=said, exit_code=exit_code)

    def _write(self, event: str, level: str = "info", **more: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "study": self._study, "event": event} | more
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
