"""What training produced: a curve, an outcome, and the trial that both belong to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from capsearch.records.candidate import Candidate, Job

Group = Literal["baseline", "search", "race", "replicate"]
FailureKind = Literal["diverged", "timeout", "memory", "crash", "lost"]
KINDS: Mapping[FailureKind, str] = {
    "diverged": "diverged: loss became NaN or infinite",
    "timeout": "timed out",
    "memory": "out of memory",
    "crash": "crashed",
    "lost": "lost with its worker",
}
"""How a training fails, as people read it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean data loss (no penalties) and a second figure per epoch, on training and validation rows.

    The second figure is accuracy (of labels, where a row has several); of a regression it is the
    RMSE, in the target's own unit, and the series of accuracy are empty. Training figures are the
    running means of the epoch, dropout active, as Keras reports them.
    """

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    val_loss: tuple[float, ...] = ()
    val_accuracy: tuple[float, ...] = ()
    rmse: tuple[float, ...] = ()
    val_rmse: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        train, validation = (
            (self.rmse, self.val_rmse) if self.rmse else (self.accuracy, self.val_accuracy)
        )
        if len({len(c) for c in (self.loss, train, self.val_loss, validation)}) != 1:
            raise ValueError("the four series of a curve must have the same length")
        if self.rmse and self.accuracy:
            raise ValueError("a curve has accuracy or RMSE, not both")

    def __len__(self) -> int:
        return len(self.val_loss)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training has no figures: its kind, and the whole of it in words."""

    kind: FailureKind
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended: a trained model's figures, or the failure instead of them."""

    __pydantic_config__: ClassVar = {"arbitrary_types_allowed": True}

    curve: Curve
    best_epoch: int = 0  # 1-based; 0 when failed
    val_loss: float = math.nan  # mean data loss of the best epoch per example, in its task's unit
    val_accuracy: float | None = math.nan  # None of a regression, which has `val_rmse`
    seconds: float = 0.0
    failure: Failure | None = None
    val_losses: np.ndarray | None = field(default=None, compare=False, repr=False)
    """Data loss per validation example at the best epoch, float32, shape (validation rows,)."""
    val_rmse: float | None = None  # in the target's own unit; of a regression alone

    def __post_init__(self) -> None:
        if self.failure is None:
            if not 1 <= self.best_epoch <= len(self.curve):
                raise ValueError(f"best epoch {self.best_epoch} is outside the curve")
            if not math.isfinite(self.val_loss):
                raise ValueError("a complete outcome needs a finite validation loss")

    @classmethod
    def failed(
        cls, kind: FailureKind, text: str = "", curve: Curve = Curve(), seconds: float = 0.0
    ) -> Self:
        """Without a `text`, that of the kind."""
        return cls(curve, seconds=seconds, failure=Failure(kind, text or KINDS[kind]))

    @property
    def complete(self) -> bool:
        return self.failure is None

    @property
    def figure(self) -> float:
        """What stands beside the loss: accuracy, or a regression's RMSE."""
        found = self.val_accuracy if self.val_rmse is None else self.val_rmse
        return math.nan if found is None else found

    @property
    def reason(self) -> str | None:
        """Why it failed, in words; None when complete."""
        return None if self.failure is None else self.failure.text

    def at_ceiling(self, epochs: int) -> bool:
        """True when the last epoch allowed was the best: more epochs could have helped."""
        return self.complete and self.best_epoch == len(self.curve) == epochs


@dataclass(frozen=True, slots=True)
class Trial:
    """A job with its position in the study, and its outcome once it has one."""

    id: str  # 'baseline/original', 'search/3/7' (rung 3, its 7th), 'replicate/3/2' ...
    group: Group
    rung: int
    name: str
    job: Job
    parameters: int
    outcome: Outcome | None = None
    draw: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """What the sampler drew, as JSON values: `search.rounds` writes and reads it."""
    starts: int = field(default=0, compare=False)  # of its training that were stored

    @property
    def candidate(self) -> Candidate:
        return self.job.candidate

    def ended(self, outcome: Outcome) -> Self:
        return replace(self, outcome=outcome)


def failures(trials: Sequence[Trial]) -> str:
    """Why trials failed, the most frequent kind first: '14 x diverged: ...; 1 x timed out'."""
    kinds = [t.outcome.failure.kind for t in trials if t.outcome and t.outcome.failure]
    counted = sorted({kind: kinds.count(kind) for kind in kinds}.items(), key=lambda k: -k[1])
    return "; ".join(f"{count} x {KINDS[kind]}" for kind, count in counted)
