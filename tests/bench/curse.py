"""What two shortcuts would cost: reading the search's own losses, and trusting normal limits."""

from collections.abc import Iterator

import numpy as np

from capsearch.records import Candidate, Estimate
from capsearch.selection import CapacityCurve, Contrasts
from capsearch.selection.noninferiority import non_inferiority
from tests.bench.worlds import LITTLE, MARGIN, NOISES, SIZES, Cell, Noise, worlds

TRIALS = 12  # in each rung, of which the search keeps the one of lowest loss
SETTINGS_SD = 0.006  # how much worse than the rung's best settings others are: half-normal, nats
ROWS = (1_000, 5_000, 25_000)


def tables(studies: int, seed: int) -> Iterator[str]:
    """The winner's curse, then non-inferiority on skewed losses (fewer: whole tables)."""
    yield (
        "| shape, noise, examples | best's stated loss less its true one: search | fresh seeds | "
        "one_std_err wrong: search | fresh seeds |"
    )
    yield "| --- | --- | --- | --- | --- |"
    for world in worlds()[:3]:
        for noise in NOISES[:3]:
            for rows in ROWS:
                cell = Cell(world, noise, rows, replicates=5)
                bias, wrong = winners_curse(cell, studies, np.random.default_rng([seed, rows]))
                yield (
                    f"| {world.name}, {noise.name}, {rows:,} | {bias[0]:+.4f} | {bias[1]:+.4f} | "
                    f"{wrong[0]:.1%} | {wrong[1]:.1%} |"
                )
    yield "\n| skewness of a difference, examples | non_inferiority claimed and wrong | undecided |"
    yield "| --- | --- | --- |"
    for shape in (0.25, 0.03):
        for rows in (200, 1_000):
            claimed, undecided = skewed(shape, rows, studies // 4, seed)
            name = f"{2.0**0.5 / shape**0.5:.1f}, {rows:,}"
            yield f"| {name} | {claimed:.1%} | {undecided:.1%} |"


def winners_curse(
    cell: Cell, studies: int, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Optimism of the best's stated loss, and share of wrong choices: (search, fresh seeds).

    Every rung's trials differ in settings; the search keeps each rung's lowest loss. Its own losses
    are one seed each; the finalists' fresh seeds are on the same examples, so what luck with
    examples did for the winners stays.
    """
    noise, n, shape = cell.noise, cell.rows, (studies, len(SIZES), TRIALS)
    truth = cell.world.means[:, None] + np.abs(rng.normal(0, SETTINGS_SD, shape))
    common = rng.normal(0, noise.example * (noise.correlation / n) ** 0.5, (studies, 1, 1))
    own = rng.normal(0, noise.example * ((1 - noise.correlation) / n) ** 0.5, shape)
    one_seed = np.sqrt(noise.seeds() ** 2 + noise.rest**2 / n)[:, None]
    on_these = truth + common + own
    searched = on_these + one_seed * rng.standard_normal(shape)
    winner = searched.argmin(axis=2)[:, :, None]

    def of_winner(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, winner, axis=2)[:, :, 0]

    spread = one_seed[:, 0] / cell.replicates**0.5
    fresh = of_winner(on_these) + spread * rng.standard_normal((studies, len(SIZES)))
    errors = (
        np.full(len(SIZES), np.hypot(noise.example, noise.rest) / n**0.5),
        np.hypot(noise.example / n**0.5, spread),
    )
    true = of_winner(truth)
    bias, wrong = [], []
    for seen, error in zip((of_winner(searched), fresh), errors, strict=True):
        best = seen.argmin(axis=1)[:, None]
        stated = np.take_along_axis(seen, best, axis=1)
        bias.append(float((stated - np.take_along_axis(true, best, axis=1)).mean()))
        chosen = (seen <= stated + error[best]).argmax(axis=1)[:, None]
        loses = np.take_along_axis(true, chosen, axis=1)[:, 0] - true.min(axis=1)
        wrong.append(float((loses > MARGIN).mean()))
    return (bias[0], bias[1]), (wrong[0], wrong[1])


def skewed(shape: float, rows: int, studies: int, seed: int) -> tuple[float, float]:
    """Shares of wrong claims and of undecided on whole tables of gamma losses.

    Nine sizes lie just beyond a margin of four standard errors of a difference, one is best. Every
    size's own part of a loss is a gamma variable of this shape, its long tail upwards, and the
    best's downwards, so that in most samples a worse size looks better than it is. Ten seeds that
    hardly differ: the limits rest on the examples.
    """
    rng = np.random.default_rng([seed, rows, int(100 * shape)])
    noise, k, replicates, best = (
        Noise("", seed=1e-5, correlation=0.95, rest=0.01),
        len(SIZES),
        10,
        6,
    )
    margin = 4.0 * noise.example * (2 * (1 - noise.correlation) / rows) ** 0.5
    sign = np.where(np.arange(k) == best, -1.0, 1.0)[:, None]
    means = np.where(np.arange(k) == best, 0.0, margin + LITTLE)
    claimed = undecided = 0
    for _ in range(studies):
        own = sign * (rng.standard_gamma(shape, (k, rows)) - shape) / shape**0.5
        own *= noise.example * (1 - noise.correlation) ** 0.5
        losses = own[:, None] + noise.rest * rng.standard_normal((k, replicates, rows))
        losses += means[:, None, None] + noise.seed * rng.standard_normal((k, replicates, 1))
        points = tuple(
            Estimate(Candidate((i + 1,)), SIZES[i], float(losses[i].mean()), 0.0, replicates)
            for i in range(k)
        )
        contrasts = Contrasts.of([dict(enumerate(table)) for table in losses])
        verdict = non_inferiority(CapacityCurve(points), contrasts, margin, 0.95)
        claimed += not verdict.undecided and verdict.selected.parameters != SIZES[best]
        undecided += verdict.undecided
    return claimed / studies, undecided / studies
