"""What a collector of logs reads: one JSON object a line on stderr, in the words of the display."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

from capsearch.records import Trial


class JsonLog:
    """A watcher for batch jobs. Each line has time, level, study, event, and what belongs to it."""

    def __init__(self, study: str) -> None:
        self._study, self._phase, self._done, self._total = study, "starting", 0, 0

    def phase(self, name: str, total: int = 0, done: int = 0) -> None:
        self._phase, self._done, self._total = name, done, total
        self._write("phase", phase=name, trainings=total)

    def trial(self, trial: Trial) -> None:
        self._done += 1
        outcome = trial.outcome
        self._write(
            "trial",
            "info" if outcome and outcome.complete else "warning",
            phase=self._phase,
            done=self._done,
            trainings=self._total,
            trial=trial.id,
            units=list(trial.candidate.units),
            parameters=trial.parameters,
            val_loss=outcome.val_loss if outcome and outcome.complete else None,
            reason=outcome.reason if outcome else None,
        )

    def warn(self, message: str) -> None:
        self._write("warning", "warning", message=message)

    def note(self, message: str) -> None:
        self._write("note", message=message)

    def result(self, result: Any) -> None:
        record, document, worked = result.record, result.document, result.worked
        self._write("result", worked=worked, reason=record.choice.reason, report=document["report"])

    def failed(self, message: str, code: int) -> None:
        self._write("failed", "error", message=message, exit_code=code)

    def _write(self, event: str, level: str = "info", **more: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "study": self._study, "event": event} | more
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
