"""The search space: which candidates there are, how large each is, and how one is drawn.

Capacity is the number of trainable parameters. The **ladder** divides its range, on a log scale,
into rungs; a draw is confined to one rung, so that every size gets its share of the budget. Widths
are drawn as positions (0 to 1, log scale) between the narrowest and the widest layer that still
leads into the rung: the dimensions that Optuna sees are then the same for every draw, whatever the
rung and the layers before, and its joint model holds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from capsearch.families import dense
from capsearch.families.dimension import Integers, Suggest, between
from capsearch.records import Candidate


@dataclass(frozen=True)
class Band:
    """A range of capacity: `low <= parameters < high`."""

    low: int
    high: int


@dataclass(frozen=True)
class Space:
    """What a study searches, for rows of so many `features`."""

    features: int
    fixed: Candidate  # the values of every setting that is not searched
    layers: Integers
    units: Integers  # of each layer
    searched: Mapping[str, Any]  # setting -> its range
    outputs: int = 1  # of the last layer

    def parameters(self, candidate: Candidate) -> int:
        return count_parameters(candidate.units, self.features, self.outputs)

    def draw(self, suggest: Suggest, band: Band) -> Candidate:
        """A candidate inside `band`, or the nearest size where the band has a gap."""
        depths = self.depths(band)
        depth = suggest.suggest_int("layers", depths[0], depths[-1])
        units: tuple[int, ...] = ()
        for layer in range(depth):
            low, high = self._widths(units, depth, band)
            share = 0.0
            if self.units.low < self.units.high:
                share = suggest.suggest_float(f"width_{layer + 1}", 0.0, 1.0)
            units += (_between(low, high, share, self.units.log),)
        return dense.candidate_of(units, self.settings(suggest, units))

    def settings(self, suggest: Suggest, units: Sequence[int]) -> dict[str, Any]:
        """All but the layers, drawn for a network of these units."""
        settings = dense.settings_of(self.fixed)
        for setting in dense.SETTINGS:
            if setting.hidden and not units:
                settings[setting.name] = setting.default
            elif setting.name in self.searched:
                reach, off = self.searched[setting.name], setting.off(units)
                settings[setting.name] = reach.draw(setting.name, suggest, off)
        return settings

    def depths(self, band: Band) -> list[int]:
        """The layer counts that reach into the band; all of them where none does."""
        depths = range(self.layers.low, self.layers.high + 1)
        fitting = [d for d in depths if self._size((), d, "low") < band.high]
        fitting = [d for d in fitting if self._size((), d, "high") >= band.low]
        return fitting or list(depths)

    def _widths(self, units: tuple[int, ...], depth: int, band: Band) -> tuple[int, int]:
        """Narrowest and widest next layer that can still end in the band (sizes are monotone)."""
        widths = range(self.units.low, self.units.high + 1)
        high = bisect_left(widths, band.high, key=lambda w: self._size((*units, w), depth, "low"))
        low = bisect_left(widths, band.low, key=lambda w: self._size((*units, w), depth, "high"))
        low, high = min(low, len(widths) - 1), max(high - 1, 0)
        return widths[min(low, high)], widths[high]

    def _size(self, units: tuple[int, ...], depth: int, rest: str) -> int:
        """Parameters when the layers after `units` are all at the low or the high end."""
        width = self.units.low if rest == "low" else self.units.high
        whole = units + (width,) * (depth - len(units))
        return count_parameters(whole, self.features, self.outputs)


def count_parameters(units: Sequence[int], features: int, outputs: int = 1) -> int:
    """Trainable parameters of a dense network: kernels and biases.

    16-16 on 10,000 features: 10,000 x 16 + 16 + 16 x 16 + 16 + 16 + 1 = 160,305. With ten outputs
    instead of one, 16 x 10 + 10 at the end: 160,458.
    """
    widths = [features, *units, outputs]
    return sum((i + 1) * o for i, o in pairwise(widths))


def ladder(space: Space, rungs: int) -> tuple[int, ...]:
    """The edges of at most `rungs` bands, equal on a log scale, from the smallest size on.

    A linear model has a rung of its own below them: it is another kind of model than the networks
    of nearly its size, which would take most of its tries. With several outputs narrow networks are
    smaller than it, and it shares the rung that its size belongs to: it is drawn by its depth. A
    band in which draws find no candidate is joined to the next, so small spaces have fewer rungs.
    """
    depths = range(space.layers.low, space.layers.high + 1)
    top = max(space._size((), depth, "high") for depth in depths) + 1
    smallest = [space._size((), depth, "low") for depth in depths]
    least, below = min(smallest), list[int]()
    first = space.layers.low == 0 < space.layers.high and smallest[0] < min(smallest[1:])
    if rungs > 1 and first:
        below, least, rungs = smallest[:1], min(smallest[1:]), rungs - 1
    ratio = (top / least) ** (1 / rungs)
    inner = [round(least * ratio**r) for r in range(1, rungs)]
    edges = [*below, least]
    for edge in [*sorted(set(inner) - {least, top}), top]:
        if _occupied(space, Band(edges[-1], edge)):
            edges.append(edge)
    if edges[-1] != top:
        edges[-1] = top
    return tuple(edges)


def bands(edges: Sequence[int]) -> tuple[Band, ...]:
    return tuple(Band(low, high) for low, high in pairwise(edges))


def rung_of(parameters: int, edges: Sequence[int]) -> int:
    """The rung a size belongs to; sizes beyond either end belong to the end rungs."""
    return min(max(bisect_right(edges, parameters) - 1, 0), len(edges) - 2)


def _between(low: int, high: int, share: float, on_log_scale: bool) -> int:
    """The whole number at `share` of the way from low to high, each number about equally wide."""
    return min(int(between(low, high + 1, share, on_log_scale) + 1e-9), high)


def _occupied(space: Space, band: Band) -> bool:
    rng = Random(0)
    draws = (space.draw(_Dice(rng), band) for _ in range(64))
    return any(band.low <= space.parameters(c) < band.high for c in draws)


@dataclass(frozen=True)
class _Dice:
    """Suggests uniformly, for asking the space about itself."""

    rng: Random

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.rng.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self.rng.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.rng.choice(choices)
