"""Parquet files: types are kept, missing values are one of their kind, and the rest is refused."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capsearch.data.tables import read_table
from capsearch.errors import BadRequest

LONG = 1234567890123456789


def written(folder: Path, table: Any, **how: Any) -> Path:
    path = folder / "t.parquet"
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **how)
    return path


def column(folder: Path, values: Any) -> np.ndarray:
    return read_table(written(folder, {"a": values}))["a"]


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "float32", "float64", "bool"])
def test_numbers_and_booleans_keep_their_type(kind: str, tmp_path: Path) -> None:
    found = column(tmp_path, pa.array(np.array([0, 1, 1], kind)))
    assert found.dtype == kind
    assert found.tolist() == [0, 1, 1]


def test_missing_values_are_one_of_their_kind(tmp_path: Path) -> None:
    assert np.array_equal(column(tmp_path, pa.array([1.5, None])), [1.5, np.nan], equal_nan=True)
    assert np.array_equal(column(tmp_path, pa.array([3, None])), [3.0, np.nan], equal_nan=True)
    assert column(tmp_path, pa.array([True, None, False])).tolist() == [True, None, False]
    assert column(tmp_path, pa.array(["x", None])).tolist() == ["x", ""]
    moments = np.array(["2020-01-01", "NaT"], "datetime64[us]")
    assert np.isnat(column(tmp_path, pa.array(moments))).tolist() == [False, True]
    assert column(tmp_path, pa.nulls(2)).tolist() == ["", ""]


def test_long_keys_with_a_missing_one_stay_exact(tmp_path: Path) -> None:
    """A float makes 1234567890123456768 of it."""
    assert column(tmp_path, pa.array([LONG, None])).tolist() == [str(LONG), ""]
    assert column(tmp_path, pa.array([LONG, LONG])).tolist() == [LONG, LONG]


def test_categories_are_read_as_their_values(tmp_path: Path) -> None:
    texts = pa.array(["a", "b", None, "a"]).dictionary_encode()
    assert column(tmp_path, texts).tolist() == ["a", "b", "", "a"]
    assert column(tmp_path, pa.array([3, 4, 3]).dictionary_encode()).tolist() == [3, 4, 3]


def test_moments_with_a_zone_are_told_in_utc_and_others_as_they_are(tmp_path: Path) -> None:
    zone = pa.timestamp("ns", "+02:00")
    moment = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
    there = column(tmp_path, pa.array([moment], zone))
    assert there.dtype == "datetime64[us]"
    assert there[0] == np.datetime64("2020-01-01T12:00:00")
    for unit in ("s", "ms", "us", "ns"):
        noon = np.array(["2020-01-01T12"], f"datetime64[{unit}]")
        assert column(tmp_path, pa.array(noon))[0] == np.datetime64("2020-01-01T12:00:00")
    assert column(tmp_path, pa.array([dt.date(2020, 1, 2)]))[0] == np.datetime64("2020-01-02")


def test_short_decimals_are_numbers(tmp_path: Path) -> None:
    found = column(tmp_path, pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)))
    assert np.array_equal(found, [1.25, np.nan], equal_nan=True)


def test_a_column_whose_name_has_a_point_is_read(tmp_path: Path) -> None:
    assert list(read_table(written(tmp_path, {"a.b": [1], "a": [2]}))) == ["a.b", "a"]


def test_what_is_refused_may_be_dropped(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1, 2], "b": [[1], [2]]})
    with pytest.raises(BadRequest, match="'b'"):
        read_table(path)
    assert list(read_table(path, drop=["b"])) == ["a"]
    with pytest.raises(BadRequest, match="no column 'c'"):
        read_table(path, drop=["b", "c"])


def test_every_column_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [[1]], "b": pa.array([b"x"]), "c": [1]})
    with pytest.raises(BadRequest) as error:
        read_table(path)
    assert len(error.value.mistakes) == 2


REFUSED = {
    "list": pa.array([[1, 2]]),
    "struct": pa.array([{"x": 1}]),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    "list of texts": pa.array([["x"]]),
    "fixed list": pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
    "long decimal": pa.array([Decimal(1)], pa.decimal128(38, 10)),
    "wide decimal": pa.array([Decimal(1)], pa.decimal256(60, 10)),
    "bytes": pa.array([b"x"]),
    "fixed bytes": pa.array([b"xy"], pa.binary(2)),
    "time of day": pa.array([dt.time(1, 2)]),
    "duration": pa.array([dt.timedelta(1)]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_type_that_no_network_can_use_is_refused_by_column(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"fine": [1], "odd": REFUSED[kind]})
    with pytest.raises(BadRequest, match="'odd'") as error:
        read_table(path)
    assert len(error.value.mistakes) == 1


def duplicate() -> pa.Table:
    return pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])


WHOLE = {
    "no rows": pa.table({"a": pa.array([], pa.int64())}),
    "no columns": pa.table({}),
    "duplicate names": duplicate(),
    "control character in a name": pa.table({"a\x07": [1]}),
    "empty name": pa.table({"": [1]}),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_table_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"t\.parquet: "):
        read_table(written(tmp_path, WHOLE[kind]))


def whole_file(folder: Path) -> bytes:
    return written(folder, {"a": list(range(1_000)), "b": ["x"] * 1_000}).read_bytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "magic only": lambda data: b"PAR1",
    "ends early": lambda data: data[:-20],
    "first half": lambda data: data[: len(data) // 2],
    "damaged foot": lambda data: data[:-60] + b"\xff" * 40 + data[-20:],
    "damaged length of the foot": lambda data: data[:-8] + b"\xff\xff\xff\x7f" + data[-4:],
    "text": lambda data: b"a,b\n1,2\n",
    "zeros": lambda data: b"PAR1" + bytes(500) + b"PAR1",
    "damaged pages": lambda data: data[:4] + b"\xff" * 300 + data[304:],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_ends_in_one_message(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(DAMAGE[kind](whole_file(tmp_path)))
    with pytest.raises(BadRequest, match=r"t\.parquet: ") as error:
        read_table(path, "parquet")
    assert len(error.value.mistakes) == 1


def test_several_files_are_one_table_and_their_types_must_agree(tmp_path: Path) -> None:
    first = written(tmp_path, {"a": [1, 2]}).rename(tmp_path / "1.parquet")
    second = written(tmp_path, {"a": [3.5]}).rename(tmp_path / "2.parquet")
    texts = written(tmp_path, {"a": ["x"]}).rename(tmp_path / "3.parquet")
    assert read_table([first, second])["a"].tolist() == [1.0, 2.0, 3.5]
    with pytest.raises(BadRequest, match="'a'"):
        read_table([first, texts])
