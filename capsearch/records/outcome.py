"""What training produced: a curve, an outcome, and the trial that both belong to."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from capsearch.records.candidate import Candidate, Job

Group = Literal["baseline", "search", "replicate"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean data loss (no penalties) and accuracy per epoch, on training and validation rows.

    Training figures are the running means of the epoch, dropout active, as Keras reports them.
    """

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    val_loss: tuple[float, ...] = ()
    val_accuracy: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(c) for c in (self.loss, self.accuracy, self.val_loss, self.val_accuracy)}
        if len(lengths) != 1:
            raise ValueError("the four series of a curve must have the same length")

    def __len__(self) -> int:
        return len(self.val_loss)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended: a trained model's figures, or the reason there are none."""

    curve: Curve
    best_epoch: int = 0  # 1-based; 0 when failed
    val_loss: float = math.nan  # mean data loss of the best epoch, in nats per example
    val_accuracy: float = math.nan
    seconds: float = 0.0
    reason: str | None = None  # why it failed; None when complete
    val_losses: np.ndarray | None = field(default=None, compare=False, repr=False)
    """Data loss per validation example at the best epoch, float32, shape (validation rows,)."""

    def __post_init__(self) -> None:
        if self.reason is None:
            if not 1 <= self.best_epoch <= len(self.curve):
                raise ValueError(f"best epoch {self.best_epoch} is outside the curve")
            if not math.isfinite(self.val_loss):
                raise ValueError("a complete outcome needs a finite validation loss")

    @classmethod
    def failed(cls, reason: str, curve: Curve = Curve(), seconds: float = 0.0) -> Self:
        return cls(curve, seconds=seconds, reason=reason)

    @property
    def complete(self) -> bool:
        return self.reason is None

    def at_ceiling(self, epochs: int) -> bool:
        """True when the last epoch allowed was the best: more epochs could have helped."""
        return self.complete and self.best_epoch == len(self.curve) == epochs

    def as_dict(self) -> dict[str, Any]:
        """Everything but the per-example losses, as JSON values (NaN becomes None)."""
        numbers = {
            "best_epoch": self.best_epoch,
            "val_loss": self.val_loss if self.complete else None,
            "val_accuracy": self.val_accuracy if self.complete else None,
            "seconds": self.seconds,
            "reason": self.reason,
        }
        series = {name: [_json(v) for v in s] for name, s in asdict(self.curve).items()}
        return numbers | {"curve": series}

    @classmethod
    def from_dict(cls, value: dict[str, Any], val_losses: np.ndarray | None = None) -> Self:
        curve = Curve(**{k: tuple(map(_number, s)) for k, s in value["curve"].items()})
        return cls(
            curve=curve,
            best_epoch=value["best_epoch"],
            val_loss=_number(value["val_loss"]),
            val_accuracy=_number(value["val_accuracy"]),
            seconds=value["seconds"],
            reason=value["reason"],
            val_losses=val_losses,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A job with its place in the study, and its outcome once it has one."""

    id: str  # 'baseline/original', 'search/3/7' (rung 3, its 7th), 'replicate/3/2' ...
    group: Group
    rung: int
    name: str
    job: Job
    parameters: int
    outcome: Outcome | None = None

    @property
    def candidate(self) -> Candidate:
        return self.job.candidate

    def ended(self, outcome: Outcome) -> Self:
        return replace(self, outcome=outcome)


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
