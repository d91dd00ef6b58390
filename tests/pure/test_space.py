"""Every draw lands on its rung, and sizes are counted as Keras counts them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.families.space import (
    Integers,
    Reals,
    Space,
    bands,
    count_parameters,
    ladder,
    rung_of,
)
from capsearch.records import Candidate
from tests.fakes import Dice


def imdb_space(features: int = 10_000, **changes: Any) -> Space:
    settings: dict[str, Any] = {
        "layers": Integers(0, 3),
        "units": Integers(1, 256, log=True),
        "l1": Reals(1e-8, 1e-3, log=True, off=True),
        "dropout": Reals(0.0, 0.6),
        "learning_rate": Reals(3e-4, 3e-2, log=True),
    }
    return Space(features, Candidate(()), **(settings | changes))


def test_parameters_are_kernels_and_biases() -> None:
    assert count_parameters((16, 16), 10_000) == 160_305
    assert count_parameters((4, 4), 10_000) == 40_029
    assert count_parameters((), 10_000) == 10_001


def test_the_ladder_of_imdb_is_a_linear_model_and_rungs_of_networks_each_2_2_times_larger() -> None:
    edges = ladder(imdb_space(), 8)
    assert edges[:2] == (10_001, count_parameters((1,), 10_000))
    assert edges[-1] == count_parameters((256, 256, 256), 10_000) + 1
    ratios = [b / a for a, b in pairwise(edges[1:])]
    assert len(edges) == 9
    assert max(ratios) / min(ratios) < 1.01


@given(st.integers(0, 2**32))
def test_only_a_linear_model_is_drawn_on_its_rung_and_none_above(seed: int) -> None:
    space = imdb_space()
    units = [space.draw(Dice(seed), band).units for band in bands(ladder(space, 8))]
    assert [len(u) == 0 for u in units] == [True] + [False] * 7


@given(st.integers(0, 7), st.integers(0, 2**32))
def test_every_draw_lands_on_its_rung(rung: int, seed: int) -> None:
    space = imdb_space()
    edges = ladder(space, 8)
    candidate = space.draw(Dice(seed), bands(edges)[rung])
    assert rung_of(space.parameters(candidate), edges) == rung
    assert all(1 <= width <= 256 for width in candidate.units)
    assert len(candidate.units) <= 3


@given(
    st.integers(1, 200), st.integers(0, 3), st.integers(0, 3), st.integers(1, 9),
    st.integers(0, 40), st.integers(1, 10), st.integers(0, 999),
)  # fmt: skip
def test_a_ladder_covers_any_space_and_its_draws_stay_in_it(
    features: int, low: int, more: int, narrow: int, wider: int, rungs: int, seed: int
) -> None:
    layers, units = Integers(low, low + more), Integers(narrow, narrow + wider)
    space = imdb_space(features, layers=layers, units=units)
    edges = ladder(space, rungs)
    assert 2 <= len(edges) <= rungs + 1
    assert list(edges) == sorted(set(edges))
    for band in bands(edges):
        candidate = space.draw(Dice(seed), band)
        assert edges[0] <= space.parameters(candidate) < edges[-1]
        assert low <= len(candidate.units) <= low + more
        assert all(narrow <= width <= narrow + wider for width in candidate.units)


def test_the_dimensions_that_optuna_sees_do_not_depend_on_what_was_drawn_before() -> None:
    space = imdb_space(layers=Integers(2, 2))
    band = bands(ladder(space, 4))[1]
    asked = []
    for seed in range(20):
        dice = Dice(seed)
        space.draw(dice, band)
        asked.append({name: legal for name, legal in dice.asked.items() if name != "l1"})
    assert all(each == asked[0] for each in asked)


def test_a_linear_model_has_no_dropout() -> None:
    space = imdb_space(layers=Integers(0, 0))
    dice = Dice(0)
    candidate = space.draw(dice, bands(ladder(space, 8))[0])
    assert candidate.units == ()
    assert candidate.dropout == 0.0
    assert "dropout" not in dice.asked


def test_what_is_not_searched_keeps_its_fixed_value() -> None:
    fixed = Candidate((), l2=0.125, dropout=0.25, batch_size=64, optimizer="sgd")
    space = Space(10, fixed, Integers(1, 1), Integers(3, 3))
    candidate = space.draw(Dice(0), bands(ladder(space, 8))[0])
    assert candidate == Candidate((3,), l2=0.125, dropout=0.25, batch_size=64, optimizer="sgd")


def test_a_dimension_that_can_be_off_is_off_about_half_of_the_time() -> None:
    drawn = [Reals(1e-8, 1e-3, log=True, off=True).draw("l1", Dice(seed)) for seed in range(400)]
    assert 150 < drawn.count(0.0) < 250


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Integers(3, 2), "low \\(3\\) must not be above high \\(2\\)"),
        (lambda: Reals(0.0, 1.0, log=True), "must be above 0 on a log scale"),
        (lambda: Reals(-0.1, 1.0), "must not be negative"),
    ],
)
def test_an_impossible_range_is_refused_at_birth(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
