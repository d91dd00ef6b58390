"""Which network to keep: pure functions from replicates to a choice and its reason.

The search proposes, replicates decide: a trial that won its rung won partly by luck, so the curve
that a choice is read from holds fresh seeds only. No Keras, no Optuna, no clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt

import numpy as np

from capsearch.records import Choice, Estimate, Trial

Rule = Callable[["CapacityCurve", float], tuple[Estimate, str]]


@dataclass(frozen=True)
class CapacityCurve:
    """Mean validation loss with its standard error at each capacity, smallest capacity first."""

    points: tuple[Estimate, ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a capacity curve needs at least one point")
        if any(b.parameters <= a.parameters for a, b in pairwise(self.points)):
            raise ValueError("the points of a capacity curve must grow in parameters")

    @property
    def best(self) -> Estimate:
        """The lowest mean loss; of equal ones the smallest."""
        return min(self.points, key=lambda p: (p.mean, p.parameters))

    def smallest_within(self, limit: float) -> Estimate:
        """The smallest capacity whose mean loss is at most `limit`."""
        return next(p for p in self.points if p.mean <= limit)


def standard_error(losses: np.ndarray) -> float:
    """Standard error of the grand mean of `losses`, shape (replicates, examples).

    Seeds and validation examples are crossed random effects, L[r, i] = mu + a[r] + b[i] + e[r, i],
    so the variance of the mean is Var(a)/R + Var(b)/n + Var(e)/(Rn), estimated by
    (MSR + MSC - MSE) / (Rn) from the mean squares of the two-way table, a negative variance counted
    as zero (Cornfield and Tukey 1956; Searle, Casella and McCulloch, Variance Components, ch. 4).
    With one replicate it is the usual standard deviation over sqrt(n).

    By hand, [[1, 3], [2, 6]]: grand mean 3; row means 2 and 4: MSR = 2 * (1 + 1) = 4; column means
    1.5 and 4.5: MSC = 2 * (2.25 + 2.25) = 9; residuals +-0.5: MSE = 1; (4 + 9 - 1) / 4 = 3; 1.7321.
    """
    table = np.asarray(losses, dtype=np.float64)
    replicates, examples = table.shape
    if examples < 2:
        raise ValueError("a standard error needs at least two validation examples")
    if replicates == 1:
        return float(table.std(ddof=1) / sqrt(examples))
    rows, columns, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    ms_rows = examples * rows.var(ddof=1)
    ms_columns = replicates * columns.var(ddof=1)
    residual = table - rows[:, None] - columns[None, :] + grand
    ms_error = (residual**2).sum() / ((replicates - 1) * (examples - 1))
    components = max(ms_rows - ms_error, 0.0) + max(ms_columns - ms_error, 0.0) + ms_error
    return sqrt(components / (replicates * examples))


def estimate(replicates: Sequence[Trial]) -> Estimate | None:
    """The replicates of one candidate as one estimate; None when fewer than half completed."""
    losses = [t.outcome.val_losses for t in replicates if t.outcome and t.outcome.complete]
    table = [row for row in losses if row is not None]
    if 2 * len(table) < len(replicates) or not table:
        return None
    first, stacked = replicates[0], np.stack(table).astype(np.float64)
    return Estimate(
        candidate=first.candidate,
        parameters=first.parameters,
        mean=float(stacked.mean()),
        se=standard_error(stacked),
        replicates=len(table),
    )


def frontier(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The finalists, smallest first: the best of every rung, and whatever beats all smaller ones.

    The second kind keeps a small network in the race that lost its rung to a larger one by a hair.
    The first kind stays in even when it is worse than a smaller one: single trials are noisy, and
    the curve must show where growing stops paying. Failed trials are never finalists.
    """
    done = [t for t in trials if t.outcome and t.outcome.complete]
    winners = {t.rung: t for t in sorted(done, key=_loss, reverse=True)}
    lowest, finalists = inf, list[Trial]()
    for trial in sorted(done, key=lambda t: (t.parameters, _loss(t))):
        grown = not finalists or finalists[-1].parameters < trial.parameters
        if grown and (_loss(trial) < lowest or trial is winners[trial.rung]):
            finalists.append(trial)
        lowest = min(lowest, _loss(trial))
    return tuple(finalists)


def of_finalists(trials: Sequence[Trial], replicates: Sequence[Trial]) -> tuple[Trial, ...]:
    """The replicates that a choice may read; other baselines are trained again to be described."""
    finalists = {t.candidate for t in frontier(trials)}
    return tuple(t for t in replicates if t.candidate in finalists)


def best(curve: CapacityCurve, percent: float) -> tuple[Estimate, str]:
    """The lowest mean validation loss, whatever its size."""
    return curve.best, f"{_size(curve.best)} has the lowest mean validation loss of all sizes tried"


def one_std_err(curve: CapacityCurve, percent: float) -> tuple[Estimate, str]:
    """The smallest capacity within one standard error of the best (Breiman et al. 1984, CART).

    By hand: best 0.280 with standard error 0.004, so the limit is 0.284; of 0.300, 0.283 and 0.280
    the second is chosen.
    """
    limit = curve.best.mean + curve.best.se
    margin = f"the best ({curve.best.mean:.4f}) plus one standard error ({curve.best.se:.4f})"
    return _within(curve, limit, margin)


def pct_loss(curve: CapacityCurve, percent: float) -> tuple[Estimate, str]:
    """The smallest capacity that loses at most `percent` % of the best mean loss.

    The rule of tidymodels' `select_by_pct_loss`. It knows nothing of noise, and near a loss of zero
    its tolerance vanishes. By hand: best 0.280, 2 %: the limit is 0.2856.
    """
    margin = f"{percent:g} % above the best ({curve.best.mean:.4f})"
    return _within(curve, curve.best.mean * (1.0 + percent / 100.0), margin)


RULES: dict[str, Rule] = {"one_std_err": one_std_err, "pct_loss": pct_loss, "best": best}


def choose(curve: CapacityCurve, replicates: Sequence[Trial], rule: str, percent: float) -> Choice:
    """The choice of `rule`, with the replicate that stands for it: the one of median loss."""
    selected, reason = RULES[rule](curve, percent)
    runs = [t for t in replicates if t.candidate == selected.candidate]
    complete = sorted((t for t in runs if t.outcome and t.outcome.complete), key=_loss)
    typical = complete[(len(complete) - 1) // 2]
    return Choice(selected, curve.best, rule, reason, typical.job, _loss(typical))


def _within(curve: CapacityCurve, limit: float, margin: str) -> tuple[Estimate, str]:
    chosen = curve.smallest_within(limit)
    if chosen == curve.points[0]:
        start = f"{_size(chosen)} is the smallest size tried, and"
    else:
        below = curve.points[curve.points.index(chosen) - 1]
        start = f"the next smaller size, {_size(below)}, is at {below.mean:.4f};"
    if chosen == curve.best:
        return chosen, f"{start} no smaller one stays within {margin}"
    times = curve.best.parameters / chosen.parameters
    gain = f"{times:.1f} times fewer parameters than the best" if times > 1 else "see the best"
    return chosen, f"{start} its {chosen.mean:.4f} is within {margin}: {gain}"


def _size(point: Estimate) -> str:
    return f"{point.candidate.label} ({point.parameters:,} parameters)"


def _loss(trial: Trial) -> float:
    assert trial.outcome is not None  # callers pass completed trials
    return trial.outcome.val_loss
