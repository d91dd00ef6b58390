"""What a source hands over is refused before anything is made of it, with every mistake at once."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from capsearch.data import cache, material
from capsearch.data.options import SplitOptions
from capsearch.data.seal import Sealed, opened_rows
from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from capsearch.records import Opening
from tests.fakes import ApartSource, Given, toy_raw

OPENING = Opening("d", "toy-1", "a", "2026-01-02T03:04:05+00:00", None)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(100, 3)), np.arange(100) % 2
NAMED = np.where(Y == 1, "yes", "no")


def mistakes(given: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(BadRequest) as caught:
        material.read(Given(given), "given", SplitOptions(**options))
    assert all(len(m) < 600 and m.isprintable() for m in caught.value.mistakes)
    return caught.value.mistakes


def raw(**changes: Any) -> RawData:
    return replace(RawData({"x": X.copy()}, Y.copy()), **changes)


def at(values: np.ndarray, row: int, value: Any) -> np.ndarray:
    changed = values.astype(np.float64)
    changed[row, ...] = value
    return changed


def split_of(**rows: int) -> np.ndarray:
    return np.repeat(list(rows), list(rows.values()))


PARTS = split_of(train=60, validation=20, test=20)
REFUSED: dict[str, tuple[Any, list[str]]] = {
    "nothing": (None, ["read() gave nothing"]),
    "a table": ({"x": X, "y": Y}, ["gave a dict"]),
    "no columns": (raw(columns={}), ["no column that could predict"]),
    "a list of columns": (raw(columns=[X]), ["mapping of names to arrays, not a list"]),
    "a name that is no text": (raw(columns={3: Y}), ["name of a column must be text, not 3"]),
    "labels 0 to 9": (
        raw(target=np.arange(100) % 10), ['task = "multiclass" or task = "regression"'],
    ),
    "labels -1 and 1": (raw(target=2 * Y - 1), ["'-1' and '1'", "labels = [-1, 1]"]),
    "labels 1 and 2 as text": (raw(target=(Y + 1).astype(str)), ["labels = [1, 2]"]),
    "y of one column": (raw(target=Y[:, None]), ["the shape (100, 1)", "target[:, 0]"]),
    "y of two columns": (
        raw(target=np.stack([Y, Y + 1], 1)), ["label '2' must be 0 or 1", "row 2 has 2"],
    ),
    "a label missing": (raw(target=at(Y, 16, np.nan)), ["1 of 100 rows", "row 17 has nan"]),
    "a label infinite": (raw(target=at(Y, 16, np.inf)), ["row 17 has inf"]),
    "all labels missing": (raw(target=np.full(100, np.nan)), ["no label at all"]),
    "labels of several kinds": (
        raw(target=np.array([1, "1", 1.0, 0] * 25, object)), ["several kinds", "row 2 has '1'"],
    ),
    "labels of objects": (raw(target=np.array([{}, []] * 50, object)), ["row 1 has {}"]),
    "one class": (raw(target=np.ones(100)), ["one value only"]),
    "a class with one row": (raw(target=(np.arange(100) == 3) * 1), ["none with the label"]),
    "a feature missing": (
        raw(columns={"x": at(X, 16, np.nan)}, split=PARTS), ["column 1 ", "row 17 has nan"],
    ),
    "a feature infinite": (raw(columns={"x": at(X, 3, -np.inf)}, split=PARTS), ["row 4 has -inf"]),
    "a feature too large": (raw(columns={"x": at(X, 3, 1e300)}, split=PARTS), ["row 4 has 1e+300"]),
    "a sparse feature": (
        raw(columns={"x": sparse.csr_matrix(at(X, 3, np.nan))}, split=PARTS),
        ["column 3", "row 4 has nan"],
    ),
    "a column of objects": (raw(columns={"a": np.array([object()] * 100)}), ["column 'a'"]),
    "ragged rows": (
        raw(columns={"x": np.array([np.ones(3)] * 99 + [np.ones(2)], object)}), ["column 'x'"],
    ),
    "complex numbers": (raw(columns={"x": X + 1j}), ["not complex128"]),
    "three dimensions": (raw(columns={"x": X[:, :, None]}), ["(100, 3, 1)", "(rows, features)"]),
    "no features": (raw(columns={"x": X[:, :0]}), ["no features"]),
    "two dimensions in a table": (raw(columns={"x": X, "b": Y}), ["must be (rows,)"]),
    "a sparse matrix in a table": (
        raw(columns={"a": sparse.csr_matrix(X), "b": Y}), ["'a' is a sparse matrix"],
    ),
    "texts and a number": (
        raw(columns={"text": np.array(["a", 3] * 50, object)}), ["must hold texts", "row 2 has 3"],
    ),
    "columns of two lengths": (
        raw(columns={"a": Y, "b": Y[:90]}), ["column 'b' has 90 rows", "'a' has 100"],
    ),
    "a target that is short": (raw(target=Y[:99]), ["the target has 99 rows"]),
    "a group that is short": (raw(group=Y[:9]), ["the group has 9 rows"]),
    "a group that is missing": (
        raw(group=np.array(["a"] * 99 + [None], object)), ["group must not be missing: row 100"],
    ),
    "a time that is missing": (raw(time=at(Y, 4, np.nan)), ["time must not be missing: row 5"]),
    "times of two kinds": (raw(time=np.array(["1", 1] * 50, object)), ["not several of them"]),
    "group and time": (raw(group=Y, time=Y), ["not by both"]),
    "a weight below 0": (raw(weight=at(np.ones(100), 4, -1.0)), ["the weight", "row 5 has -1.0"]),
    "no weight at all": (raw(weight=np.zeros(100)), ["train split has a weight of 0"]),
    "a split of another name": (
        raw(split=np.array(["train", "dev"] * 50)), ["row 2 has 'dev'"],
    ),
    "a split that is empty": (raw(split=split_of(validation=50, test=50)), ["train split has"]),
    "a group in two splits": (
        raw(split=split_of(train=60, validation=20, test=20), group=np.arange(100) // 40),
        ["stand in both train and validation"],
    ),
    "no rows": (raw(columns={"x": X[:0]}, target=Y[:0]), ["no rows"]),
    "one row": (raw(columns={"x": X[:1]}, target=Y[:1]), ["one value only"]),
    "three rows": (raw(columns={"x": X[:3]}, target=Y[:3]), ["split has none"]),
    "texts without a word": (
        RawData({"text": np.array([i * "a " for i in range(100)], object)}, Y), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", [name for name, (_, said) in REFUSED.items() if said])
def test_a_source_that_lies_is_told_what_and_where(what: str) -> None:
    given, expected = REFUSED[what]
    told = " ".join(mistakes(given))
    for part in expected:
        assert part in told


def test_every_mistake_is_told_at_once() -> None:
    wrong = raw(columns={"a": np.ones((100, 2)), "b": Y[:90]}, target=Y[:, None], weight=Y)
    assert len(mistakes(wrong)) >= 3


def test_texts_without_a_word_are_no_features(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no word"):
        cache.prepare(Given(REFUSED["texts without a word"][0]), "given", tmp_path)


@pytest.mark.parametrize(
    ("target", "labels", "said"),
    [
        (Y, ("0", "1"), None), (Y.astype(bool), ("False", "True"), None),
        (Y.astype(float), ("0", "1"), None), (NAMED, ("no", "yes"), None),
        ([np.int8(y) for y in Y], ("0", "1"), None), (list(NAMED), ("no", "yes"), None),
        (2 * Y - 1, ("-1", "1"), [-1, 1]), (1 - Y, ("1", "0"), [1, 0]),
        (np.array(["b ", " a"] * 50), ("a", "b"), None),
    ],
)  # fmt: skip
def test_labels_keep_their_names_and_numpy_scalars_are_numbers(
    target: Any, labels: tuple[str, str], said: Any
) -> None:
    options = SplitOptions(labels=said)
    found = material.read(Given(raw(target=target)), "given", options)
    assert found.task.labels == labels
    assert set(np.unique(found.y)) == {0.0, 1.0}
    assert found.y.dtype == np.float32


def test_rows_as_lists_of_numpy_scalars_are_numbers() -> None:
    rows = [[np.float32(a), int(b * 9), float(c)] for a, b, c in X]
    found = material.read(Given(raw(columns={"x": rows})), "given", SplitOptions())
    assert found.raw.columns["x"].shape == (100, 3)


def test_frames_of_pandas_are_columns_and_its_missing_values_are_missing() -> None:
    frame = pd.DataFrame({
        "a": pd.array([1, None] * 50, "Int64"), "b": pd.Categorical(["u", "v"] * 50),
        "c": pd.array(["s", None] * 50, "string"), "d": pd.array([True, None] * 50, "boolean"),
    })  # fmt: skip
    given = raw(columns=dict(frame.items()), split=PARTS)
    found = material.read(Given(given), "given", SplitOptions())
    assert [bool(pd.isna(found.raw.columns[name][1])) for name in "abcd"] == [
        True, False, True, True,
    ]  # fmt: skip
    assert "missing in 50" in " ".join(mistakes(raw(target=frame["a"])))
    assert "group must not be missing" in " ".join(mistakes(raw(group=frame["c"])))


HOSTILE = "<script>\x1b[2J\n=cmd()[bold]\u202e"


def test_hostile_names_and_labels_are_told_as_text() -> None:
    told = mistakes(RawData({HOSTILE: X, "b": Y}, np.array([HOSTILE, "b", "c", "d"] * 25)))
    assert not re.search(r"[\x00-\x1f\u202e]", "".join(told))
    assert "\\x1b" in "".join(told)


# ---- What only test rows show -------------------------------------------------------------------


def hidden(change: Callable[[RawData], RawData]) -> RawData:
    """Rows with a split of their own, the last 30 of which are changed."""
    given = raw(split=split_of(train=40, validation=30, test=30))
    return change(given)


def test_values_of_test_rows_are_not_looked_at_before_the_opening(tmp_path: Path) -> None:
    for value in (np.nan, np.inf, 1e300):
        given = Given(hidden(lambda r, v=value: replace(r, columns={"x": at(X, 99, v)})))  # type: ignore[misc]
        folder = cache.prepare(given, "given", tmp_path).folder
        sealed = Sealed.of(given, "given", SplitOptions())
        with pytest.raises(BadRequest, match=r"column 1 .* row 100 has"):
            opened_rows(sealed, cache.preparation(folder).matrix, OPENING)


def test_a_file_of_test_rows_is_checked_when_it_is_opened(tmp_path: Path) -> None:
    test = replace(toy_raw("test"), split=None)
    x = test.columns["x"]
    wrong: list[tuple[Any, str]] = [
        (replace(test, columns={"x": x[:, :19]}), "19 columns, the training rows 20"),
        (replace(test, columns={"y": x.toarray()[:, 0]}), "no column 'x'"),
        (replace(test, target=test.target + 1), "labels that are not known: row 2 has '2'"),
        (replace(test, target=test.target[:, None]), r"shape \(30, 1\)"),
        (replace(test, columns={"x": sparse.csr_matrix(at(x.toarray(), 3, np.inf))}), "no finite"),
        (None, "not a RawData"),
    ]
    folder = cache.prepare(ApartSource(), "toy", tmp_path).folder
    for given, said in wrong:

        class Wrong(ApartSource):
            handed: Any = given

            def read_sealed(self) -> Any:
                return self.handed

        sealed = Sealed.of(Wrong(), "toy", SplitOptions())
        with pytest.raises(BadRequest, match=said):
            opened_rows(sealed, cache.preparation(folder).matrix, OPENING)
    right = opened_rows(
        Sealed.of(ApartSource(), "toy", SplitOptions()), cache.preparation(folder).matrix, OPENING
    )
    assert len(right.rows) == 30


# ---- Leakage ------------------------------------------------------------------------------------


def test_statistics_are_of_training_rows_alone(tmp_path: Path) -> None:
    given = raw(split=split_of(train=40, validation=30, test=30))
    before = cache.prepare(Given(given), "given", tmp_path)
    moved = at(X, 0, X[0])
    moved[40:] += 1e6
    after = cache.prepare(Given(replace(given, columns={"x": moved})), "given", tmp_path)
    ours, theirs = (cache.load(each.folder).train.x for each in (before, after))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_a_row_in_two_given_splits_is_reported(tmp_path: Path) -> None:
    x = X.copy()
    x[99], x[41] = x[0], x[1]
    given = raw(columns={"x": x}, split=split_of(train=40, validation=30, test=30))
    assert cache.prepare(Given(given), "given", tmp_path).profile.duplicates == {
        "train/validation": 1, "train/test": 1, "validation/test": 0,
    }  # fmt: skip
    apart = cache.prepare(Given(raw(columns={"x": x})), "given", tmp_path).profile.duplicates
    assert set(apart.values()) == {0}


def test_groups_and_times_are_kept_apart() -> None:
    groups = np.array([f"patient {i // 7}" for i in range(100)], object)
    found = material.read(Given(raw(group=groups)), "given", SplitOptions())
    inside = [set(groups[rows]) for rows in found.splits.values()]
    assert sum(map(len, inside)) == len(set(groups))
    time = np.arange("2026-01-01", "2026-04-11", dtype="M8[D]")[::-1]
    found = material.read(Given(raw(time=time)), "given", SplitOptions())
    assert found.sizes == {"train": 60, "validation": 20, "test": 20}
    assert found.splits["test"].tolist() == list(range(20))  # the latest are the first rows here


def test_a_given_split_without_one_of_them_has_it_drawn_from_training_rows() -> None:
    given = raw(split=split_of(train=80, validation=20))
    found = material.read(Given(given), "given", SplitOptions(test=0.25))
    assert found.sizes == {"train": 60, "validation": 20, "test": 20}
    assert found.splits["validation"].tolist() == list(range(80, 100))
    none = material.read(Given(given), "given", SplitOptions(test=0.0))
    assert none.sizes == {"train": 80, "validation": 20}
    assert set(none.fingerprints) == {"train", "validation"}
