"""Stability, price and advice, on small tables of known noise."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from capsearch.records import Candidate, Curve, Job, Outcome, Trial, Uncertainty
from capsearch.selection import CapacityCurve, Contrasts, Settings, choose, estimate, uncertainty_of
from capsearch.selection.advice import Comparison, Components
from capsearch.selection.contrasts import LossTable
from capsearch.selection.uncertainty import resampled_means

PAIR = np.array([[1.0, 3.0], [2.0, 6.0]])


def tables(
    means: Sequence[float], *, rows: int = 400, seeds: int = 5, seed_sd: float = 0.002,
    own: float = 0.05, both: float = 0.05, rng: int = 0,
) -> list[LossTable]:  # fmt: skip
    """Losses with a large part in common, and each candidate's own part of this deviation."""
    dice = np.random.default_rng(rng)
    hard, made = dice.exponential(0.3, rows), list[LossTable]()
    for mean in means:
        losses = mean + hard - hard.mean() + dice.normal(0, own, rows)
        losses = losses + dice.normal(0, seed_sd, (seeds, 1)) + dice.normal(0, both, (seeds, rows))
        made.append(dict(enumerate(losses)))
    return made


def judged(losses: Sequence[LossTable], rule: str = "one_std_err") -> Uncertainty:
    trials = [
        _trial(place, replicate, row)
        for place, table in enumerate(losses)
        for replicate, row in table.items()
    ]
    found = [estimate([t for t in trials if t.rung == place]) for place in range(len(losses))]
    curve = CapacityCurve(tuple(point for point in found if point))
    return uncertainty_of(curve, trials, choose(curve, trials, rule, Settings()), Settings())


def _trial(place: int, replicate: int, row: np.ndarray) -> Trial:
    mean = float(row.mean())
    job = Job.of(
        Candidate((place + 1,)), study_seed=0, replicate=replicate + 1, epochs=1, patience=1
    )
    outcome = Outcome(
        Curve((1.0,), (0.5,), (mean,), (0.5,)), 1, mean, 0.5, 0.0, None, row.astype(np.float32)
    )
    return Trial(
        f"replicate/{place}/{replicate}", "replicate", place, "t", job, 10 ** (place + 1), outcome
    )


def test_a_wide_gap_is_chosen_by_every_resample() -> None:
    uncertainty = judged(tables([0.9, 0.5, 0.2]))
    assert uncertainty.stability == 1.0
    assert uncertainty.resamples == 1000
    assert (
        uncertainty.loss_increase,
        uncertainty.loss_increase_low,
        uncertainty.loss_increase_high,
    ) == (0.0, 0.0, 0.0)
    assert not uncertainty.undecided
    assert "no cost" in uncertainty.advice


def test_a_small_price_is_told_with_its_interval() -> None:
    losses = tables([0.500, 0.300, 0.2995], rows=3000, seed_sd=0.0001)
    uncertainty = judged(losses)
    pair = Contrasts.of(losses)
    assert uncertainty.loss_increase == pytest.approx(pair.gap[1, 2], abs=1e-6)
    assert uncertainty.loss_increase_high - uncertainty.loss_increase == pytest.approx(
        pair.half_width(0.025)[1, 2], rel=1e-3
    )
    assert uncertainty.loss_increase_high < 0.01
    assert not uncertainty.undecided
    assert "enough data" in uncertainty.advice
    assert "at most 0.01 worse" in uncertainty.advice


def test_a_cost_that_is_clearly_too_high_is_said_to_be() -> None:
    uncertainty = judged(tables([0.33, 0.30], rows=40, own=0.002, both=0.002, seed_sd=0.0001))
    assert uncertainty.loss_increase_low > 0.01
    assert not uncertainty.undecided
    assert "more than 0.01 worse" in uncertainty.advice


def test_networks_that_do_not_differ_are_all_as_good_as_the_best() -> None:
    uncertainty = judged(tables([0.3, 0.3, 0.3, 0.3, 0.3]), "best")
    assert uncertainty.stability < 0.5
    assert not uncertainty.undecided


def test_a_difference_lost_in_noise_leaves_it_undecided() -> None:
    uncertainty = judged(tables([0.304, 0.3], own=0.3), "probably_good")
    assert uncertainty.undecided
    assert uncertainty.advice.startswith("To tell ")


def test_a_rule_that_cannot_decide_says_what_it_would_take() -> None:
    uncertainty = judged(tables([0.9, 0.304, 0.3], own=0.15), "non_inferiority")
    assert uncertainty.undecided
    assert "at most 0.01 worse" in uncertainty.advice
    assert "rows to validate on instead of 400" in uncertainty.advice


def test_more_data_do_not_make_a_knee() -> None:
    uncertainty = judged(tables([0.9, 0.3]), "knee")
    assert uncertainty.undecided
    assert "another rule" in uncertainty.advice


def test_the_same_study_has_the_same_doubt() -> None:
    losses = tables([0.32, 0.305, 0.3])
    assert judged(losses) == judged(losses)


def test_resamples_spread_as_the_standard_error_says() -> None:
    """Over many tables: the variance of a difference is that of seeds and of examples, in which the
    residual is counted twice, and once more as both are drawn anew (Owen and Eckles).
    """
    seen, expected = [], []
    for rng in range(60):
        losses = tables([0.3, 0.3], rows=200, seed_sd=0.01, rng=rng)
        means = resampled_means(losses, 400)
        pair = Contrasts.of(losses)
        seen.append(float(np.var(means[:, 0] - means[:, 1])))
        expected.append(pair.seeds[0, 1] + pair.examples[0, 1] + pair.residual[0, 1])
    assert np.mean(seen) == pytest.approx(np.mean(expected), rel=0.1)


def test_a_replicate_that_failed_is_left_out_of_every_resample() -> None:
    first, second = tables([0.3, 0.3], seeds=3)
    means = resampled_means([first, {2: second[2]}], 50)
    assert means.shape == (50, 2)
    assert np.isfinite(means).all()


def test_the_variance_components_are_worked_by_hand() -> None:
    zero = np.zeros(2)
    pair = Contrasts.of([dict(enumerate(PAIR)), {0: zero, 1: zero}])
    parts = Components.of(pair, 0, 1)
    assert (parts.seed, parts.example, parts.residual) == pytest.approx((1.5, 4.0, 1.0))
    # t(1) at a quarter is 1: as observed sqrt(1 + 2.25)
    assert parts.half_width(2, 2, 0.25) == pytest.approx(pair.half_width(0.25)[0, 1])


def test_the_fewest_that_tell_are_found() -> None:
    parts = Components(seed=0.0, example=1.0, residual=0.0, replicates=5, rows=100)
    # 1.96 / sqrt(n) < 0.1 from n = 385 on; with t instead of z, 387
    assert parts.rows_for(0.1, 0.025, 5) == 387
    assert parts.replicates_for(0.1, 0.025) is None
    seeds = Components(seed=1.0, example=0.0, residual=0.0, replicates=2, rows=100)
    # t(R - 1) / sqrt(R) < 1 from R = 7 on: 2.447 / 2.646; at 6 it is 2.571 / 2.449
    assert seeds.replicates_for(1.0, 0.025) == 7
    assert seeds.rows_for(1.0, 0.025, 2) is None


@pytest.mark.parametrize(
    ("seed", "example", "says"),
    [
        (0.0, 1.2, "; more fresh-seed runs alone are not enough"),
        (0.05, 0.0, "; more rows to validate on alone are not enough"),
        (0.05, 1.2, "both 10 fresh-seed runs of each network instead of 5 and about"),
        (9.0, 9.0, "no reasonable number"),
    ],
)
def test_the_advice_says_what_cannot_help(seed: float, example: float, says: str) -> None:
    k = np.ones((2, 2)) - np.eye(2)
    contrasts = Contrasts(
        0.1 * np.array([[0, 1], [-1, 0]]), seed / 5 * k, example / 100 * k, 0 * k,
        np.full((2, 2), 5), 100, np.full(2, seed / 2), np.full(2, 5),
    )  # fmt: skip
    found = estimate([_trial(0, r, np.arange(4.0)) for r in range(2)])
    other = estimate([_trial(1, r, np.arange(4.0)) for r in range(2)])
    assert found
    assert other
    advice = Comparison(0, 1, 0.3, 0.025).advice(CapacityCurve((found, other)), contrasts)
    assert "1 layer of 1 unit is at most 0.3 worse than 1 layer of 2 units" in advice
    assert says in advice


@pytest.mark.integration
@pytest.mark.parametrize("rule", ["one_std_err", "non_inferiority"])
def test_a_thousand_resamples_of_ten_finalists_take_less_than_a_second(rule: str) -> None:
    losses = tables([0.28 + 0.1 * 0.4**k for k in range(10)], rows=5_000)
    taken = []
    for _ in range(3):
        began = time.thread_time()
        judged(losses, rule)
        taken.append(time.thread_time() - began)
    assert min(taken) < 1.0, taken
