"""A Parquet file as columns of its own types, one column in memory after the other.

Types are kept: numbers (a missing one is NaN), booleans, dates (UTC, without a zone, in
microseconds; NaT), and texts ("" is missing). Integers with missing ones become floats where a
float holds them exactly, and texts where it does not: half of a long key is none.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capsearch.data.columns.doubt import drop_line
from capsearch.data.tables.files import check_file
from capsearch.data.tables.header import check_names, no_column
from capsearch.errors import BadRequest

EXACT = 2**53  # up to here a float holds every integer
DIGITS = 15  # of a decimal number that a float holds


def read_parquet(path: Path, drop: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Columns by name, in the file's order, without those to `drop`: arrays of shape (rows,).

    Raises BadRequest with every mistake.
    """
    check_file(path)
    try:
        with pq.ParquetFile(path) as file:
            return _columns(path, file, drop)
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as error:
        raise _damaged(path, error) from error


def parquet_names(path: Path) -> tuple[str, ...]:
    """The names of a file's columns; no row is read. Raises BadRequest."""
    return tuple(_schema(path).names)


def unusable_columns(path: Path) -> dict[str, str]:
    """Columns of types that are not read, and why not. Raises BadRequest."""
    told = {field.name: _refused(field) for field in _schema(path)}
    return {name: why for name, why in told.items() if why}


def _schema(path: Path) -> pa.Schema:
    check_file(path)
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BadRequest:
    first = (str(error).splitlines() or ["damaged"])[0]
    return BadRequest(f"{path}: is no whole Parquet file ({first[:200]})")


def _columns(path: Path, file: pq.ParquetFile, drop: Collection[str]) -> dict[str, np.ndarray]:
    fields = list(file.schema_arrow)
    mistakes = check_names([field.name for field in fields], can_rename=False)
    names = [field.name for field in fields]
    mistakes += [no_column("drop", name, names) for name in drop if name not in names]
    fields = [field for field in fields if field.name not in drop]
    mistakes += [
        f"column {field.name!r}: {told}. To leave it out: {drop_line(field.name)}"
        for field in fields
        if (told := _refused(field))
    ]
    if not fields:
        mistakes.append("has no columns")
    if not file.metadata.num_rows:
        mistakes.append("has no rows")
    if mistakes:
        raise BadRequest(*(f"{path}: {mistake}" for mistake in mistakes))
    return {field.name: _read(path, file, field.name) for field in fields}


def _refused(field: pa.Field) -> str | None:
    """Why a column of this type is not read; None where it is."""
    kind = _plain(field.type)
    if pa.types.is_nested(kind):
        return f"nested values ({_shown(kind)}) must be made columns of their own"
    if pa.types.is_decimal(kind) and kind.precision > DIGITS:
        return (
            f"{_shown(kind)} has more digits than a network can use ({DIGITS}): store it "
            "as double, or as string if it is a code"
        )
    if not any(test(kind) for test in READ):
        return f"values of type {_shown(kind)} cannot be used"
    return None


READ = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_null,
)


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _shown(kind: Any) -> str:
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(path: Path, file: pq.ParquetFile, name: str) -> np.ndarray:
    """One column; Arrow's copy of it is gone when the next is read."""
    column = file.read([name], use_threads=False).column(name)
    kind = _plain(column.type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    if pa.types.is_null(kind):
        return _texts([None] * len(column))
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _dates(path, name, column)
    if pa.types.is_boolean(kind):
        return _booleans(column)
    if pa.types.is_integer(kind):
        return _integers(column)
    if pa.types.is_floating(kind):
        return np.asarray(column.to_numpy())
    return _texts(column.to_pylist())


def _dates(path: Path, name: str, column: pa.ChunkedArray) -> np.ndarray:
    try:
        exact = pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    except pa.ArrowException as error:
        raise BadRequest(f"{path}: column {name!r}: {error}") from error
    return np.asarray(exact.to_numpy()).astype("datetime64[us]")  # UTC: Arrow stores nothing else


def _booleans(column: pa.ChunkedArray) -> np.ndarray:
    if not column.null_count:
        return np.asarray(column.to_numpy())
    return _objects(column.to_pylist())


def _integers(column: pa.ChunkedArray) -> np.ndarray:
    if not column.null_count:
        return np.asarray(column.to_numpy())
    ends = pc.min_max(column).as_py()
    if max(abs(ends["min"] or 0), abs(ends["max"] or 0)) <= EXACT:
        return np.asarray(column.cast(pa.float64()).to_numpy())
    return _texts([None if value is None else str(value) for value in column.to_pylist()])


def _texts(values: Sequence[str | None]) -> np.ndarray:
    return _objects([("" if value is None else value.strip()) for value in values])


def _objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
