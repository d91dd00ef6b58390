"""The values that flow through a study. Frozen, checked at birth, and free of any library.

Nothing here knows Keras, Optuna or MLflow: a record can cross a process border, be stored as JSON
and be read back equal (`as_dict` and `from_dict` of the records that are stored).
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

Group = Literal["baseline", "search", "replicate"]


def digest_of(value: object) -> str:
    """SHA-256 (hex) of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One point of the space: what to build and how to train it. `units=()` is a linear model."""

    units: tuple[int, ...]
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    learning_rate: float = 1e-3
    batch_size: int = 512
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.units):
            raise ValueError(f"units must be at least 1 in every layer, not {self.units}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must lie in [0, 1), not {self.dropout}")
        if min(self.l1, self.l2) < 0.0 or self.learning_rate <= 0.0 or self.batch_size < 1:
            raise ValueError(f"impossible training settings: {self}")

    @property
    def key(self) -> str:
        """What tells this candidate from every other, the same on every machine."""
        return digest_of(asdict(self))[:16]

    @property
    def label(self) -> str:
        """The layers as people write them: '16-16', or 'linear' without a hidden layer."""
        return "-".join(map(str, self.units)) or "linear"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"units": list(self.units)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return cls(**(value | {"units": tuple(value["units"])}))


@dataclass(frozen=True, slots=True)
class Job:
    """What an engine is asked to do: train one candidate, from one seed, for so many epochs.

    `seed` makes the initial weights and the dropout masks, `order` the order of the rows in every
    epoch. Jobs with the same replicate share their order, so that an engine may train them side by
    side on the same batches.
    """

    candidate: Candidate
    seed: int
    order: int
    epochs: int
    patience: int

    @property
    def key(self) -> str:
        """Equal jobs have equal outcomes, so an outcome is stored under this key."""
        return digest_of(asdict(self))[:24]

    @classmethod
    def of(
        cls, candidate: Candidate, *, study_seed: int, replicate: int, epochs: int, patience: int
    ) -> Self:
        """Both seeds come from (study seed, candidate, replicate) alone: not from any worker."""
        seed = _seed([study_seed, candidate.key, replicate])
        return cls(candidate, seed, _seed([study_seed, replicate]), epochs, patience)

    def longer(self, epochs: int) -> Self:
        """The same job with more epochs; the first ones repeat exactly."""
        return replace(self, epochs=epochs)


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """A candidate's validation loss over its replicates: mean, standard error, how many."""

    candidate: Candidate
    parameters: int
    mean: float
    se: float
    replicates: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected candidate and why. `job` is the replicate that stands for it in the final."""

    selected: Estimate
    best: Estimate
    rule: str
    reason: str
    job: Job
    val_loss: float  # of `job`, as stored when it was a replicate

    @property
    def key(self) -> str:
        return self.job.key


@dataclass(frozen=True, slots=True)
class TestScore:
    """The one evaluation on test rows. Intervals are 95 %."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    loss: float
    loss_low: float
    loss_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    rows: int
    opened_at: str  # ISO 8601, UTC
    openings: int  # of this test split, by every study in the ledger


@dataclass(frozen=True, slots=True)
class DataProfile:
    """What is known of a data set without showing a row of it. Keys are 'train' ... 'test'."""

    source: str
    features: int
    sizes: dict[str, int]
    balance: dict[str, float]  # share of the positive class
    duplicates: dict[str, int]  # 'train/validation': rows of the second also found in the first
    fingerprints: dict[str, str]  # SHA-256 over a split's raw rows, whatever their order


@dataclass(frozen=True, slots=True)
class Study:
    """The question with its data: fixed before the first trial, the same on every machine."""

    name: str
    question: dict[str, Any]  # the study file, every default filled in
    data: DataProfile
    ladder: tuple[int, ...]  # rung r holds ladder[r] <= parameters < ladder[r + 1]

    @property
    def digest(self) -> str:
        return digest_of(self.question)

    @property
    def key(self) -> str:
        """Names the study in a storage: another question or other data is another study."""
        return f"{self.name}-{digest_of([self.question, self.data.fingerprints])[:12]}"


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where MLflow has the study."""

    uri: str
    experiment_id: str
    run_id: str
    model_version: str | None = None  # 'capsearch-imdb/1'


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as it stands in its storage: all that the terminal, report and JSON show."""

    study: Study
    trials: tuple[Trial, ...]  # baselines, then the search, in order
    replicates: tuple[Trial, ...]
    estimates: tuple[Estimate, ...]  # the finalists, smallest first
    choice: Choice
    verdicts: dict[str, Choice]  # what each rule would have chosen, by the rule's name
    test: TestScore
    seconds: float  # spent on the study, over every run of the command
    warnings: tuple[str, ...] = ()


def _seed(parts: list[Any]) -> int:
    return int(digest_of(parts)[:8], 16) & 0x7FFFFFFF


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
