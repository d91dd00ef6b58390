"""The capacity curve: estimates of the finalists, smallest first, and who the finalists are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf, sqrt
from statistics import fmean

import numpy as np

from capsearch.errors import CapsearchError
from capsearch.records import Candidate, Estimate, Trial, failures
from capsearch.words import network


@dataclass(frozen=True)
class CapacityCurve:
    """Mean validation loss with its standard error at each capacity, smallest capacity first.

    Where networks are judged by something else (`selection.judge`), it stands for the loss, and
    `noun` is its name.
    """

    points: tuple[Estimate, ...]
    noun: str = "loss"

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a capacity curve needs at least one point")
        if any(b.parameters <= a.parameters for a, b in pairwise(self.points)):
            raise ValueError("the points of a capacity curve must grow in parameters")

    @cached_property
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
    return crossed_error(ms_rows, ms_columns, ms_error, replicates * examples)


def crossed_error(ms_rows: float, ms_columns: float, ms_error: float, cells: int) -> float:
    """Standard error of the grand mean from the mean squares of a two-way table of so many cells.

    By hand, as above: mean squares 4, 9 and 1 of 4 cells: sqrt((3 + 8 + 1) / 4) = 1.7321.
    """
    components = max(ms_rows - ms_error, 0.0) + max(ms_columns - ms_error, 0.0) + ms_error
    return sqrt(components / cells)


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


def estimates_of(replicates: Sequence[Trial]) -> tuple[Estimate, ...]:
    """One estimate a finalist, smallest first; finalists that mostly failed are left out.

    Raises CapsearchError when all of them did.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in replicates:
        groups.setdefault(trial.candidate.key, []).append(trial)
    found = [e for e in map(estimate, groups.values()) if e is not None]
    if not found:
        raise CapsearchError(f"no finalist could be trained again: {failures(replicates)}")
    return tuple(sorted(found, key=lambda e: e.parameters))


def frontier(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The finalists, smallest first: the best of every rung, and whatever beats all smaller ones.

    The second kind keeps a small network in the race that lost its rung to a larger one by a hair.
    The first kind stays in even when it is worse than a smaller one: single trials are noisy, and
    the curve must show from which size on larger networks gain nothing. No failed trial is one.
    Where networks have raced, only those that raced to the end can be.
    """
    tried = _ranked(trials)
    winners = {t.rung: t for _, t in sorted(tried, key=lambda pair: pair[0], reverse=True)}
    lowest, finalists = inf, list[Trial]()
    for loss, trial in sorted(tried, key=lambda pair: (pair[1].parameters, pair[0])):
        grown = not finalists or finalists[-1].parameters < trial.parameters
        if grown and (loss < lowest or trial is winners[trial.rung]):
            finalists.append(trial)
        lowest = min(lowest, loss)
    return tuple(finalists)


def contenders(trials: Sequence[Trial], most: int) -> tuple[Trial, ...]:
    """Who races on to stand for its rung: the best candidates of every rung, `most` of each.

    Those that would be finalists by what is known now are among them. Smallest rung first, best
    first; every candidate once.
    """
    once = dict[Candidate, tuple[float, Trial]]()
    for loss, trial in sorted(_ranked(trials), key=lambda pair: pair[0]):
        once.setdefault(trial.candidate, (loss, trial))
    finalists, taken = {t.candidate for t in frontier(trials)}, list[Trial]()
    for _, trial in sorted(once.values(), key=lambda pair: (pair[1].rung, pair[0])):
        first = sum(1 for t in taken if t.rung == trial.rung) < most
        if first or trial.candidate in finalists:
            taken.append(trial)
    return tuple(taken)


def _ranked(trials: Sequence[Trial]) -> list[tuple[float, Trial]]:
    """Complete trials with the loss that ranks them: the mean of a candidate's race, if it raced.

    Then only candidates with as many seeds in the race as any: the others left it.
    """
    races, seeds = dict[Candidate, list[float]](), Counter[Candidate]()
    for trial in trials:
        if trial.group == "race" and trial.outcome:
            seeds[trial.candidate] += 1
            if trial.outcome.complete:
                races.setdefault(trial.candidate, []).append(trial.outcome.val_loss)
    done = [t for t in trials if t.group != "race" and t.outcome and t.outcome.complete]
    if not races:
        return [(loss_of(t), t) for t in done]
    whole = max(seeds.values())
    return [
        (fmean(races[t.candidate]), t)
        for t in done
        if t.candidate in races and seeds[t.candidate] == whole
    ]


def of_finalists(trials: Sequence[Trial], replicates: Sequence[Trial]) -> tuple[Trial, ...]:
    """The replicates that a choice may read; other baselines are trained again to be described."""
    finalists = {t.candidate for t in frontier(trials)}
    return tuple(t for t in replicates if t.candidate in finalists)


def name_of(point: Estimate) -> str:
    """A point as sentences name it. No other point of a curve has its layers."""
    units = point.candidate.units
    return network(units) if units else "the linear model"


def loss_of(trial: Trial) -> float:
    """The validation loss of a completed trial."""
    assert trial.outcome is not None  # callers pass completed trials
    return trial.outcome.val_loss


def typical(replicates: Sequence[Trial], point: Estimate) -> Trial:
    """The replicate that stands for a finalist: the one of median loss, the lower of two."""
    runs = [t for t in replicates if t.candidate == point.candidate]
    complete = sorted((t for t in runs if t.outcome and t.outcome.complete), key=loss_of)
    return complete[(len(complete) - 1) // 2]


def representatives(curve: CapacityCurve, replicates: Sequence[Trial]) -> tuple[str, ...]:
    """The keys of the trainings that stand for the finalists."""
    return tuple(typical(replicates, point).job.key for point in curve.points)
