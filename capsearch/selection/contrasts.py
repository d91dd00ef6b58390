"""Differences between finalists on the same examples, and how uncertain they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import inf
from typing import Self

import numpy as np

from capsearch.records import Candidate, Trial
from capsearch.selection.curve import CapacityCurve
from capsearch.selection.moderation import Moderated, moderated

TAIL = 0.025  # probability beyond either end of a 95% interval
DRAWS, SEED = 4_000, 30_000  # any fixed seed: the same study has the same errors everywhere
KEPT = ("moderated", "errors")  # what does not depend on the means, once it is computed
LossTable = Mapping[int, np.ndarray]
"""Losses of one finalist: for each replicate that completed, by its `order`, shape (examples,)."""


def tables_of(curve: CapacityCurve, replicates: Sequence[Trial]) -> tuple[LossTable, ...]:
    """The losses behind each point of the curve, float64."""
    return losses_of([point.candidate for point in curve.points], replicates)


def losses_of(
    candidates: Sequence[Candidate], replicates: Sequence[Trial]
) -> tuple[LossTable, ...]:
    """The losses of each candidate's completed replicates, float64; empty where none completed."""
    tables: dict[str, dict[int, np.ndarray]] = {c.key: {} for c in candidates}
    for trial in replicates:
        outcome = trial.outcome
        if outcome and outcome.val_losses is not None and trial.candidate.key in tables:
            losses = outcome.val_losses.astype(np.float64)
            tables[trial.candidate.key][trial.job.shuffle_seed] = losses
    return tuple(tables[c.key] for c in candidates)


@lru_cache(maxsize=4096)
def t_quantile(level: float, freedom: float) -> float:
    """What a t variable exceeds with probability `level`."""
    from scipy import stats  # half a second, and only a choice needs it

    return float(stats.t.isf(level, freedom))


@dataclass(frozen=True)
class Contrasts:
    """For every pair of K finalists (c, j): c's mean loss minus j's, and its variance in parts.

    Of a pair, the table D[r, i] = Lc[r, i] - Lj[r, i] is mu + a[r] + b[i] + e[r, i]: seeds and
    examples are crossed random effects. The examples are the same for both networks, so what makes
    an example hard for both cancels. The seeds are not: replicate r of the two shares its batch
    order and nothing else, so a[r] holds the seeds of both, Var(a) = Var(ac) + Var(aj), less what
    the shared order has in common. Taking rows as pairs is right whatever that is.

    The variance of the mean of D is Var(a)/R + Var(b)/n + Var(e)/(Rn). Its parts are estimated by
    the row means and the column means: E[var(rows)/R] = Var(a)/R + Var(e)/(Rn), and likewise
    Var(b)/n + Var(e)/(Rn) by columns. Their sum counts the last term twice, which errs on the safe
    side, is never negative, and leaves each part a multiple of a chi-square.

    By hand, D = [[1, 3], [2, 6]]: mean 3; row means 2 and 4 have variance 2: seeds = 2/2 = 1;
    column means 1.5 and 4.5 have variance 4.5: examples = 4.5/2 = 2.25; residuals +-0.5: their mean
    square 1 over Rn = 4 is 0.25. All arrays have shape (K, K).
    """

    gap: np.ndarray
    seeds: np.ndarray  # infinite where a pair has fewer than two replicates in common
    examples: np.ndarray
    residual: np.ndarray
    replicates: np.ndarray  # in common
    rows: int  # validation examples
    own: np.ndarray  # (K,): variance over all its seeds of a network's mean loss
    runs: np.ndarray  # (K,): its seeds that completed

    @classmethod
    def of(cls, tables: Sequence[LossTable]) -> Self:
        """The contrasts of finalists, each with at least one completed replicate."""
        k, rows = len(tables), len(next(iter(tables[0].values())))
        gap, seeds, examples, residual = np.zeros((4, k, k))
        common = np.zeros((k, k), dtype=np.int64)
        for c, first in enumerate(tables):
            common[c, c] = len(first)
            for j, second in enumerate(tables[:c]):
                shared = sorted(first.keys() & second.keys())
                common[c, j] = common[j, c] = len(shared)
                parts = _parts(first, second, shared)
                gap[c, j], seeds[c, j], examples[c, j], residual[c, j] = parts
                gap[j, c], seeds[j, c], examples[j, c], residual[j, c] = -parts[0], *parts[1:]
        by_seed = [np.array([losses.mean() for losses in table.values()]) for table in tables]
        own = np.array([row.var(ddof=1) if len(row) > 1 else np.nan for row in by_seed])
        return cls(gap, seeds, examples, residual, common, rows, own, common.diagonal())

    @cached_property
    def moderated(self) -> Moderated:
        """Seed variances of each network, moderated by those of all."""
        return moderated(self.own, self.runs)

    @cached_property
    def errors(self) -> np.ndarray:
        """Draws of how far the means may lie from the truth, shape (DRAWS, K), up to a constant.

        Of rows: normal, with the covariance whose differences have the variances `examples`, that
        is -J D J / 2 with J the centring matrix and D those variances. Of seeds: t.
        """
        k, rng = len(self.gap), np.random.default_rng(SEED)
        centring = np.eye(k) - 1 / k
        values, vectors = np.linalg.eigh(-0.5 * centring @ self.examples @ centring)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        seeds = np.sqrt(self.moderated.variances / np.maximum(self.runs, 1))
        wide = np.sqrt(rng.chisquare(self.moderated.freedom, (DRAWS, k)) / self.moderated.freedom)
        rows = rng.standard_normal((DRAWS, k)) @ root.T
        return np.asarray(rows + seeds * rng.standard_normal((DRAWS, k)) / wide)

    def half_width(self, level: float) -> np.ndarray:
        """How far above the estimate a difference may lie: exceeded with at most this probability.

        sqrt(t(R-1)^2 * seeds + t(n-1)^2 * examples), each t at `level` <= 0.5 (Banerjee 1961,
        Sankhya A 23, 359-378). Why it holds: for weights w that sum to 1 and X_k, chi-squares over
        their degrees of freedom, P(Z^2 <= sum w_k t_k^2 X_k) is at least sum w_k P(Z^2 <= t_k^2
        X_k), since the distribution function of Z^2 is concave; each of these is 1 - 2 * level, and
        half of what is left lies above. So few seeds cost what they must, whatever their share of
        the variance, where Satterthwaite's approximation is at its worst. It supposes normal means.
        """
        shared, places = np.unique(np.maximum(self.replicates, 2), return_inverse=True)
        by_seeds = np.array([t_quantile(level, float(r - 1)) for r in shared])[places]
        by_examples = t_quantile(level, self.rows - 1)
        return np.asarray(np.sqrt(by_seeds**2 * self.seeds + by_examples**2 * self.examples))

    def moderated_half_width(self, level: float) -> np.ndarray:
        """As `half_width`, with the seeds' part of both networks from moderated variances.

        Their seeds are independent, but for the order of the rows that they share: that makes the
        sum too large, if anything. Of the two networks' degrees of freedom the fewer count.
        """
        variances, freedom = self.moderated.variances, self.moderated.freedom
        fewer, places = np.unique(np.minimum.outer(freedom, freedom), return_inverse=True)
        by_seeds = np.array([t_quantile(level, float(d)) for d in fewer])[places]
        seeds = np.add.outer(variances, variances) / np.maximum(self.replicates, 1)
        seeds = np.where(np.isinf(self.seeds), inf, seeds)
        by_examples = t_quantile(level, self.rows - 1)
        spread = by_seeds.reshape(seeds.shape) ** 2 * seeds + by_examples**2 * self.examples
        return np.asarray(np.sqrt(spread))

    def shifted(self, by: np.ndarray) -> Self:
        """The same uncertainty around other means, each moved by `by`, shape (K,)."""
        moved = replace(self, gap=self.gap + by[:, None] - by[None, :])
        vars(moved).update({name: vars(self)[name] for name in KEPT if name in vars(self)})
        return moved


def _parts(
    first: LossTable, second: LossTable, shared: Sequence[int]
) -> tuple[float, float, float, float]:
    if len(shared) < 2:
        gap = float(np.mean(list(first.values())) - np.mean(list(second.values())))
        return gap, inf, 0.0, 0.0
    table = np.stack([first[r] - second[r] for r in shared])
    (replicates, examples), grand = table.shape, table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    left = table - rows[:, None] - columns[None, :] + grand
    error = (left**2).sum() / ((replicates - 1) * (examples - 1))
    return (
        float(grand),
        float(rows.var(ddof=1) / replicates),
        float(columns.var(ddof=1) / examples),
        float(error / (replicates * examples)),
    )
