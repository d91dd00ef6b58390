"""Metrics and their intervals: worked by hand, and equal to scikit-learn's where it has them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from capsearch.records import Interval
from capsearch.tasks import BINARY, Multiclass, Multilabel, Regression
from capsearch.tasks.binary import threshold_of
from capsearch.tasks.intervals import apart, auc_of, mean_of, share_of, together

SEEDS = st.integers(0, 10_000)


def test_a_share_has_wilsons_ends() -> None:
    found = share_of(0.8, 10)
    assert (found.low, found.high) == pytest.approx((0.490162, 0.943318), abs=1e-5)
    assert share_of(0.0, 10).low == pytest.approx(0.0)
    assert share_of(1.0, 10).low == pytest.approx(10 / 13.841459, abs=1e-6)


def test_a_mean_has_normal_ends_and_one_row_has_none() -> None:
    found = mean_of(np.array([1.0, 2.0, 3.0]))
    assert found.high - 2.0 == pytest.approx(1.959964 / 3**0.5)
    assert mean_of(np.array([5.0])) == Interval(5.0, 5.0, 5.0)


def test_parts_without_common_rows_add_in_squares_and_others_do_not() -> None:
    parts = [Interval(0.8, 0.6, 0.9), Interval(0.6, 0.3, 0.7)]
    found = apart(parts)
    assert found.value - found.low == pytest.approx(0.13**0.5 / 2)
    assert found.high - found.value == pytest.approx(0.02**0.5 / 2)
    mean = together(parts)
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.7, 0.45, 0.8))


def test_the_ends_of_an_area_are_where_the_observed_one_is_a_quantile_away() -> None:
    found = auc_of(0.8, 30, 20)
    for end in (found.low, found.high):
        spread = end * (1 - end) * (1 + 24 * ((1 - end) / (2 - end) + end / (1 + end)))
        assert abs(0.8 - end) == pytest.approx(1.959964 * (spread / 600) ** 0.5, rel=1e-5)
    assert 0.6 < found.low < 0.75
    assert 0.85 < found.high < 0.95


@pytest.mark.parametrize("auc", [0.0, 1.0])
def test_rows_that_are_told_apart_perfectly_leave_doubt(auc: float) -> None:
    found = auc_of(auc, 12, 12)
    assert found.high - found.low > 0.1
    assert auc in (found.low, found.high)


def test_binary_figures_by_hand() -> None:
    """True 1, 1, 0, 0 at 0.9, 0.4, 0.4, 0.1: one tie, one miss."""
    found = BINARY.metrics(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0]))
    assert found["accuracy"].value == 0.75
    assert found["auc"].value == pytest.approx(0.875)
    assert found["average_precision"].value == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 0.8) / 2)
    assert found["brier"].value == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)


@given(SEEDS)
def test_binary_figures_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 20, size=60) / 20
    y = (rng.random(60) < p).astype(np.float32)
    y[:2] = 0, 1
    found = BINARY.metrics(p, y, threshold=0.3)
    said = p > 0.3
    assert found["balanced_accuracy"].value == pytest.approx(
        theirs.balanced_accuracy_score(y, said)
    )
    assert found["macro_f1"].value == pytest.approx(
        theirs.f1_score(y, said, average="macro", zero_division=0.0)
    )
    assert found["auc"].value == pytest.approx(theirs.roc_auc_score(y, p))
    assert found["average_precision"].value == pytest.approx(theirs.average_precision_score(y, p))
    assert found["log_loss"].value == pytest.approx(theirs.log_loss(y, p))
    assert found["brier"].value == pytest.approx(theirs.brier_score_loss(y, p))
    assert all(each.low <= each.value <= each.high for each in found.values())


@given(SEEDS)
def test_multiclass_figures_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = Multiclass(("a", "b", "c"))
    p = task.predictions(rng.normal(size=(80, 3)))
    y = np.append(np.arange(3), rng.integers(3, size=77)).astype(np.float32)
    found, said, hot = task.metrics(p, y), p.argmax(axis=1), np.eye(3)[y.astype(int)]
    assert found["accuracy"].value == theirs.accuracy_score(y, said)
    assert found["balanced_accuracy"].value == pytest.approx(
        theirs.balanced_accuracy_score(y, said)
    )
    assert found["macro_f1"].value == pytest.approx(theirs.f1_score(y, said, average="macro"))
    assert found["auc"].value == pytest.approx(theirs.roc_auc_score(hot, p, average="macro"))
    assert found["average_precision"].value == pytest.approx(
        theirs.average_precision_score(hot, p, average="macro")
    )
    assert found["brier"].value == pytest.approx(((p - hot) ** 2).sum(axis=1).mean())


@given(SEEDS)
def test_multilabel_figures_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = Multilabel(("a", "b", "c"))
    p, y = rng.random((50, 3)), rng.integers(2, size=(50, 3))
    y[0], y[1] = 0, 1
    found, said = task.metrics(p, y), p > 0.5
    assert found["exact_match"].value == theirs.accuracy_score(y, said)
    assert found["label_accuracy"].value == pytest.approx(1 - theirs.hamming_loss(y, said))
    assert found["macro_f1"].value == pytest.approx(theirs.f1_score(y, said, average="macro"))
    assert found["auc"].value == pytest.approx(theirs.roc_auc_score(y, p))


@given(SEEDS)
def test_figures_of_a_number_are_scikit_learns_in_its_own_unit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(30.0, 7.0, size=40)
    task = Regression.of(target)
    said = (target + rng.normal(size=40)).astype(np.float32)
    found = task.metrics(said, task.standardised(target))
    assert found["rmse"].value == pytest.approx(
        theirs.root_mean_squared_error(target, said), rel=1e-4
    )
    assert found["mae"].value == pytest.approx(theirs.mean_absolute_error(target, said), rel=1e-4)
    assert found["r2"].value == pytest.approx(theirs.r2_score(target, said), rel=1e-4)
    assert found["r2"].low < found["r2"].value < found["r2"].high <= 1.0


def test_rows_of_one_class_leave_out_what_needs_two() -> None:
    found = BINARY.metrics(np.array([0.4, 0.6]), np.array([0, 0]))
    assert not {"auc", "average_precision"} & found.keys()
    assert found["balanced_accuracy"].value == 0.5
    flat = Regression().metrics(np.ones(3), np.zeros(3))
    assert "r2" not in flat


def test_classes_of_like_size_are_cut_at_one_half() -> None:
    rng = np.random.default_rng(0)
    assert threshold_of(rng.random(100), np.arange(100) % 2) == 0.5
    assert threshold_of(rng.random(10), np.zeros(10)) == 0.5


def test_a_threshold_by_hand() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.05, 0.15, 0.25, 0.6], np.float32)
    y = np.array([0, 0, 0, 0, 0, 1, 1])
    assert threshold_of(p, y) == pytest.approx(0.225, abs=1e-6)


@given(SEEDS)
def test_no_other_threshold_serves_both_classes_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = (np.arange(60) % 6 == 0).astype(np.float32)
    p = np.clip(rng.normal(0.2 + 0.2 * y, 0.15), 0.0, 1.0).round(2)

    def both(cut: float) -> float:
        return float((p[y == 1] > cut).mean() + (p[y == 0] <= cut).mean())

    chosen = both(threshold_of(p, y))
    assert all(both(cut) <= chosen + 1e-9 for cut in np.linspace(0, 1, 201))


def test_what_is_never_negative_has_no_mean_below_zero() -> None:
    """By hand, 0, 0 and 3: mean 1, deviation sqrt(3), reach 1.96: 0 to 2.96, and not -0.96."""
    skewed = mean_of(np.array([0.0, 0.0, 3.0]))
    assert (skewed.value, skewed.low) == (1.0, 0.0)
    assert skewed.high == pytest.approx(2.96, abs=1e-3)
    assert mean_of(np.array([-1.0, 1.0, 3.0])).low < 0.0
