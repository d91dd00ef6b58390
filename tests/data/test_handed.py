"""Frames, arrays and sparse matrices of a Python program become rows like any others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from capsearch.data import handed, material
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


@pytest.mark.parametrize(
    ("rows", "target"),
    [
        ({"a": 1}, Y),
        (X, [None, *Y[1:]]),
        (X, np.array(["yes", *Y[1:]], object)),
        ([["a", "b"]], [0]),
        (X, "good"),
        ([{1}, {2}], [0, 1]),
    ],
)
def test_what_is_no_rows_is_refused_in_words(tmp_path: Path, rows: Any, target: Any) -> None:
    with pytest.raises(BadRequest, match=r"rows|kept|several kinds"):
        handed.data_table(rows, target, tmp_path)
