"""A setting of a network, described once: its name, what is legal, how it is drawn and shown.

Study file, search, checks, tables of results and MLflow ask a setting's `Dimension` for all that,
so a new setting is one more entry in its family's list. Nothing here needs Optuna or pydantic:
`Suggest` is what an Optuna trial offers.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import Any, Protocol

from capsearch.records import Candidate

NEAR = 0.02  # of a range, on the scale of its draws: nearer to an end than this is on the edge
STRICT: Any = {"extra": "forbid"}  # how pydantic reads these ranges from a study file


class Suggest(Protocol):
    """The part of `optuna.Trial` that a draw needs."""

    def suggest_int(self, name: str, low: int, high: int) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to `high`, both included. Drawn by the space, layer by layer."""

    __pydantic_config__ = STRICT

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)

    def values(self) -> dict[str, Any]:
        """What must be legal, each by what a message calls it."""
        return _ends(self.low, self.high)

    def on_edge(self, value: int) -> bool:
        """The high end alone: whether the space holds smaller networks is another question."""
        return self.low < self.high == value


@dataclass(frozen=True)
class Reals:
    """Numbers from `low` to `high`; with `off`, some draws are exactly zero."""

    __pydantic_config__ = STRICT

    low: float
    high: float
    log: bool = False
    off: bool = False

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.log and self.low <= 0.0:
            raise ValueError(f"low ({self.low:g}) must be above 0 on a log scale")

    def values(self) -> dict[str, Any]:
        return _ends(self.low, self.high) | ({"off": 0.0} if self.off else {})

    def draw(self, name: str, suggest: Suggest, off: float) -> float:
        """What can be off is drawn as a position, the first `off` of which is exactly zero.

        So the dimension that Optuna sees is the same, whatever share of the draws is off.
        """
        if not self.off:
            return suggest.suggest_float(name, self.low, self.high, log=self.log)
        position = suggest.suggest_float(f"{name}_position", 0.0, 1.0)
        if position < off:
            return 0.0
        value = between(self.low, self.high, (position - off) / (1.0 - off), self.log)
        return min(max(value, self.low), self.high)

    def on_edge(self, value: float) -> bool:
        """A low end at 0 or above "off" is no edge: nothing lies below it."""
        if value == 0.0 or self.low == self.high:
            return False
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = log(low), log(high), log(value)
        share = (at - low) / (high - low)
        at_low = share <= NEAR and not self.off and self.low != 0.0
        return at_low or share >= 1.0 - NEAR


class Choices(tuple[Any, ...]):
    """Values without an order, one of which is drawn."""

    __slots__ = ()

    def values(self) -> dict[str, Any]:
        if not self:
            raise ValueError("must list at least one value")
        return {repr(value): value for value in self}

    def draw(self, name: str, suggest: Suggest, _: float) -> Any:
        return suggest.suggest_categorical(name, list(self))

    def on_edge(self, value: Any) -> bool:
        """Without an order no value is the last."""
        return False


Range = Integers | Reals | Choices
"""What [space] says of one setting: the values it names, and whether one lies on its edge."""


@dataclass(frozen=True, eq=False)
class Dimension:
    """One setting. What [space] says of it is a `range`, made of values of `kind`.

    `off`: in which share of draws it is exactly zero, where [space] says that it may be.
    """

    name: str  # in study files, Optuna, MLflow and JSON
    title: str  # for people, as it stands within a sentence
    default: Any = None  # its value where a study says nothing
    kind: type = float  # of one value
    range: Any = Reals  # a kind of Range
    least: float = -inf
    above: float = -inf
    below: float = inf
    choices: Collection[str] = ()  # its legal names; empty for numbers
    form: str = "{:.2g}"  # how a value is written for people
    hidden: bool = False  # acts on hidden layers: a linear model has the default
    off: Callable[[Sequence[int]], float] = lambda _: 0.5  # share of its draws, by layers' units
    by_rows: bool = False  # where a study says nothing, candidates have what suits their rows
    read: Callable[[Candidate], Any] | None = None  # its value, when it is no setting by this name

    @property
    def unsaid(self) -> Any:
        """What [training] holds where a study file says nothing; None where the rows decide."""
        return None if self.by_rows else self.default

    def of(self, candidate: Candidate) -> Any:
        """Its value in a candidate."""
        return self.read(candidate) if self.read else candidate.setting(self.name, self.default)

    def text(self, value: Any) -> str:
        """A value for people; what is off is a dash."""
        return "–" if value == 0 else self.form.format(value)

    def legal(self, value: Any) -> Any:
        """The value itself. Raises ValueError with the bound that it breaks."""
        if fault := self._fault(value):
            raise ValueError(f"must be {fault}, not {value!r}")
        return value

    def searched(self, said: Any) -> Range:
        """The range that [space] gives, as a table, a list of choices or the range itself.

        Raises ValueError when some of it is not legal.
        """
        given = self.range(**said) if isinstance(said, dict) else said
        reach: Range = Choices(given) if isinstance(given, list | tuple) else given
        for called, value in reach.values().items():
            if fault := self._fault(value):
                raise ValueError(f"{called} must be {fault}")
        return reach

    def _fault(self, value: Any) -> str | None:
        """What it must be and is not."""
        if self.choices:
            return None if value in self.choices else one_of(self.choices)
        bounds = {
            "a finite number": isfinite(value),
            f"{self.least} or more": value >= self.least,
            f"above {self.above}": value > self.above,
            f"below {self.below}": value < self.below,
        }
        return next((bound for bound, kept in bounds.items() if not kept), None)


def between(low: float, high: float, share: float, on_log_scale: bool) -> float:
    """The number at `share` of the way from low to high, but for rounding."""
    if on_log_scale:
        return exp(log(low) + share * (log(high) - log(low)))
    return low + share * (high - low)


def one_of(names: Collection[str]) -> str:
    """'a', 'b' or 'c'."""
    *most, last = map(repr, names)
    return f"{', '.join(most)} or {last}" if most else last


def _ordered(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low ({low:g}) must not be above high ({high:g})")


def _ends(low: float, high: float) -> dict[str, Any]:
    return {f"low ({low:g})": low, f"high ({high:g})": high}
