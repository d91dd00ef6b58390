"""Knee, budget and non-inferiority, with numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from capsearch.records import Candidate, Estimate
from capsearch.selection import (
    RULES,
    CapacityCurve,
    Contrasts,
    Evidence,
    Settings,
    Verdict,
    budget,
    knee,
    non_inferiority,
)


def curve_of(*means: float, se: float = 0.002) -> CapacityCurve:
    """Sizes 10, 100, 1000 ..."""
    sizes = [10 ** (k + 1) for k in range(len(means))]
    return CapacityCurve(
        tuple(Estimate(Candidate((s,)), s, m, se, 5) for s, m in zip(sizes, means, strict=True))
    )


def contrasts_of(*means: float, examples: float, replicates: int = 5) -> Contrasts:
    """Differences with this standard error from examples, none from seeds."""
    k = len(means)
    same = np.full((k, k), examples**2) * (1 - np.eye(k))
    gaps = np.subtract.outer(np.array(means), np.array(means))
    counts = np.full((k, k), replicates)
    none = np.zeros((k, k))
    own, runs = np.zeros(k), np.full(k, replicates)
    return Contrasts(gaps, none, same, none, counts, 1_000_000, own, runs)


def bend(*means: float) -> Verdict:
    return knee(curve_of(*means), contrasts_of(*means, examples=0.003))


def test_the_parts_of_a_difference_are_those_worked_by_hand() -> None:
    zero, table = np.zeros(2), np.array([[1.0, 3.0], [2.0, 6.0]])
    pair = Contrasts.of([{1: table[0], 2: table[1]}, {1: zero, 2: zero}])
    assert (pair.gap[0, 1], pair.gap[1, 0]) == (3.0, -3.0)
    assert pair.seeds[0, 1] == pytest.approx(1.0)
    assert pair.examples[0, 1] == pytest.approx(2.25)
    assert pair.residual[0, 1] == pytest.approx(0.25)
    # t(1) exceeds 1 in a quarter of draws: sqrt(1 * 1 + 1 * 2.25)
    assert pair.half_width(0.25)[0, 1] == pytest.approx(3.25**0.5)


def test_what_is_hard_for_both_networks_cancels() -> None:
    hard = np.random.default_rng(0).exponential(1.0, 500)
    pair = Contrasts.of([{1: hard, 2: hard}, {1: hard - 0.1, 2: hard - 0.1}])
    assert pair.gap[0, 1] == pytest.approx(0.1)
    assert pair.half_width(0.05)[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_only_replicates_that_both_completed_are_compared() -> None:
    one, two = np.array([1.0, 2.0]), np.array([5.0, 9.0])
    pair = Contrasts.of([{1: one, 2: one, 3: two}, {2: one, 3: one}])
    assert pair.replicates[0, 1] == 2
    assert pair.gap[0, 1] == pytest.approx((0 + 5.5) / 2)  # of replicates 2 and 3
    lone = Contrasts.of([{1: one, 2: one}, {2: one}])
    assert np.isinf(lone.half_width(0.05)[0, 1])


@pytest.mark.parametrize("seed_sd", [0.0, 0.05, 0.2, 1.0])
def test_the_limit_is_passed_no_oftener_than_promised(seed_sd: float) -> None:
    """Monte Carlo with three seeds, whatever share of the variance is theirs."""
    rng, studies, beyond = np.random.default_rng(1), 3000, 0
    for _ in range(studies):
        table = (
            rng.normal(0, seed_sd, (3, 1)) + rng.normal(0, 1, (1, 30)) + rng.normal(0, 1, (3, 30))
        )
        pair = Contrasts.of([dict(enumerate(table)), dict(enumerate(np.zeros((3, 30))))])
        beyond += pair.gap[0, 1] + pair.half_width(0.05)[0, 1] < 0.0
    assert beyond / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5


def test_non_inferiority_is_worked_by_hand() -> None:
    means = (0.30, 0.284, 0.280)
    error = 0.005 / stats.norm.isf(0.025)
    verdict = non_inferiority(curve_of(*means), contrasts_of(*means, examples=error), 0.01, 0.95)
    assert verdict.selected.parameters == 100
    assert not verdict.undecided
    assert "0.0090 worse than 1 layer of 1000 units" in verdict.reason


def test_the_level_is_shared_among_all_that_could_wrongly_pass() -> None:
    # 0.0068 alone would pass at 5% (half-width 1.645 * 0.0019 = 0.0031), not at a ninth of it
    # (2.54 * 0.0019 = 0.0048); that the best passes first spares it nothing
    means = (*(0.40 - 0.01 * k for k in range(8)), 0.2868, 0.28)
    curve, contrasts = curve_of(*means), contrasts_of(*means, examples=0.0019)
    assert non_inferiority(curve, contrasts, 0.01, 0.95).selected == curve.points[9]
    two = non_inferiority(
        curve_of(*means[8:]), contrasts_of(*means[8:], examples=0.0019), 0.01, 0.95
    )
    assert two.selected.parameters == 10


def test_those_that_passed_leave_their_share_to_the_rest() -> None:
    # nine equal ones pass at a ninth of 5% (gap 0); with them gone the tenth is tested at 5%
    means = (0.2868, *[0.28] * 9)
    contrasts = contrasts_of(*means, examples=0.0019)
    assert non_inferiority(curve_of(*means), contrasts, 0.01, 0.95).selected.parameters == 10


def test_too_much_noise_is_undecided_and_keeps_the_best() -> None:
    means = (0.285, 0.280, 0.283)
    verdict = non_inferiority(curve_of(*means), contrasts_of(*means, examples=0.02), 0.01, 0.95)
    assert verdict.undecided
    assert verdict.selected.parameters == 100
    assert "95%" in verdict.reason


def test_without_two_seeds_in_common_nothing_is_shown() -> None:
    one = np.arange(4.0)
    contrasts = Contrasts.of([{1: one + 9, 2: one + 9}, {3: one, 4: one}])
    verdict = non_inferiority(curve_of(9.0, 0.0), contrasts, 0.01, 0.95)
    assert verdict.undecided
    assert "fewer than two seeds in common" in verdict.reason


def test_a_single_finalist_is_chosen() -> None:
    contrasts = Contrasts.of([{1: np.arange(4.0), 2: np.arange(4.0)}])
    assert not non_inferiority(curve_of(0.3), contrasts, 0.01, 0.95).undecided


def test_the_knee_is_worked_by_hand() -> None:
    verdict = bend(0.60, 0.32, 0.30, 0.29, 0.28)
    assert verdict.selected.parameters == 100
    assert not verdict.undecided


def test_what_rises_after_the_best_moves_no_knee() -> None:
    assert bend(0.60, 0.32, 0.30, 0.29, 0.28, 0.35, 0.45).selected.parameters == 100


@pytest.mark.parametrize(
    ("means", "why"),
    [
        ((0.60, 0.30, 0.28), "fewer than 4"),
        ((0.284, 0.283, 0.281, 0.280), "0.0040"),
        ((0.60, 0.50, 0.40, 0.30, 0.20), "no knee"),
        ((0.60, 0.59, 0.57, 0.50, 0.20), "no knee"),
    ],
)
def test_where_there_is_no_knee_none_is_found(means: tuple[float, ...], why: str) -> None:
    verdict = bend(*means)
    assert verdict.undecided
    assert verdict.selected == curve_of(*means).best
    assert why in verdict.reason


def test_a_budget_takes_the_best_below_the_tighter_cap() -> None:
    curve = curve_of(0.30, 0.29, 0.31, 0.28)
    for caps, parameters in (((1000, None), 100), ((None, 400), 100), ((1000, 399), 10)):
        verdict = budget(curve, *caps)
        assert verdict is not None
        assert verdict.selected.parameters == parameters
    assert budget(curve, None, None) is None


def test_a_budget_that_nothing_keeps_is_undecided() -> None:
    verdict = budget(curve_of(0.30, 0.29), None, 39)
    assert verdict is not None
    assert verdict.undecided
    assert verdict.selected.parameters == 100
    assert "39 bytes" in verdict.reason


@given(
    st.lists(st.floats(0.1, 0.9), min_size=1, max_size=8),
    st.floats(1e-4, 0.05),
    st.floats(1e-3, 0.1),
)
def test_every_rule_keeps_to_the_best_or_smaller_and_says_why(
    means: list[float], error: float, margin: float
) -> None:
    curve = curve_of(*means)
    evidence = Evidence(curve, contrasts_of(*means, examples=error))
    for rule in RULES.values():
        verdict = rule(evidence, Settings(margin=margin, max_parameters=10_000))
        assert verdict is not None
        assert verdict.selected.parameters <= curve.best.parameters or verdict.undecided
        assert verdict.selected == curve.best or not verdict.undecided
        assert verdict.reason


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=8), st.floats(1e-4, 0.05))
def test_a_wider_margin_never_needs_a_larger_network(means: list[float], error: float) -> None:
    evidence = Evidence(curve_of(*means), contrasts_of(*means, examples=error))
    sizes = [
        non_inferiority(evidence.curve, evidence.contrasts, margin, 0.95).selected.parameters
        for margin in (0.01, 0.02, 0.2)
    ]
    assert sizes == sorted(sizes, reverse=True)
