"""P(good), moderated variances and the words of a claim: hand-worked numbers, then properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from capsearch.selection import Goodness, Settings, probably_good, shown
from capsearch.selection.choose import RULES, Evidence, Sureness
from capsearch.selection.moderation import MOST, moderated
from capsearch.selection.probability import SLIGHT, able_to_decide
from tests.pure.test_rules import contrasts_of, curve_of

MEANS = st.lists(st.floats(0.1, 0.9), min_size=1, max_size=7)


def test_equal_variances_are_one_variance_known_for_sure() -> None:
    found = moderated(np.full(3, 4.0), np.full(3, 5))
    assert found.variances == pytest.approx(np.full(3, 5.242), abs=1e-3)
    assert (found.freedom == MOST).all()


def test_variances_that_truly_differ_stay_apart() -> None:
    found = moderated(np.array([1e-8, 1e-4, 1.0]), np.full(3, 20))
    assert found.variances == pytest.approx([1e-8, 1e-4, 1.0], rel=0.2)
    assert (found.freedom < 21).all()


def test_drawn_variances_are_nearer_to_the_truth_after_moderation() -> None:
    """Smyth's model itself: true variances 2 * 6 / chi-square(6), five runs of each of 2,000."""
    rng = np.random.default_rng(0)
    true = 2.0 * 6.0 / rng.chisquare(6, 2_000)
    seen = true * rng.chisquare(4, 2_000) / 4
    found = moderated(seen, np.full(2_000, 5))
    assert found.freedom[0] == pytest.approx(4 + 6, rel=0.25)
    apart = [np.mean((np.log(v) - np.log(true)) ** 2) for v in (found.variances, seen)]
    assert apart[0] < 0.5 * apart[1]
    # what the moderated t statistic promises: t on d0 + d degrees of freedom
    t = rng.standard_normal(2_000) * np.sqrt(true / found.variances)
    assert stats.kstest(t, stats.t(10).cdf).pvalue > 0.01


def test_a_network_with_one_run_has_the_variance_of_the_others() -> None:
    found = moderated(np.array([4.0, 4.0, np.nan]), np.array([5, 5, 1]))
    assert found.variances[2] == pytest.approx(5.242, abs=1e-3)
    assert np.isinf(moderated(np.array([np.nan, np.nan]), np.array([1, 1])).variances).all()


def test_the_probability_of_two_networks_is_worked_by_hand() -> None:
    means = (0.31, 0.30)
    good = Goodness.of(curve_of(*means), contrasts_of(*means, examples=0.005), 0.015)
    assert good.probability[0] == pytest.approx(stats.norm.cdf(1.0), abs=0.02)
    assert good.probability[1] == pytest.approx(stats.norm.cdf((0.015 + 0.01) / 0.005), abs=0.01)


def test_errors_of_seeds_and_rows_have_the_variances_they_are_made_from() -> None:
    contrasts = contrasts_of(0.3, 0.3, 0.3, examples=0.004)
    known = np.var(contrasts.errors[:, 0] - contrasts.errors[:, 1])
    assert known == pytest.approx(0.004**2, rel=0.1)


@given(MEANS, st.floats(0.0001, 0.2), st.floats(0.001, 0.1))
def test_a_wider_margin_makes_no_network_less_probable(
    means: list[float], error: float, margin: float
) -> None:
    curve, contrasts = curve_of(*means), contrasts_of(*means, examples=error)
    narrow, wide = (Goodness.of(curve, contrasts, m).probability for m in (margin, 2 * margin))
    assert (narrow <= wide).all()
    assert narrow.max() > 0


@given(MEANS, st.floats(0.0001, 0.2))
def test_none_is_chosen_below_the_probability_asked_or_above_the_best(
    means: list[float], error: float
) -> None:
    curve, contrasts = curve_of(*means), contrasts_of(*means, examples=error)
    verdict = probably_good(curve, contrasts, 0.01, 0.95)
    place = curve.points.index(verdict.selected)
    probability = Goodness.of(curve, contrasts, 0.01).probability
    assert verdict.selected.parameters <= curve.best.parameters
    if verdict.undecided:
        assert verdict.selected == curve.best
        assert (probability[: place + 1] < 0.95).all()
    else:
        assert probability[place] >= 0.95
        assert (probability[:place] < 0.95).all()


@given(MEANS, st.floats(0.0001, 0.2))
def test_only_networks_that_can_still_decide_are_asked_for_more_seeds(
    means: list[float], error: float
) -> None:
    curve, contrasts = curve_of(*means), contrasts_of(*means, examples=error)
    asked = able_to_decide(curve, contrasts, 0.01, 0.95)
    decided = not probably_good(curve, contrasts, 0.01, 0.95).undecided
    assert bool(asked) != decided
    if asked:
        probability = Goodness.of(curve, contrasts, 0.01).probability
        assert curve.best in asked
        left_out = [p for p, q in zip(curve.points, probability, strict=True) if q > SLIGHT]
        assert set(left_out) <= set(asked)


@pytest.mark.parametrize(
    ("error", "word"), [(0.0001, "proved"), (0.0045, "probable"), (0.03, "open")]
)
def test_the_three_words_follow_the_noise(error: float, word: str) -> None:
    means = (0.4, 0.3022, 0.3)
    evidence = Evidence(curve_of(*means), contrasts_of(*means, examples=error))
    verdict = RULES["probably_good"](evidence, Settings())
    assert verdict
    place = evidence.curve.points.index(verdict.selected)
    assert Sureness.of(evidence, Settings()).standing(place) == word


def test_what_draws_cannot_tell_from_certainty_is_not_shown_as_certain() -> None:
    assert [shown(p) for p in (1.0, 0.991, 0.97, 0.004)] == [
        "above 99%", "above 99%", "97%", "below 1%",
    ]  # fmt: skip
