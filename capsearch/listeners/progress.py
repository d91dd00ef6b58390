"""How far a phase is: what every listener counts, and the last word when a command ends early."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capsearch.records import Trial

RESUMABLE = 3  # exit code of a study that stopped early; so are 128 and more, after a signal


@dataclass
class Progress:
    """One phase. Times are those of a monotonic clock, in seconds."""

    phase: str = "starting"
    total: int = 0
    stored: int = 0  # trainings that had ended before this start
    began: float = field(default_factory=time.monotonic)
    ends: list[float] = field(default_factory=list)  # of the trainings of this run, ...
    failed: int = 0  # ... how many of these failed, ...
    best: "Trial | None" = None  # ... the one of lowest loss, ...
    best_loss: float = float("inf")  # ... and its validation loss

    @property
    def done(self) -> int:
        return self.stored + len(self.ends)

    def add(self, trial: "Trial", now: float) -> None:
        """Count a training that ended."""
        self.ends.append(now)
        if trial.outcome is None or not trial.outcome.complete:
            self.failed += 1
        elif trial.outcome.val_loss < self.best_loss:
            self.best, self.best_loss = trial, trial.outcome.val_loss

    def left(self, now: float) -> float | None:
        """Seconds to the end of the phase. None while nothing is known of them, or for less than 1.

        From the later half of the time that trainings took so far: the first ones waited for
        libraries to load, and those of large networks come last. By hand: trainings ended after 4,
        6 and 8 s, 2 are left. Two ended in the last 4 s: 4 s are left, and a second later 3 s.
        """
        if not self.ends:
            return None
        last = self.ends[-1]
        half = (last - self.began) / 2
        recent = sum(end >= last - half for end in self.ends)
        left = half / recent * (self.total - self.done) - (now - last)
        return left if left >= 1.0 else None

    def last_word(self, message: str, exit_code: int) -> str:
        """The message of a command that ends; of one that can go on, with what is saved."""
        if exit_code == RESUMABLE and self.total:
            return f"{message.rstrip('.')}. {self._saved()[0].upper()}{self._saved()[1:]}."
        if exit_code < 128:
            return message
        return f"{message}: {self._saved()}. Run the same command to continue."

    def _saved(self) -> str:
        if self.phase in ("sealed test", "model", "report"):
            return f"all trainings saved, the {self.phase} is left"
        if not self.total:
            return "no training has started, nothing is lost"
        if self.phase in ("race", "replicates"):
            runs = "runs of the race" if self.phase == "race" else "fresh-seed runs"
            return f"the search and {self.done} of {self.total} {runs} saved"
        return f"{self.done} of {self.total} trials saved"
