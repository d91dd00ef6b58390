"""What is trained: a candidate, and the job of training it from one seed."""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

StopOn = Literal["all", "half"]
Stopping = Literal[StopOn, "never"]


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
    extra: tuple[tuple[str, Any], ...] = ()  # further settings of its family, none at its default

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
        return digest_of(self.as_dict())[:16]

    @property
    def label(self) -> str:
        """The layers as people write them: '16-16', or 'linear' without a hidden layer."""
        return "-".join(map(str, self.units)) or "linear"

    def setting(self, name: str, default: Any) -> Any:
        """The value of any setting of its family, which knows the default."""
        return getattr(self, name, dict(self.extra).get(name, default))

    def as_dict(self) -> dict[str, Any]:
        """The mapping that keys are made of: a setting that is added joins only off its default."""
        return {
            "units": list(self.units),
            "l1": self.l1,
            "l2": self.l2,
            "dropout": self.dropout,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
        } | dict(self.extra)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        flat = {name: given for name, given in value.items() if name != "extra"}
        own = {field.name: flat.pop(field.name) for field in fields(cls) if field.name in flat}
        extra = flat | dict(value.get("extra", ()))
        return cls(**(own | {"units": tuple(own["units"]), "extra": tuple(sorted(extra.items()))}))


@dataclass(frozen=True, slots=True)
class Job:
    """What an engine is asked to do: train one candidate, from one seed, for so many epochs.

    `seed` makes the initial weights and dropout masks, `shuffle_seed` the order of the rows in
    every epoch. Jobs with the same replicate share their order, so that an engine may train them
    side by side on the same batches. `stop_on` says which validation rows stop training: with
    "half", one half of them does, and the losses of the outcome are those of the other half; with
    "never" all epochs are trained, and the last one counts as the best.
    `engine` and `data` name what trains and the rows it trains on, so that outcomes of two kinds
    never mix.
    """

    candidate: Candidate
    seed: int
    shuffle_seed: int
    epochs: int
    patience: int
    stop_on: Stopping = "all"
    engine: str = ""
    data: str = ""

    @property
    def key(self) -> str:
        """Equal jobs have equal outcomes, so an outcome is stored under this key."""
        added = {
            "stop_on": (self.stop_on, "all"),
            "engine": (self.engine, ""),
            "data": (self.data, ""),
        }
        return digest_of(
            {
                "candidate": self.candidate.as_dict(),
                "seed": self.seed,
                "order": self.shuffle_seed,
                "epochs": self.epochs,
                "patience": self.patience,
            }
            | {name: value for name, (value, default) in added.items() if value != default}
        )[:24]

    @classmethod
    def of(cls, candidate: Candidate, *, study_seed: int, replicate: int, **more: Any) -> Self:
        """Both seeds come from (study seed, candidate, replicate) alone: not from any worker.

        `more`: epochs, patience, and what has a default.
        """
        seed, order = _seed([study_seed, candidate.key, replicate]), _seed([study_seed, replicate])
        return cls(candidate, seed, order, **more)

    def longer(self, epochs: int) -> Self:
        """The same job with more epochs; the first ones repeat exactly."""
        return replace(self, epochs=epochs)


def _seed(parts: list[Any]) -> int:
    return int(digest_of(parts)[:8], 16) & 0x7FFFFFFF
