"""What has to be kept of the time before a deadline. Pure but for the clock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from capsearch.records import Trial

FINAL = 30.0  # seconds kept for the sealed test and the report


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
