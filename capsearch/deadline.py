"""When a run must be over. Pure but for the clock."""

import time
from dataclasses import dataclass, field
from math import inf

from capsearch.errors import Interrupted


@dataclass
class Deadline:
    """So many `seconds` from now; `inf` for none."""

    seconds: float = inf
    began: float = field(default_factory=time.monotonic)

    @property
    def bounded(self) -> bool:
        return self.seconds != inf

    @property
    def left(self) -> float:
        return self.began + self.seconds - time.monotonic()

    def check(self) -> None:
        """Raise Interrupted when it is over."""
        if self.left <= 0.0:
            raise Interrupted(
                f"the deadline of {self.seconds:.0f} s is over. Run the same command again to "
                "continue"
            )
