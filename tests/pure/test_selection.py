"""The choice is a pure function, so its numbers can be worked by hand."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.records import Candidate, Curve, Estimate, Job, Outcome, Trial
from capsearch.selection import (
    CapacityCurve,
    Settings,
    best,
    choose,
    contenders,
    estimate,
    frontier,
    one_std_err,
    pct_loss,
    standard_error,
)


def point(parameters: int, mean: float, se: float = 0.004) -> Estimate:
    return Estimate(Candidate((parameters,)), parameters, mean, se, replicates=5)


def curve_of(*points: tuple[int, float, float]) -> CapacityCurve:
    return CapacityCurve(tuple(point(*p) for p in points))


def trial(rung: int, val_loss: float | None, units: int = 1, replicate: int = 0) -> Trial:
    losses = None if val_loss is None else np.full(4, val_loss, np.float32)
    outcome = (
        Outcome.failed("diverged")
        if val_loss is None
        else Outcome(
            Curve((1.0,), (0.5,), (val_loss,), (0.5,)), 1, val_loss, 0.5, 0.0, None, losses
        )
    )
    job = Job.of(Candidate((units,)), study_seed=0, replicate=replicate, epochs=1, patience=1)
    return Trial(f"t/{rung}/{units}", "search", rung, "t", job, 100 * units, outcome)


def test_the_standard_error_of_a_small_table_is_the_one_worked_by_hand() -> None:
    # grand 3, MSR 4, MSC 9, MSE 1: (4 + 9 - 1) / 4 = 3
    assert standard_error(np.array([[1.0, 3.0], [2.0, 6.0]])) == pytest.approx(sqrt(3.0))


def test_one_replicate_gives_the_usual_standard_error_of_a_mean() -> None:
    assert standard_error(np.array([[1.0, 2.0, 3.0, 4.0]])) == pytest.approx(sqrt(5 / 3 / 4))


def test_the_standard_error_covers_seeds_and_examples_alike() -> None:
    """Monte Carlo: the spread of simulated grand means is what the formula estimates."""
    rng = np.random.default_rng(0)
    means, variances = [], []
    for _ in range(2000):
        table = (
            rng.normal(0, 0.3, (4, 1)) + rng.normal(0, 0.8, (1, 25)) + rng.normal(0, 0.5, (4, 25))
        )
        means.append(table.mean())
        variances.append(standard_error(table) ** 2)
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.1)


@given(st.integers(1, 5), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_the_standard_error_scales_with_the_losses_and_ignores_their_level(
    replicates: int, examples: int, seed: int
) -> None:
    table = np.random.default_rng(seed).random((replicates, examples))
    assert standard_error(3 * table + 7) == pytest.approx(3 * standard_error(table), rel=1e-6)


def test_one_standard_error_takes_the_smallest_within_it() -> None:
    curve = curve_of((10, 0.300, 0.004), (100, 0.283, 0.004), (1_000, 0.280, 0.004))
    verdict = one_std_err(curve)
    reason = verdict.reason
    assert verdict.selected.parameters == 100
    assert "1 layer of 100 units" in reason
    assert "(0.2830)" in reason  # its own loss
    assert "(0.2800 + 0.0040)" in reason  # the limit
    assert "(0.3000)" in reason  # the loss of the next smaller one


def test_a_gain_inside_the_noise_does_not_buy_a_bigger_model() -> None:
    curve = curve_of((100, 0.2830, 0.004), (1_000, 0.2800, 0.004))
    assert one_std_err(curve).selected.parameters == 100


def test_a_gain_beyond_the_noise_does() -> None:
    verdict = one_std_err(curve_of((100, 0.2850, 0.004), (1_000, 0.2800, 0.004)))
    assert verdict.selected.parameters == 1_000
    assert "0.2850" in verdict.reason  # the loss of the next smaller one


def test_a_percentage_of_the_best_loss_is_worked_by_hand() -> None:
    curve = curve_of((10, 0.2857, 0.004), (100, 0.2856, 0.004), (1_000, 0.2800, 0.004))
    assert pct_loss(curve, 2.0).selected.parameters == 100


def test_equal_losses_are_won_by_the_smaller_network() -> None:
    assert best(curve_of((10, 0.28, 0.004), (100, 0.28, 0.004))).selected.parameters == 10


def test_a_curve_that_does_not_grow_in_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="must grow"):
        curve_of((100, 0.28, 0.004), (100, 0.27, 0.004))
    with pytest.raises(ValueError, match="at least one"):
        CapacityCurve(())


losses = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=9)


@given(losses, st.floats(0.0, 0.5), st.floats(0.0, 50.0))
def test_no_rule_chooses_a_larger_network_than_the_best(
    means: list[float], se: float, percent: float
) -> None:
    curve = curve_of(*((10 * 2**i, m, se) for i, m in enumerate(means)))
    for verdict in (one_std_err(curve), pct_loss(curve, percent)):
        assert verdict.selected.parameters <= curve.best.parameters
        assert verdict.reason


@given(losses, st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_more_doubt_never_makes_the_choice_larger(means: list[float], a: float, b: float) -> None:
    sizes = [
        one_std_err(
            curve_of(*((10 * 2**i, m, se) for i, m in enumerate(means)))
        ).selected.parameters
        for se in sorted((a, b))
    ]
    assert sizes[1] <= sizes[0]


def test_the_frontier_has_the_best_of_each_rung_and_whatever_beats_all_smaller_ones() -> None:
    trials = [
        trial(0, 0.50, 1),  # the smallest of all: nothing smaller beats it
        trial(0, 0.60, 2),
        trial(0, 0.40, 3),  # the best of its rung
        trial(1, None, 4),
        trial(2, 0.45, 5),  # the best of its rung, worse than a smaller one
        trial(2, 0.46, 6),
    ]
    assert [t.candidate.units for t in frontier(trials[::-1])] == [(1,), (3,), (5,)]


def race(of: Trial, *losses: float) -> list[Trial]:
    """Runs of a trial's candidate from other seeds."""
    runs = [trial(of.rung, loss, of.candidate.units[0]) for loss in losses]
    return [replace(run, id=f"race/{of.id}/{n}", group="race") for n, run in enumerate(runs)]


def test_the_best_of_every_rung_race_and_so_does_whatever_beats_all_smaller_ones() -> None:
    trials = [
        trial(0, 0.70, 1),  # not among the best two of its rung, but the smallest of all
        trial(0, 0.60, 2),
        trial(0, 0.40, 3),
        trial(0, 0.41, 3),  # the same candidate again
        trial(1, None, 4),
        trial(1, 0.45, 5),
    ]
    raced = contenders(trials[::-1], 2)
    assert [t.candidate.units for t in raced] == [(3,), (2,), (1,), (5,)]
    assert next(t.outcome.val_loss for t in raced if t.outcome) == 0.40
    first = race(trials[2], 0.44) + race(trials[1], 0.43) + race(trials[5], 0.1)
    on = contenders(trials + first, 1)  # by the race, and nobody who was not in it
    assert [t.candidate.units for t in on] == [(2,), (5,)]
    last = race(trials[1], 0.43, 0.43) + race(trials[5], 0.1, 0.1) + race(trials[2], 0.1)
    assert {t.candidate.units for t in frontier(trials + last)} == {(2,), (5,)}


def test_who_has_raced_is_judged_by_the_race_and_not_by_its_lucky_trial() -> None:
    lucky, steady, larger = trial(0, 0.30, 2), trial(0, 0.31, 3), trial(1, 0.29, 5)
    also = trial(1, 0.28, 6)  # it did not race: it cannot be a finalist
    races = race(lucky, 0.40, 0.44) + race(steady, 0.32, 0.34) + race(larger, 0.35, 0.35)
    found = frontier([lucky, steady, larger, also, *races])
    assert [t.candidate.units for t in found] == [(2,), (3,), (5,)]
    # 0.42 is the smallest, 0.33 beats it, 0.35 is the best of its rung
    slower = race(steady, 0.45, 0.45)
    kept = frontier([lucky, steady, larger, *races[:2], *slower, *races[4:]])
    assert [t.candidate.units for t in kept] == [(2,), (5,)]


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 1.0)), min_size=1, max_size=30))
def test_the_frontier_holds_the_best_trial_and_grows(drawn: list[tuple[int, float]]) -> None:
    trials = [trial(units // 3, loss, units) for units, loss in drawn]
    finalists = frontier(trials)
    sizes = [t.parameters for t in finalists]
    assert sizes == sorted(set(sizes))
    assert {t.rung for t in finalists} == {t.rung for t in trials}
    assert min(loss for _, loss in drawn) in [t.outcome.val_loss for t in finalists if t.outcome]


def test_a_finalist_that_mostly_failed_has_no_estimate() -> None:
    assert estimate([trial(0, 0.4), trial(0, None), trial(0, None)]) is None
    kept = estimate([trial(0, 0.4), trial(0, 0.5), trial(0, None)])
    assert kept is not None
    assert kept.mean == pytest.approx(0.45)
    assert kept.replicates == 2


def test_the_replicate_of_median_loss_stands_for_the_choice() -> None:
    runs = [trial(0, loss, replicate=i) for i, loss in enumerate((0.30, 0.28, 0.29), start=1)]
    found = estimate(runs)
    assert found is not None
    choice = choose(CapacityCurve((found,)), runs, "one_std_err", Settings())
    assert choice.val_loss == 0.29
    assert choice.job == runs[2].job
