"""Simulated studies whose truth is known: capacity curves, their noise, and what rules read.

Only sufficient statistics are drawn, and exactly so. The model of a loss is
L[k, r, i] = mu[k] + a[k, r] + b[k, i] + e[k, r, i], all normal, b correlated between candidates, a
and e not. Of a balanced normal two-way table the grand means, the deviations of the row means, the
covariance of the column means and the residual mean square are independent, and normal, normal,
Wishart and chi-square. The rules read nothing else, so no table of 25,000 losses need be made.
"""

from dataclasses import dataclass

import numpy as np

from capsearch.records import Candidate, Estimate
from capsearch.selection import CapacityCurve, Contrasts, Evidence
from capsearch.selection.curve import crossed_error

SIZES = tuple(10_000 * 2**k for k in range(10))
MARGIN = 0.01  # nats, everywhere
LITTLE = 1e-9  # beyond the margin by this little is worse by more than the margin


@dataclass(frozen=True)
class World:
    """The true mean loss of each size."""

    name: str
    means: np.ndarray

    @property
    def worse(self) -> np.ndarray:
        """Which sizes are truly worse than the best by more than the margin."""
        return np.asarray(self.means > self.means.min() + MARGIN + LITTLE / 2)

    @property
    def answer(self) -> int:
        """The smallest size that is not."""
        return int(np.argmin(self.worse))


@dataclass(frozen=True)
class Noise:
    """Standard deviations (nats) of a loss: over seeds by size, over examples, and of the rest."""

    name: str
    seed: float
    correlation: float  # of two candidates' example effects
    example: float = 0.55
    rest: float = 0.15
    uneven: float = 1.0  # the smallest size's seed deviation over the largest's

    def seeds(self) -> np.ndarray:
        return self.seed * np.geomspace(self.uneven**0.5, self.uneven**-0.5, len(SIZES))

    def examples(self) -> np.ndarray:
        """Covariance of the example effects, shape (sizes, sizes)."""
        k = len(SIZES)
        mixed = self.correlation * np.ones((k, k)) + (1 - self.correlation) * np.eye(k)
        return np.asarray(self.example**2 * mixed)


@dataclass(frozen=True)
class Cell:
    """One setting of the simulation."""

    world: World
    noise: Noise
    rows: int
    replicates: int


@dataclass(frozen=True)
class Draws:
    """What B studies of one cell show."""

    cell: Cell
    means: np.ndarray  # (B, sizes): grand means
    by_seed: np.ndarray  # (B, sizes, replicates): row means
    columns: np.ndarray  # (B, sizes, sizes): covariance of the column means over examples
    rest: np.ndarray  # (B, sizes): residual mean squares

    def errors(self) -> np.ndarray:
        """Standard errors as capsearch estimates them, shape (B, sizes)."""
        n, r = self.cell.rows, self.cell.replicates
        ms_rows = n * self.by_seed.var(axis=2, ddof=1)
        ms_columns = r * np.diagonal(self.columns, axis1=1, axis2=2)
        return np.asarray(np.vectorize(crossed_error)(ms_rows, ms_columns, self.rest, n * r))

    def evidence(self) -> list[Evidence]:
        """As the rules read it, one for each study."""
        n, r = self.cell.rows, self.cell.replicates
        errors, same = self.errors(), np.full((len(SIZES), len(SIZES)), r)
        paired = self.by_seed[:, :, None] - self.by_seed[:, None, :]
        seeds, own_seeds = paired.var(axis=3, ddof=1) / r, self.by_seed.var(axis=2, ddof=1)
        own = np.diagonal(self.columns, axis1=1, axis2=2)
        examples = (own[:, :, None] + own[:, None, :] - 2 * self.columns) / n
        gaps = self.means[:, :, None] - self.means[:, None, :]
        return [
            Evidence(
                CapacityCurve(
                    tuple(
                        Estimate(_CANDIDATES[k], size, float(self.means[b, k]), errors[b, k], r)
                        for k, size in enumerate(SIZES)
                    )
                ),
                # the residual only serves advice, which no rule reads
                Contrasts(
                    gaps[b],
                    seeds[b],
                    examples[b],
                    np.zeros_like(seeds[b]),
                    same,
                    n,
                    own_seeds[b],
                    same.diagonal(),
                ),
            )
            for b in range(len(self.means))
        ]


_CANDIDATES = tuple(Candidate((k + 1,)) for k in range(len(SIZES)))


def draw(cell: Cell, studies: int, rng: np.random.Generator) -> Draws:
    """`studies` independent studies of one cell."""
    n, r, k = cell.rows, cell.replicates, len(SIZES)
    between, rest = cell.noise.examples(), cell.noise.rest**2
    of_row = cell.noise.seeds() ** 2 + rest / n
    normal = rng.standard_normal((studies, k, r)) * np.sqrt(of_row)[:, None]
    centred = normal - normal.mean(axis=2, keepdims=True)
    spread = between / n + np.diag(of_row / r)
    means = cell.world.means + rng.standard_normal((studies, k)) @ np.linalg.cholesky(spread).T
    residual = rest * rng.chisquare((r - 1) * (n - 1), (studies, k)) / ((r - 1) * (n - 1))
    columns = _wishart(between + np.eye(k) * rest / r, n - 1, studies, rng)
    return Draws(cell, means, means[:, :, None] + centred, columns, residual)


def _wishart(
    covariance: np.ndarray, freedom: int, studies: int, rng: np.random.Generator
) -> np.ndarray:
    """Sample covariances by Bartlett's decomposition, shape (studies, k, k)."""
    k = len(covariance)
    lower = np.tril(rng.standard_normal((studies, k, k)), -1)
    lower[:, range(k), range(k)] = np.sqrt(rng.chisquare(freedom - np.arange(k), (studies, k)))
    root = np.linalg.cholesky(covariance) @ lower
    return np.asarray(root @ root.transpose(0, 2, 1) / freedom)


def worlds() -> tuple[World, ...]:
    """Shapes that capacity curves take, and two that are as hard as can be."""
    k = np.arange(len(SIZES))
    spike = np.full(len(SIZES), 0.29 + LITTLE)
    spike[6] = 0.28
    return (
        World("plateau", 0.28 + 0.10 * np.exp(-k / 1.3)),
        World("power law", 0.26 + 0.08 * 2.0 ** (-0.4 * k)),
        World("U", 0.28 + 0.06 * np.exp(-k / 1.0) + 0.03 * np.maximum(k - 5, 0) / 4),
        World("flat", np.full(len(SIZES), 0.29)),
        World("late knee", np.where(k < 7, 0.33 - 0.001 * k, 0.285)),
        World("step", np.where(k < 4, 0.29 + LITTLE, 0.28)),
        World("spike", spike),
    )


HARD = ("step", "spike")  # several sizes just beyond the margin: the least favourable truths
NOISES = (
    Noise("low", seed=0.001, correlation=0.95),
    Noise("middle", seed=0.003, correlation=0.90),
    Noise("high", seed=0.010, correlation=0.80),
    Noise("uneven", seed=0.005, correlation=0.90, uneven=9.0),
)
