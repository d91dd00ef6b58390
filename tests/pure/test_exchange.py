"""What rungs learn from each other, by hand."""

from dataclasses import replace

import pytest

from capsearch.records import Trial
from capsearch.search.exchange import beside, contested
from tests.pure.test_growth import ladder_of, trial


def drawn(loss: float | None, rate: float) -> Trial:
    found = trial(None if loss is None else [loss, loss + 0.01])
    return replace(found, draw={"values": {"learning_rate": rate}})


@pytest.mark.parametrize(
    ("margin", "rungs"), [(0.001, [1, 2, 3]), (0.04, [1, 2, 3]), (0.2, [0, 1, 2, 3])]
)
def test_a_smaller_rung_that_is_clearly_behind_gets_no_more(
    margin: float, rungs: list[int]
) -> None:
    """Means 0.50, 0.41, 0.40 and 0.45; two standard errors of a difference are 0.016.

    The last one is larger, so that it could be as good as the third.
    """
    assert contested(ladder_of(0.5, 0.41, 0.4, 0.45), margin) == rungs


def test_where_nothing_could_be_trained_every_rung_is_tried_again() -> None:
    failed = [[trial(None)], [trial(None)]]
    assert contested(failed, 0.01) == [0, 1]
    assert contested([*failed, [trial([0.4, 0.5])]], 0.01) == [2]


def test_a_rung_hears_of_the_best_below_and_above_and_then_of_the_second_best() -> None:
    rungs = [
        [drawn(0.5, 1.0), drawn(0.4, 2.0)],
        [drawn(0.3, 3.0)],
        [drawn(None, 4.0), drawn(0.6, 5.0), drawn(0.2, 6.0)],
    ]
    rates = [[v["learning_rate"] for v in beside(rungs, 1, turn)] for turn in (0, 1, 2)]
    assert rates == [[2.0, 6.0], [1.0, 5.0], []]
    assert [v["learning_rate"] for v in beside(rungs, 0, 0)] == [3.0]
    assert [v["learning_rate"] for v in beside(rungs, 2, 0)] == [3.0]
