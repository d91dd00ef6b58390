"""Folds: who is dealt where, and when there are any."""

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data import folds
from capsearch.data.options import SplitOptions, check
from capsearch.errors import BadRequest
from capsearch.records import Folds

KEYS = st.lists(st.integers(0, 40), min_size=2, max_size=120)


@given(KEYS, st.integers(2, 6), st.integers(1, 3), st.integers(0, 99))
def test_equal_keys_are_together_and_every_row_is_judged_once_a_repeat(
    keys: list[int], count: int, repeats: int, seed: int
) -> None:
    dealt = folds.deal(keys, np.zeros(len(keys)), Folds(count, repeats, seed))
    assert dealt.shape == (repeats, len(keys))
    for fold_of in dealt:
        assert len({(key, int(fold)) for key, fold in zip(keys, fold_of, strict=True)}) == len(
            set(keys)
        )
    pairs = list(folds.pairs(dealt))
    for train, validation in pairs:
        assert sorted([*train, *validation]) == list(range(len(keys)))
    judged = Counter(int(i) for _, validation in pairs for i in validation)
    assert judged == dict.fromkeys(range(len(keys)), repeats)


@given(st.lists(st.integers(0, 2), min_size=10, max_size=120), st.integers(2, 5))
def test_every_class_is_spread_as_evenly_as_can_be(classes: list[int], count: int) -> None:
    labels = np.array(classes)
    (fold_of,) = folds.deal(range(len(classes)), labels, Folds(count))
    for label in set(classes):
        sizes = np.bincount(fold_of[labels == label], minlength=count)
        assert sizes.max() - sizes.min() <= 1
    whole = np.bincount(fold_of, minlength=count)
    assert whole.max() - whole.min() <= len(set(classes))


def test_repeats_and_seeds_deal_anew() -> None:
    first, second = folds.deal(range(50), np.zeros(50), Folds(5, 2))
    assert (first != second).any()
    (other,) = folds.deal(range(50), np.zeros(50), Folds(5, 1, seed=1))
    assert (first != other).any()


def test_errors_are_widened_as_published() -> None:
    assert Folds(5).widening == pytest.approx(1.5)
    assert Folds(10).widening == pytest.approx(sqrt(1 + 10 / 9))


@pytest.mark.parametrize(
    ("said", "held_out", "expected"),
    [
        ({}, 999, Folds(5, 1, 0)),
        ({}, 1_000, None),
        ({"validation": "auto", "seed": 4}, 10, Folds(5, 1, 4)),
        ({"validation": 0.2}, 10, None),
        ({"validation": {"folds": 3, "repeats": 4}}, 9_999, Folds(3, 4, 0)),
        ({"validation": {"repeats": 2}}, 9_999, Folds(5, 2, 0)),
    ],
)
def test_few_rows_are_judged_in_folds_and_what_is_said_counts(
    said: dict[str, object], held_out: int, expected: Folds | None
) -> None:
    options = check(SplitOptions, said)
    assert folds.asked_for(options, held_out, given=False, in_time=False) == expected


@pytest.mark.parametrize("where", ["given", "in_time"])
def test_rows_that_are_split_already_or_in_time_have_no_folds(where: str) -> None:
    places = {"given": False, "in_time": False, where: True}
    assert folds.asked_for(SplitOptions(), 10, **places) is None
    with pytest.raises(BadRequest, match=r"data\.validation"):
        folds.asked_for(check(SplitOptions, {"validation": {}}), 10, **places)


@pytest.mark.parametrize(
    "said",
    [0, 1, 1.5, -0.1, True, "0.2", "none", [5], {"folds": 1}, {"folds": 21}, {"folds": 2.5},
     {"folds": True}, {"repeats": 0}, {"fold": 5}, {"seed": 1}],
)  # fmt: skip
def test_what_is_no_validation_is_named(said: object) -> None:
    with pytest.raises(BadRequest) as error:
        check(SplitOptions, {"validation": said})
    assert error.value.mistakes[0].startswith("data.validation: ")
