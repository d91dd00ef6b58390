"""A deadline, and what has to be kept of the time before it. Pure but for the clock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from capsearch.errors import Interrupted
from capsearch.records import Trial

FINAL = 30.0  # seconds kept for the sealed test and the report


@dataclass
class Deadline:
    """So many `seconds` from now; `inf` for none."""

    seconds: float = inf
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.began + self.seconds - time.monotonic()

    def check(self) -> None:
        """Raise Interrupted when it is over."""
        if self.left <= 0.0:
            raise Interrupted(
                f"the deadline of {self.seconds:.0f} s is over; the same command goes on where "
                "this one ended"
            )


@dataclass
class Pace:
    """How fast this run trains, all of its workers together."""

    began: float = field(default_factory=time.monotonic)

    def needed(
        self, trained: int, open_: int, trials: Sequence[Trial], replicates: Sequence[Trial]
    ) -> float:
        """Seconds for what is open, for the replicates, and for the end.

        A replicate is taken to last as the trial of its candidate did, in proportion to the mean.
        By hand: 10 s for 5 trainings so far, 2 open, 3 replicates of a candidate that took twice
        the mean: (2 + 3 * 2) * 2 s + 30 s = 46 s.
        """
        if not trained:
            return FINAL
        took = {t.candidate: t.outcome.seconds for t in trials if t.outcome}
        mean = sum(took.values()) / max(len(took), 1) or 1.0
        share = sum(took.get(t.candidate, mean) for t in replicates) / mean
        each = (time.monotonic() - self.began) / trained
        return each * (open_ + share) + FINAL
