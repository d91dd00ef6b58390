"""Losses and blind scores of every task, against numbers worked by hand and against each other."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.tasks import BINARY, Binary, Multiclass, Multilabel, Regression, Task, task_of
from capsearch.tasks.weights import balanced_weights, row_weights
from tests.fakes import targets_of

THREE = Multiclass(("red", "green", "blue"))
TWO_LABELS = Multilabel(("warm", "dry"))
HOUSES = Regression(mean=200.0, scale=50.0)
HUBER = Regression(mean=200.0, scale=50.0, loss="huber", delta=1.0)
TASKS = (BINARY, Binary(("no", "yes"), (1.0, 3.0)), THREE, TWO_LABELS, HOUSES, HUBER)


def drawn(task: Task, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw values, and targets that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(rows, task.outputs)).astype(np.float32) * 3
    return raw, targets_of(task, rng.normal(size=(rows, task.outputs)))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_read_back_from_what_it_says_of_itself(task: Task) -> None:
    assert task_of(task.describe()) == task


def test_plain_binary_rows_say_nothing_of_themselves() -> None:
    assert BINARY.describe() == {}
    assert task_of({}) == BINARY


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ranking"},
        {"kind": "binary", "labels": ["a"]},
        {"kind": "binary", "labels": ["a", "a"]},
        {"kind": "binary", "class_weights": [1.0]},
        {"kind": "multiclass", "labels": ["a"]},
        {"kind": "multiclass", "labels": ["a", "b"], "class_weights": [1.0]},
        {"kind": "multilabel", "labels": ["a"]},
        {"kind": "regression", "scale": 0.0},
        {"kind": "regression", "mean": float("nan")},
        {"kind": "regression", "loss": "absolute"},
        {"kind": "regression", "loss": "huber", "delta": 0.0},
    ],
)
def test_what_can_be_no_task_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any of them
        task_of(wrong)


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 1000))
def test_losses_of_raw_values_are_those_of_the_predictions_made_of_them(
    task: Task, seed: int
) -> None:
    raw, y = drawn(task, 20, seed)
    task.check(y)
    np.testing.assert_allclose(
        task.losses(task.predictions(raw), y), task.raw_losses(raw, y), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("task", "y"),
    [
        (BINARY, np.array([0.0, 2.0])),
        (BINARY, np.zeros((3, 1))),
        (THREE, np.array([0.0, 3.0])),
        (THREE, np.array([0.5])),
        (TWO_LABELS, np.zeros(4)),
        (TWO_LABELS, np.full((2, 2), 0.5)),
        (HOUSES, np.array([1.0, np.nan])),
    ],
)
def test_targets_of_another_task_are_refused(task: Task, y: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the targets of"):
        task.check(y)


def test_a_class_of_probability_one_quarter_costs_ln_4() -> None:
    """Logits 0, ln 3 and -infinity are shares of 1 and 3 in 4."""
    raw = np.array([[0.0, log(3), -99.0]] * 2, np.float32)
    losses = THREE.raw_losses(raw, np.array([0.0, 1.0], np.float32))
    assert losses == pytest.approx([log(4), log(4 / 3)], abs=1e-6)
    assert THREE.predictions(raw)[0] == pytest.approx([0.25, 0.75, 0.0], abs=1e-6)


def test_labels_are_judged_one_by_one_and_a_row_is_their_mean() -> None:
    """Logits 0 and ln 3 of 1 and 0: ln 2 and ln 4."""
    raw = np.array([[0.0, log(3)]], np.float32)
    losses = TWO_LABELS.raw_losses(raw, np.array([[1.0, 0.0]], np.float32))
    assert losses == pytest.approx([(log(2) + log(4)) / 2], abs=1e-6)


def test_an_error_of_three_deviations_is_nine_or_two_and_a_half() -> None:
    raw, y = np.array([[3.0], [0.5]], np.float32), np.zeros(2, np.float32)
    assert HOUSES.raw_losses(raw, y) == pytest.approx([9.0, 0.25])
    assert HUBER.raw_losses(raw, y) == pytest.approx([2.5, 0.125])
    assert HOUSES.predictions(raw) == pytest.approx([350.0, 225.0])
    assert HOUSES.figure(4.0) == 100.0


def test_a_target_is_standardised_and_told_in_its_own_unit() -> None:
    task = Regression.of(np.array([1.0, 3.0, 5.0, 7.0]))
    assert (task.mean, task.scale) == pytest.approx((4.0, 5**0.5))
    y = task.standardised(np.array([4.0, 4.0 + 5**0.5]))
    assert y == pytest.approx([0.0, 1.0])
    assert task.natural(y) == pytest.approx([4.0, 4.0 + 5**0.5])
    with pytest.raises(ValueError, match="scale above 0"):
        Regression.of(np.ones(3))


def test_blind_losses_by_hand() -> None:
    assert BINARY.blind_loss(np.array([1, 0, 0, 0])) == pytest.approx(0.5623, abs=1e-4)
    assert THREE.blind_loss(np.array([0, 0, 1, 2])) == pytest.approx(1.0397, abs=1e-4)
    labels = np.array([[1, 1], [0, 0], [1, 0], [0, 0]])
    assert TWO_LABELS.blind_loss(labels) == pytest.approx((0.6931 + 0.5623) / 2, abs=1e-4)
    assert HOUSES.blind_loss_of((210.0, 75.0)) == pytest.approx(2.25)


def test_the_blind_loss_of_huber_is_that_of_a_normal_target() -> None:
    rng = np.random.default_rng(0)
    losses = HUBER.raw_losses(rng.normal(size=(400_000, 1)), np.zeros(400_000))
    assert HUBER.blind_loss_of((200.0, 50.0)) == pytest.approx(float(losses.mean()), rel=0.01)


def test_weights_are_one_in_the_mean_and_classes_that_balance_cost_ln_2_blindly() -> None:
    y = np.array([0, 0, 0, 1], np.float32)
    assert row_weights(BINARY, y, None) is None
    rows = row_weights(BINARY, y[:3], np.array([1, 1, 4], np.float32))
    assert rows is not None
    assert rows.tolist() == [0.5, 0.5, 2.0]
    weights = balanced_weights((0.75, 0.25))
    assert weights == pytest.approx((2 / 3, 2.0))
    balanced = Binary(class_weights=weights)
    assert balanced.blind_loss(y) == pytest.approx(log(2))
    both = row_weights(balanced, y, np.array([1, 1, 1, 3], np.float32))
    assert both == pytest.approx(np.array([2 / 3, 2 / 3, 2 / 3, 6.0]) / 2.0)


@pytest.mark.parametrize("bad", [[1.0, -1.0], [np.nan, 1.0], [0.0, 0.0], [1.0]])
def test_weights_that_are_none_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        row_weights(BINARY, np.array([0, 1], np.float32), np.array(bad, np.float32))
