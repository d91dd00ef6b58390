"""Rows in folds: what is learned of each fold's training rows alone, and what of all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.data import cache, material
from capsearch.data.options import SplitOptions, check
from capsearch.data.source import RawData
from capsearch.data.sources.csv import Csv
from capsearch.data.table_options import TableOptions
from capsearch.errors import BadRequest
from capsearch.records import Folds
from tests.fakes import Given


def read(raw: RawData, **said: Any) -> material.Material:
    return material.read(Given(raw), "given", check(SplitOptions, {"test": 0.2, **said}))


def numbers(rows: int = 200, **more: Any) -> RawData:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    return RawData({"x": x}, np.where(x[:, 0] > 0, "yes", "no").astype(object), **more)


def test_the_same_rows_are_for_testing_however_networks_are_validated() -> None:
    held_out, few, asked = (
        read(numbers(), **said)
        for said in ({"validation": 0.2}, {}, {"validation": {"folds": 4, "repeats": 2}})
    )
    assert held_out.splits["test"].tolist() == few.splits["test"].tolist()
    assert held_out.splits["test"].tolist() == asked.splits["test"].tolist()
    searched = sorted([*held_out.splits["train"], *held_out.splits["validation"]])
    assert few.splits["train"].tolist() == asked.splits["train"].tolist() == searched
    assert (few.folds, asked.folds) == (Folds(5, 1, 0), Folds(4, 2, 0))
    assert few.dealt.shape == (1, len(searched))
    assert asked.dealt.shape == (2, len(searched))


def test_many_rows_are_held_out_and_so_are_rows_in_time() -> None:
    assert read(numbers(6_000)).folds is None
    assert read(numbers(4_000)).folds is not None
    in_time = numbers(time=np.arange(200))
    assert read(in_time).splits.keys() == {"train", "validation", "test"}
    with pytest.raises(BadRequest, match="in the order of time"):
        read(in_time, validation={"folds": 5})


def test_a_group_is_in_one_fold() -> None:
    group = np.arange(200) // 7
    rows = read(numbers(group=group))
    for fold_of in rows.dealt:
        pairs = set(zip(group[rows.splits["train"]].tolist(), fold_of.tolist(), strict=True))
        assert len(pairs) == len(set(group[rows.splits["train"]]))


def test_a_label_of_one_row_is_held_out_unless_folds_are_asked_for() -> None:
    raw = numbers(60)
    target = raw.target.copy()
    target[:] = [f"{i % 3}" for i in range(60)]
    target[0] = "rare"
    rare = RawData(raw.columns, target)
    seeds = [s for s in range(20) if 0 in _train(rare, s)]
    assert read(rare, task="multiclass", seed=seeds[0]).folds is None
    with pytest.raises(BadRequest, match=r"data\.validation: .*'rare'"):
        read(rare, task="multiclass", seed=seeds[0], validation={"folds": 3})


def _train(raw: RawData, seed: int) -> list[int]:
    try:
        found: list[int] = read(raw, task="multiclass", seed=seed).splits["train"].tolist()
    except BadRequest:
        return []
    return found


def test_more_folds_than_different_rows_are_refused() -> None:
    raw = RawData({"x": np.tile(np.arange(4.0)[:, None], (10, 2))}, ["a", "b"] * 20)
    with pytest.raises(BadRequest, match="too few for 5 folds"):
        read(raw, test=0, validation={"folds": 5})


TABLE = "town,age,note,good\n" + "".join(
    f"{'north' if i % 2 else 'south' if i % 3 else 'rare' if i < 24 else 'west'},{i},"
    f"{'a long note here' if i % 5 else 'another word now'},{'yes' if i % 3 else 'no'}\n"
    for i in range(120)
)


@pytest.fixture
def table(tmp_path: Path) -> cache.Prepared:
    (tmp_path / "t.csv").write_text(TABLE)
    said = {"path": str(tmp_path / "t.csv"), "target": "good", "test": 0, "rare": 2}
    said["kinds"] = {"age": "number"}
    options = check(TableOptions, said)
    return cache.prepare(Csv(said), "csv", tmp_path / "cache", options)


def test_statistics_are_those_of_a_folds_training_rows_and_columns_those_of_all(
    table: cache.Prepared,
) -> None:
    data = cache.load(table.folder)
    assert len(data.folds) == 5
    assert table.profile.sizes == {"train": 120}
    assert table.profile.folds == Folds(5, 1, 0)
    widths = {fold.data.features for fold in data.folds}
    assert widths == {data.features} == {table.profile.features}
    names = cache.preparation(table.folder).preparation.names  # type: ignore[attr-defined]
    age = names.index("age")
    for fold in data.folds:
        train = np.asarray(fold.data.train.x)[:, age]
        assert abs(float(np.median(train))) < 1e-6  # centred by its own median
        together = sorted([*fold.places, *(set(range(120)) - {*fold.places})])
        assert together == list(range(120))
        assert (fold.data.validation.y == data.train.y[fold.places]).all()


def test_texts_have_one_list_of_words_in_all_folds(tmp_path: Path) -> None:
    texts = np.array([f"film number{i % 40} good" for i in range(100)], object)
    raw = RawData({"text": texts}, [i % 2 for i in range(100)])
    prepared = cache.prepare(Given(raw), "given", tmp_path, check(SplitOptions, {"test": 0}))
    data = cache.load(prepared.folder)
    for fold in data.folds:
        whole = data.train.x[fold.places].toarray()
        assert (fold.data.validation.x.toarray() == whole).all()  # type: ignore[union-attr]
    assert not list(prepared.folder.glob("fold-*"))
    assert (cache.validation_targets(prepared.folder) == data.train.y).all()


def test_weights_go_with_their_rows(tmp_path: Path) -> None:
    weight = np.linspace(0.5, 2.0, 100)
    raw = numbers(100, weight=weight)
    prepared = cache.prepare(Given(raw), "given", tmp_path, check(SplitOptions, {"test": 0}))
    data = cache.load(prepared.folder)
    for fold in data.folds:
        assert fold.data.validation.weight == pytest.approx(weight[fold.places])
