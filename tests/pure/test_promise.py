"""What non-inferiority promises, on simulated studies whose truth is known (a small bench)."""

import numpy as np
import pytest

from capsearch.selection import Contrasts
from tests.bench import peers, selection
from tests.bench.worlds import NOISES, SIZES, Cell, Noise, World, draw, worlds

pytestmark = pytest.mark.integration  # thousands of studies are simulated

STUDIES = 300
SHAPES = {world.name: world for world in worlds()}
LOW, MIDDLE, HIGH, UNEVEN = NOISES


@pytest.mark.parametrize(
    ("shape", "noise", "rows", "replicates"),
    [
        ("spike", LOW, 5_000, 10),  # nine sizes lie just beyond the margin
        ("spike", LOW, 25_000, 10),
        ("spike", UNEVEN, 25_000, 10),
        ("step", LOW, 5_000, 5),
        ("step", HIGH, 200, 3),
        ("plateau", MIDDLE, 25_000, 5),
        ("U", UNEVEN, 1_000, 10),
    ],
)
def test_non_inferiority_keeps_its_promise(
    shape: str, noise: Noise, rows: int, replicates: int
) -> None:
    cell = Cell(SHAPES[shape], noise, rows, replicates)
    result = selection.run(cell, STUDIES, seed=0, rules=("non_inferiority",))[0]
    assert result.claimed <= 0.05 + 3 * result.error


def test_with_enough_data_it_finds_the_smallest_that_is_good_enough() -> None:
    cell = Cell(SHAPES["step"], LOW, 25_000, 10)
    result = selection.run(cell, STUDIES, seed=0, rules=("non_inferiority",))[0]
    assert result.undecided == 0.0
    assert result.times == pytest.approx(1.0, abs=0.05)


def test_other_rules_promise_nothing_where_the_noise_is_wide() -> None:
    cell = Cell(SHAPES["step"], LOW, 1_000, 5)
    wrong = {r.rule: r.wrong for r in selection.run(cell, STUDIES, seed=0)}
    assert wrong["one_std_err"] > 0.5
    assert wrong["scikit-learn's bound"] > 0.5
    assert wrong["best"] < 0.05


def test_sufficient_statistics_are_drawn_as_whole_tables_would_give_them() -> None:
    cell = Cell(World("slope", 0.3 - 0.01 * np.arange(len(SIZES))), UNEVEN, 40, 4)
    noise, rng, tables = cell.noise, np.random.default_rng(0), []
    root = np.linalg.cholesky(noise.examples())
    for _ in range(STUDIES):
        losses = (root @ rng.standard_normal((len(SIZES), 40)))[:, None]
        losses = losses + noise.seeds()[:, None, None] * rng.standard_normal((len(SIZES), 4, 1))
        losses = losses + noise.rest * rng.standard_normal((len(SIZES), 4, 40))
        tables.append(Contrasts.of([dict(enumerate(t)) for t in losses]))
    drawn = [e.contrasts for e in draw(cell, STUDIES, np.random.default_rng(1)).evidence()]
    for part in ("seeds", "examples"):
        whole = np.mean([getattr(c, part) for c in tables], axis=(0, 1))
        ours = np.mean([getattr(c, part) for c in drawn], axis=(0, 1))
        assert ours == pytest.approx(whole, rel=0.15)
    spread = [np.std([c.gap[0, 9] for c in of]) for of in (tables, drawn)]
    assert spread[0] == pytest.approx(spread[1], rel=0.15)


def test_peers_choose_the_best_when_nothing_else_comes_near() -> None:
    cell = Cell(World("cliff", np.array([9.0] * 9 + [0.1])), LOW, 1_000, 5)
    draws, rng = draw(cell, 20, np.random.default_rng(0)), np.random.default_rng(1)
    for chosen in (peers.scikit_learn(draws, rng), peers.not_significant(draws)):
        assert (chosen == 9).all()
    assert (peers.unpaired(draws) == 9).all()
