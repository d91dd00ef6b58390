"""How many more validation rows or replicates would tell what the data cannot."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt

from capsearch.selection.contrasts import Contrasts, t_quantile
from capsearch.selection.curve import CapacityCurve, name_of

MOST_REPLICATES = 1_000  # beyond these nobody will go, so the answer is "cannot"
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Comparison:
    """Is the mean loss of point `first` less than `margin` above that of point `second`?

    Decided when the half-width at `level` is smaller than the distance of the gap from the margin.
    """

    first: int
    second: int
    margin: float
    level: float

    def advice(self, curve: CapacityCurve, contrasts: Contrasts) -> str:
        """One sentence. It takes the observed gap for the true one: a plan, not a promise."""
        parts = Components.of(contrasts, self.first, self.second)
        gap = float(contrasts.gap[self.first, self.second])
        distance = abs(self.margin - gap)
        first, second = name_of(curve.points[self.first]), name_of(curve.points[self.second])
        told = f"To tell whether {first} has a lower validation {curve.noun} than {second}"
        if self.margin:
            told = f"To tell whether {first} is at most {self.margin:g} worse than {second}"
        needs = _needs(parts, distance, self.level)
        return f"{told}, if the difference stays as observed ({gap:+.4f}), {needs}."


@dataclass(frozen=True)
class Components:
    """The variance of one pair's difference: of a seed, of an example, and of both together.

    By hand, D = [[1, 3], [2, 6]] (see `Contrasts`): var(rows) = 2 = seed + residual/n and
    var(columns) = 4.5 = example + residual/R with residual = 1: seed = 1.5, example = 4.
    """

    seed: float
    example: float
    residual: float
    replicates: int
    rows: int

    @classmethod
    def of(cls, contrasts: Contrasts, first: int, second: int) -> "Components":
        pair = (first, second)
        replicates, rows = int(contrasts.replicates[pair]), contrasts.rows
        if replicates < 2:
            return cls(inf, 0.0, 0.0, replicates, rows)
        residual = float(contrasts.residual[pair]) * replicates * rows
        seed = float(contrasts.seeds[pair]) * replicates - residual / rows
        example = float(contrasts.examples[pair]) * rows - residual / replicates
        return cls(max(seed, 0.0), max(example, 0.0), residual, replicates, rows)

    def half_width(self, replicates: int, rows: int, level: float) -> float:
        """As `Contrasts.half_width` would be, had there been so many."""
        seeds = (self.seed + self.residual / rows) / replicates
        examples = (self.example + self.residual / replicates) / rows
        by_seeds, by_examples = t_quantile(level, replicates - 1), t_quantile(level, rows - 1)
        return sqrt(by_seeds**2 * seeds + by_examples**2 * examples)

    def rows_for(self, distance: float, level: float, replicates: int) -> int | None:
        """The fewest validation examples that tell `distance` from zero; None when none do."""

        def enough(rows: int) -> bool:
            return self.half_width(replicates, rows, level) < distance

        return _fewest(enough, self.rows, MOST_ROWS)

    def replicates_for(self, distance: float, level: float) -> int | None:
        """The fewest replicates that tell `distance` from zero; None when none do."""

        def enough(replicates: int) -> bool:
            return self.half_width(replicates, self.rows, level) < distance

        return _fewest(enough, self.replicates, MOST_REPLICATES)


def _fewest(enough: Callable[[int], bool], low: int, most: int) -> int | None:
    """The smallest of low + 1 ... most that is enough, where more is never worse."""
    if not enough(most):
        return None
    return low + 1 + bisect_left(range(low + 1, most + 1), True, key=enough)


def _needs(parts: Components, distance: float, level: float) -> str:
    if parts.seed == inf:
        return "it would take at least two fresh-seed runs of each that complete"
    rows = parts.rows_for(distance, level, parts.replicates)
    replicates = parts.replicates_for(distance, level)
    examples = _examples(rows, parts) if rows else ""
    seeds = _seeds(replicates, parts) if replicates else ""
    if rows and replicates:
        return f"it would take {examples} or {seeds}"
    if rows:
        return f"it would take {examples}; more fresh-seed runs alone are not enough"
    if replicates:
        return f"it would take {seeds}; more rows to validate on alone are not enough"
    more = [parts.replicates * 2**double for double in range(1, 6)]
    both = [(n * r, r, n) for r in more if (n := parts.rows_for(distance, level, r))]
    if both:
        _, replicates, rows = min(both)
        return f"it would take both {_seeds(replicates, parts)} and {_examples(rows, parts)}"
    return "no reasonable number of rows to validate on and fresh-seed runs would be enough"


def _examples(rows: int, parts: Components) -> str:
    """Rounded up to two digits: an estimate knows no more."""
    step = 10 ** max(len(str(rows)) - 2, 0)
    return f"about {-(-rows // step) * step:,} rows to validate on instead of {parts.rows:,}"


def _seeds(replicates: int, parts: Components) -> str:
    return f"{replicates:,} fresh-seed runs of each network instead of {parts.replicates}"
