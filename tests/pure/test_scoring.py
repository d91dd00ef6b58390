"""Losses, accuracies and their intervals, against numbers worked by hand."""

from math import log, sqrt

import numpy as np
import pytest

from capsearch.scoring import summary


def scored(hits: int, rows: int) -> tuple[float, float]:
    """The interval of an accuracy."""
    found = summary(np.full(rows, 0.9, np.float32), np.repeat([1.0, 0.0], [hits, rows - hits]))
    assert found["accuracy"] == hits / rows
    return float(found["accuracy_low"]), float(found["accuracy_high"])


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    """8 of 10: centre (0.8 + 0.192073) / 1.384146, half width 1.959964 / 1.384146 * 0.15994."""
    assert scored(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-5)
    assert scored(0, 10) == pytest.approx((0.0, 3.841459 / 13.841459), abs=1e-6)
    assert scored(10, 10) == pytest.approx((10 / 13.841459, 1.0), abs=1e-6)


def test_a_summary_as_worked_by_hand() -> None:
    """Losses ln 2, ln 4, ln 4/3 ... of labels 1, 1, 0, 0 at 0.5, 0.25, 0.25, 0.75."""
    probabilities = np.array([0.5, 0.25, 0.25, 0.75], np.float32)
    found = summary(probabilities, np.array([1, 1, 0, 0], np.float32))
    losses = [log(2), log(4), log(4 / 3), log(4)]
    mean = sum(losses) / 4
    deviation = sqrt(sum((loss - mean) ** 2 for loss in losses) / 3)
    assert found["loss"] == pytest.approx(mean)
    assert found["loss_high"] - found["loss"] == pytest.approx(1.959964 * deviation / 2)
    assert found["loss"] - found["loss_low"] == pytest.approx(1.959964 * deviation / 2)
    assert found["accuracy"] == 0.25  # a probability of exactly one half says 0
    assert found["rows"] == 4


def test_a_probability_of_zero_or_one_costs_what_it_costs_in_keras() -> None:
    found = summary(np.array([0.0, 1.0], np.float32), np.array([1, 0], np.float32))
    assert found["loss"] == pytest.approx(-log(1e-7), rel=1e-6)
