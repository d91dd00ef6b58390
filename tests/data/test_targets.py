"""What a target is, for every task: labels, amounts and flags as engines train on them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data import cache, material
from capsearch.data.fitting import fit
from capsearch.data.material import Material
from capsearch.data.options import SplitOptions
from capsearch.data.source import RawData
from capsearch.data.targets import read_target
from capsearch.errors import BadRequest
from capsearch.records import DataProfile
from capsearch.tasks import Regression
from tests.fakes import Given

RNG = np.random.default_rng(1)
X = RNG.normal(size=(120, 3))
THREE = np.array(["low", "high", "mid"] * 40, object)
AMOUNTS = RNG.normal(100.0, 20.0, size=120)
FLAGS = (RNG.random((120, 3)) < 0.4).astype(int)


def options(**said: Any) -> SplitOptions:
    return SplitOptions(**said)


def material_of(target: Any, *, weight: Any = None, **said: Any) -> Material:
    return material.read(Given(RawData({"x": X}, target, weight=weight)), "given", options(**said))


def refused(target: Any, **said: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        material_of(target, **said)
    return "\n".join(caught.value.mistakes)


def profile_of(rows: Material) -> DataProfile:
    return cache.profile_of(rows, fit(rows.part("train").columns, options(), rows.searched()))


def test_words_are_classes_by_the_alphabet_and_as_they_are_named() -> None:
    rows = material_of(THREE)
    assert rows.task.kind == "multiclass"
    assert rows.task.labels == ("high", "low", "mid")
    assert rows.y[:3].tolist() == [1.0, 0.0, 2.0]
    named = material_of(THREE, task="multiclass", labels=["low", "mid", "high"])
    assert named.y[:3].tolist() == [0.0, 2.0, 1.0]
    shares = profile_of(rows).targets["train"]
    assert shares == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=0.02)


def test_numbers_as_classes_keep_their_order_of_size() -> None:
    rows = material_of(np.array([10, 9, 100] * 40), task="multiclass")
    assert rows.task.labels == ("9", "10", "100")


def test_few_whole_numbers_are_asked_about_with_the_lines_that_settle_it() -> None:
    told = refused(np.array([3, 5, 8] * 40))
    assert 'task = "multiclass"' in told
    assert 'task = "regression"' in told


def test_an_amount_is_learned_in_the_training_rows_standard_deviations() -> None:
    rows = material_of(AMOUNTS)
    train, task = AMOUNTS[rows.splits["train"]], rows.task
    assert isinstance(task, Regression)
    assert (task.mean, task.scale) == pytest.approx((train.mean(), train.std()))
    assert rows.y[rows.splits["train"]].std() == pytest.approx(1.0, abs=1e-5)
    assert profile_of(rows).balance == {}
    mean, deviation = profile_of(rows).targets["train"]
    assert (mean, deviation) == pytest.approx((train.mean(), train.std()), rel=1e-5)
    huber = material_of(AMOUNTS, task="regression", loss="huber").task
    assert isinstance(huber, Regression)
    assert huber.loss == "huber"


@pytest.mark.parametrize(
    ("target", "named"),
    [([*AMOUNTS[:-2].tolist(), "many", 3.0], "many"), ([*AMOUNTS[:-1], np.inf], "inf"),
     ([*AMOUNTS[:-1], np.nan], "nan"), ([7.0] * 120, "7")],
)  # fmt: skip
def test_an_amount_must_be_a_number_and_not_always_the_same(target: Any, named: str) -> None:
    assert named in refused(np.array(target, object), task="regression")


def test_several_columns_are_labels_of_their_own() -> None:
    rows = material_of(FLAGS, labels=["a", "b", "c"])
    assert (rows.task.kind, rows.task.labels) == ("multilabel", ("a", "b", "c"))
    assert rows.y.shape == (120, 3)
    assert profile_of(rows).targets["train"] == pytest.approx(
        FLAGS[rows.splits["train"]].mean(axis=0), abs=1e-6
    )
    words = material_of(np.where(FLAGS == 1, "Yes", "no").astype(object))
    assert (words.y == rows.y).all()
    assert words.task.labels == ("1", "2", "3")
    assert "'b'" in refused(np.where(FLAGS == 1, [1, 2, 1], 0), labels=["a", "b", "c"])
    assert "label" in refused(FLAGS * [1, 0, 1])  # one that no training row has


def test_what_does_not_fit_the_task_is_said_together() -> None:
    told = refused(AMOUNTS, task="regression", class_weights="balanced")
    assert "class_weights" in told
    assert "loss" in refused(THREE, task="multiclass", loss="huber")
    assert "3" in refused(FLAGS, task="binary")
    assert "two or more" in refused(THREE, task="multilabel")
    assert "two classes" in refused(THREE, task="binary")
    assert "two classes, not 10" in refused(np.arange(120) % 10, task="binary")
    assert "'mid'" in refused(THREE, task="multiclass", labels=["low", "high"])


def test_balanced_classes_count_the_same_by_their_shares_of_training_rows() -> None:
    target = np.array(["rare"] * 30 + ["usual"] * 90, object)
    rows = material_of(target, class_weights="balanced")
    assert rows.task.labels == ("rare", "usual")
    assert rows.task.class_weights == pytest.approx((2.0, 2 / 3), rel=0.05)


def test_weights_of_rows_are_handed_on_and_are_part_of_what_rows_are() -> None:
    weight = np.linspace(0.5, 1.5, 120)
    rows, plain = material_of(THREE, weight=weight), material_of(THREE)
    part = rows.part("train")
    assert part.weight == pytest.approx(weight[rows.splits["train"]], rel=1e-6)
    assert plain.part("train").weight is None
    assert rows.fingerprints != plain.fingerprints
    assert profile_of(rows).weighted
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(BadRequest, match="weight"):
            material_of(THREE, weight=np.where(np.arange(120) == 7, wrong, weight))


@given(st.permutations(["b", "a", "c"]), st.integers(0, 100))
def test_labels_have_the_same_numbers_in_whatever_order_rows_come(
    order: list[str], seed: int
) -> None:
    texts = np.array([*order * 5], object)
    np.random.default_rng(seed).shuffle(texts)
    read = read_target(texts, options(task="multiclass"))
    places = {"a": 0.0, "b": 1.0, "c": 2.0}
    assert read.values(texts).tolist() == [places[text] for text in texts]
