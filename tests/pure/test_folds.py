"""Folds: who is dealt where, and when there are any."""

from collections import Counter
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data import folds
from capsearch.data.options import SplitOptions, check
from capsearch.errors import BadRequest
from capsearch.records import Candidate, Curve, DataProfile, Folds, Interval, Job, Outcome, Trial
from capsearch.selection import JUDGES, judge_for
from capsearch.selection.curve import estimate
from capsearch.tasks import BINARY
from capsearch.validation import JudgingRows
from tests.fakes import profile_of, spec_of

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


def outcome(*losses: float) -> Outcome:
    curve = Curve((0.5,), (0.5,), (float(np.mean(losses)),), (0.5,))
    rows = np.array(losses, np.float32)
    return Outcome(curve, 1, float(np.mean(losses)), 0.5, 0.1, None, rows)


def trial(seed: int, *losses: float) -> Trial:
    job = Job.of(Candidate((2,)), study_seed=1, replicate=seed, epochs=1, patience=1)
    return Trial(f"replicate/0/{seed}", "replicate", 0, "", job, 5, outcome(*losses))


def profile(folds_: Folds | None) -> DataProfile:
    split = "train" if folds_ else "validation"
    return DataProfile("toy", 3, {split: 3}, {split: 0.5}, {}, {split: "a" * 64}, folds=folds_)


def test_rows_of_folds_are_spread_so_that_errors_over_rows_are_wider() -> None:
    judge = judge_for("log_loss", profile(Folds(5)))
    (read,) = judge.read([trial(1, 1.0, 2.0, 6.0)])
    assert read.outcome is not None
    assert read.outcome.val_losses == pytest.approx([0.0, 1.5, 7.5])
    assert read.outcome.val_loss == 3.0
    plain, wide = estimate([trial(1, 1.0, 2.0, 6.0)]), estimate([read])
    assert plain is not None
    assert wide is not None
    assert wide.mean == pytest.approx(plain.mean)
    assert wide.se == pytest.approx(1.5 * plain.se)
    assert judge_for("log_loss", profile(None)) == JUDGES["log_loss"]


def test_what_seeds_add_is_not_widened() -> None:
    judge, runs = judge_for("log_loss", profile(Folds(5))), [trial(1, 1, 2, 6), trial(2, 3, 4, 8)]
    read = [np.asarray(t.outcome.val_losses).mean() for t in judge.read(runs) if t.outcome]
    assert read == pytest.approx([3.0, 5.0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("auc", (0.75, 1.0)), ("r2", (0.75, 1.0)), ("log_loss", (0.75, 1.05))],
)
def test_ends_of_figures_are_wider_within_what_they_can_be(
    name: str, expected: tuple[float, float]
) -> None:
    rows = JudgingRows(BINARY, np.zeros(3), np.arange(3), widening=1.5)
    found = rows._widened(name, Interval(0.9, 0.8, 1.0))
    assert (found.low, found.high) == pytest.approx(expected)
    assert rows._widened("r2", Interval(0.1, 0.0, 0.2)).low == pytest.approx(-0.05)
    assert rows._widened("brier", Interval(0.1, 0.0, 0.2)).low == 0.0


def test_what_needs_one_judgement_a_row_is_refused_where_there_are_several() -> None:
    asked = spec_of(select={"judge": "error"})
    once, twice = (replace(profile_of(), folds=Folds(5, n)) for n in (1, 2))
    assert asked.for_data(once, sparse=False).select.judge == "error"
    with pytest.raises(BadRequest, match=r"select\.judge"):
        asked.for_data(twice, sparse=False)
    assert spec_of().for_data(twice, sparse=False).select.judge == "log_loss"


def test_folds_leave_no_half_of_the_rows_to_stop_by() -> None:
    asked = spec_of(training={"stop_on": "half"})
    assert asked.for_data(profile_of(), sparse=False).training.stop_on == "half"
    with pytest.raises(BadRequest, match=r"training\.stop_on"):
        asked.for_data(replace(profile_of(), folds=Folds()), sparse=False)
