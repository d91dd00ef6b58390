"""Rules of others, on the same simulated studies. Each returns the chosen size, shape (B,)."""

import numpy as np
from scipy import stats

from tests.bench.worlds import MARGIN, SIZES, Draws


def scikit_learn(draws: Draws, rng: np.random.Generator) -> np.ndarray:
    """The documented refit callable: the smallest with a mean score within one *standard deviation*
    over the folds of the best's. The rows are split into as many folds as there are replicates, and
    each fold is scored by a network of its own seed.
    """
    cell = draws.cell
    folds, rows = cell.replicates, cell.rows // cell.replicates
    spread = cell.noise.examples() / rows
    spread += np.diag(cell.noise.seeds() ** 2 + cell.noise.rest**2 / rows)
    shape = (len(draws.means), folds, len(SIZES))
    scores = cell.world.means + rng.standard_normal(shape) @ np.linalg.cholesky(spread).T
    means, deviations = scores.mean(axis=1), scores.std(axis=1)
    best = means.argmin(axis=1)[:, None]
    limit = np.take_along_axis(means + deviations, best, axis=1)
    return np.asarray((means <= limit).argmax(axis=1))


def not_significant(draws: Draws) -> np.ndarray:
    """The smallest whose seeds' means are not significantly worse than the best's: Welch, 5 %."""
    r = draws.cell.replicates
    variances = draws.by_seed.var(axis=2, ddof=1) / r
    best = draws.means.argmin(axis=1)[:, None]
    gaps = draws.means - np.take_along_axis(draws.means, best, axis=1)
    theirs = np.take_along_axis(variances, best, axis=1)
    freedom = (variances + theirs) ** 2 / ((variances**2 + theirs**2) / (r - 1))
    p = stats.t.sf(gaps / np.sqrt(variances + theirs), freedom)
    return np.asarray((p > 0.05).argmax(axis=1))


def unpaired(draws: Draws) -> np.ndarray:
    """The smallest non-inferior to the best as observed: z, 95 %, unpaired, taken one at a time."""
    errors = draws.errors()
    best = draws.means.argmin(axis=1)[:, None]
    gaps = draws.means - np.take_along_axis(draws.means, best, axis=1)
    both = np.hypot(errors, np.take_along_axis(errors, best, axis=1))
    passed = gaps + stats.norm.isf(0.05) * both < MARGIN
    np.put_along_axis(passed, best, True, axis=1)
    return np.asarray(passed.argmax(axis=1))
