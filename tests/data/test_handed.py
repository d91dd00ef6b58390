"""Frames, arrays and sparse matrices of a Python program become rows like any others."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from capsearch.data import cache, handed, material
from capsearch.data.source import SourceRef
from capsearch.errors import BadRequest
from tests.data.test_files import DROP, FRAME, X, Y


def read(table: dict[str, Any]) -> material.Material:
    ref = SourceRef(table)
    return material.read(ref.open(), ref.name, ref.options())


class PolarsLike:
    """What is asked of a polars frame."""

    def write_parquet(self, path: Path) -> None:
        FRAME.to_parquet(path, index=False)


@pytest.mark.parametrize("frame", [FRAME, PolarsLike()], ids=["pandas", "polars"])
def test_a_frame_is_a_table_with_its_types(tmp_path: Path, frame: Any) -> None:
    found = read(handed.data_table(frame, "good", tmp_path, **DROP))
    assert set(found.raw.columns) == {"age", "town"}
    assert found.task.labels == ("no", "yes")
    assert (found.y == Y).all()


@pytest.mark.parametrize("rows", [X, X.tolist(), sparse.csr_matrix(X), sparse.coo_array(X)])
@pytest.mark.parametrize("target", [Y, list(Y), FRAME["good"], FRAME["good"].tolist()])
def test_numbers_are_rows_and_labels_keep_their_names(
    tmp_path: Path, rows: Any, target: Any
) -> None:
    found = read(handed.data_table(rows, target, tmp_path, test=0))
    assert (found.y == Y).all()
    x: Any = found.raw.columns["x"]
    assert np.array_equal(x if isinstance(x, np.ndarray) else x.toarray(), X)
    assert set(found.splits) == {"train"}  # few rows are judged in folds


def test_the_same_rows_are_kept_once_under_their_content(tmp_path: Path) -> None:
    first, again = (handed.data_table(X, Y, tmp_path) for _ in range(2))
    other = handed.data_table(X + 1, Y, tmp_path)
    assert first == again != other
    assert len(list(tmp_path.iterdir())) == 3
    prints = [read(table).fingerprints for table in (first, other)]
    assert prints[0] != prints[1]


def test_infinite_numbers_of_a_frame_may_be_named_as_missing(tmp_path: Path) -> None:
    ages = FRAME["age"].where(X[:, 0] < 1, np.inf).where(X[:, 0] > -1, -1e300)
    frame = FRAME.assign(age=ages)
    with pytest.raises(BadRequest, match=r'named so: null\.COLUMN = \["inf"\]'):
        read(handed.data_table(frame, "good", tmp_path, **DROP))
    null = {"age": ["inf", "-1e+300"]}
    found = read(handed.data_table(frame, "good", tmp_path, null=null, **DROP))
    assert np.isnan(found.raw.columns["age"]).sum() == (np.abs(X[:, 0]) >= 1).sum()


def test_what_is_masked_is_missing(tmp_path: Path) -> None:
    masked = np.ma.masked_array(Y, mask=X[:, 1] > 1)
    with pytest.raises(BadRequest, match="the target is missing"):
        read(handed.data_table(X, masked, tmp_path))
    kept = read(handed.data_table(X, masked, tmp_path, unlabelled="drop"))
    assert (kept.y == Y[X[:, 1] <= 1]).all()


# ---- What is no rows -----------------------------------------------------------------------------


def objects(value: Any) -> Any:
    return pd.Series([value] * len(FRAME), dtype=object)


def named(*names: str) -> pd.DataFrame:
    changed = FRAME[["age", "town", "good"]].copy()
    changed.columns = pd.Index(names)
    return changed


class Failing:
    """A frame that cannot be written."""

    def write_parquet(self, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("the\x1b[2J disk\nis full")


MASKED = np.ma.masked_array(X, X > 1)
WIDE = sparse.csr_matrix(X)
TABLE = "or a pandas or polars frame with the name of its target column"
FRAMES: dict[str, tuple[Any, str]] = {
    "no rows": (FRAME[:0], "has no rows"),
    "one row": (FRAME[:1], "one value only"),
    "two classes of one row": (FRAME[:2].assign(good=["yes", "no"]), "split has"),
    "no such target": (FRAME.drop(columns="good"), "no column 'good'"),
    "the target twice": (named("age", "good", "good"), "Duplicate column names"),
    "a name twice": (named("age", "age", "good"), "Duplicate column names"),
    "nothing but the target": (FRAME[["good"]], "no column that could predict anything"),
    "one class": (FRAME.assign(good="yes"), "one value only"),
    "a class of one row": (FRAME.assign(good=["yes"] + ["no"] * 119), "none with the label 'yes'"),
    "no label": (FRAME.assign(good=None), "has no label at all"),
    "labels missing": (FRAME.assign(good=FRAME["good"].where(X[:, 0] < 1)), "target is missing in"),
    "an infinite label": (FRAME.assign(good=[np.inf, *[1.5] * 119]), "row 1 has inf"),
    "labels of mixed kinds": (FRAME.assign(good=[1, "1", 1.0] * 40), "kept as parquet"),
    "a column of mixed kinds": (FRAME.assign(age=[1, "a", 2.5] * 40), "kept as parquet"),
    "objects": (FRAME.assign(age=objects({})), "kept as parquet"),
    "lists": (FRAME.assign(age=objects([1, 2])), "column 'age': nested values"),
    "bytes": (FRAME.assign(age=objects(b"x")), "column 'age': values of type binary"),
    "complex numbers": (FRAME.assign(age=1j), "kept as parquet"),
    "durations": (FRAME.assign(age=pd.to_timedelta(np.arange(120), unit="s")), "type duration"),
    "intervals": (FRAME.assign(age=pd.cut(FRAME["age"], 3)), "kept as parquet"),
    "periods": (FRAME.assign(age=pd.period_range("2020-01", periods=120, freq="M")), "period"),
    "integers without end": (FRAME.assign(age=objects(10**30)), "kept as parquet"),
    "half of a character": (FRAME.assign(town=objects("\ud800")), "kept as parquet"),
    "infinite numbers": (
        FRAME.assign(age=FRAME["age"].where(X[:, 0] < 1, np.inf)),
        "row 14 has inf",
    ),
    "large numbers": (FRAME.assign(age=FRAME["age"] * 1e300), "no finite numbers of 32 bits"),
    "a sparse column": (FRAME.assign(age=pd.arrays.SparseArray(X[:, 0])), "kept as parquet"),
    "control characters in a name": (named("a\x1b[2J\n", "b", "good"), "names with control"),
    "an empty name": (named("", "b", "good"), "names with control characters, or empty"),
    "a series": (FRAME["age"], "type Series"),
    "a mapping": (FRAME.to_dict("list"), "type dict"),
    "nothing": (None, "type NoneType"),
    "numbers": (X, "type ndarray"),
    "a frame that fails": (Failing(), "cannot be kept as parquet: the\\x1b[2J disk is full"),
}
NUMBERS: dict[str, tuple[Any, Any, str]] = {
    "nothing": (None, Y, TABLE),
    "a text": ("abc", Y, TABLE),
    "a mapping": ({"a": 1}, Y, TABLE),
    "a frame with words": (FRAME, Y, TABLE),
    "rows of several lengths": ([[1, 2], [3]], [0, 1], TABLE),
    "texts": (X.astype(str), Y, "of <U32: must be numbers"),
    "lists of texts": ([["a", "b"]], [0], TABLE),
    "sets": ([{1}, {2}], [0, 1], TABLE),
    "complex numbers": (X + 1j, Y, "of complex128: must be numbers"),
    "moments": (X.astype("M8[s]"), Y, "must be numbers"),
    "records": (np.zeros(120, "i4,f4"), Y, "must be numbers"),
    "no rows": (X[:0], Y[:0], "no rows"),
    "no features": (X[:, :0], Y, "has no features"),
    "three dimensions": (X[:, :, None], Y, "(rows, features)"),
    "unequal rows": (X, Y[:100], "the target has 100 rows"),
    "missing numbers": (np.where(X > 1, np.nan, X), Y, "has nan"),
    "missing objects": (np.where(X > 1, None, X.astype(object)), Y, "has nan"),  # type: ignore[call-overload]
    "masked numbers": (MASKED, Y, "has nan"),
    "infinite numbers": (np.where(X > 1, np.inf, X), Y, "has inf"),
    "large numbers": (X * 1e300, Y, "no finite numbers of 32 bits"),
    "equal rows": (X * 0, Y, "1 different, and equal ones stay together"),
    "no target": (X, None, "a target of type NoneType"),
    "a number as target": (X, 3, "a target of type int"),
    "a set as target": (X, {0, 1}, "a target of type set"),
    "a target of one column": (X, Y[:, None], "write target[:, 0]"),
    "one class": (X, Y * 0, "one value only"),
    "labels missing": (X, [None, *Y[1:].tolist()], "target is missing in 1 of 120 rows"),
    "labels that are nan": (X, np.where(Y == 1, 1, np.nan), "target is missing in"),
    "infinite labels": (X, np.where(Y == 1, 1, np.inf), "must be texts, booleans or finite"),
    "labels of mixed kinds": (X, [1, "1", 1.0] * 40, "labels of several kinds"),
    "booleans and numbers": (X, [True, 1] * 60, "labels of several kinds"),
    "mixed objects": (X, np.array(["yes", *Y[1:]], object), "labels of several kinds"),
    "labels that are mappings": (X, [{}] * 120, "row 1 has {}"),
    "labels of bytes": (X, np.where(Y == 1, b"a", b"b"), "must hold texts or numbers"),
    "complex labels": (X, Y + 1j, "must hold texts or numbers"),
    "moments as labels": (X, Y.astype("M8[s]"), "must hold texts or numbers"),
    "sparse and missing": (sparse.csr_matrix(np.where(X > 1, np.nan, X)), Y, "has nan"),
    "sparse and infinite": (sparse.csr_matrix(np.where(X > 1, np.inf, X)), Y, "has inf"),
    "sparse and large": (WIDE * 1e300, Y, "no finite numbers of 32 bits"),
    "sparse and complex": (sparse.csr_matrix(X + 1j), Y, "must hold numbers, not complex128"),
    "sparse of one dimension": (sparse.coo_array(X[:, 0]), Y, "(rows, features)"),
    "sparse and unequal": (WIDE, Y[:5], "the target has 5 rows"),
    "sparse without rows": (sparse.csr_matrix((0, 3)), [], "no label at all in 0 rows"),
}


def refused(folder: Path, rows: Any, target: Any) -> str:
    """What is said of rows when they are kept or prepared; nothing is left half-written."""

    def ask() -> None:
        ref = SourceRef(handed.data_table(rows, target, folder / "rows"))
        cache.prepare(ref.open(), ref.name, folder / "cache", ref.options())

    with pytest.raises(BadRequest) as caught:
        ask()
    assert all(m.isprintable() and len(m) < 700 for m in caught.value.mistakes)
    left = sorted(path.suffix for path in folder.rglob("*") if path.is_file())
    assert set(left) <= {".npy", ".npz", ".parquet"}
    assert all(any(each.iterdir()) for each in folder.iterdir())
    return str(caught.value)


@pytest.mark.parametrize("what", FRAMES)
def test_a_frame_that_is_no_table_is_refused_with_the_reason(tmp_path: Path, what: str) -> None:
    rows, said = FRAMES[what]
    assert said in refused(tmp_path, rows, "good")


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_that_are_no_rows_are_refused_with_the_reason(tmp_path: Path, what: str) -> None:
    rows, target, said = NUMBERS[what]
    assert said in refused(tmp_path, rows, target)
