"""The border: what a source handed over is checked here, before anything is made of it.

Every mistake is found before the first is told, with its column, row (counted from 1) and value.
Values of test rows are not looked at: what only they show is found when they are opened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data.source import RawData
from capsearch.data.split import SPLITS
from capsearch.data.words import MOST, named_rows, quoted, some
from capsearch.errors import BadRequest

NUMBERS, TEXTS = "x", "text"  # the one column of rows that are no table
LARGEST = float(np.finfo(np.float32).max)
CHUNK = 8192  # rows that are looked at at a time
MISSING = {"NAType", "NaTType"}  # of pandas, which this need not import
SCALARS = str | bool | int | float | np.generic | None
Columns = Mapping[str, Any]


def are_numbers(columns: Columns) -> bool:
    return list(columns) == [NUMBERS] and len(columns[NUMBERS].shape) == 2


def are_texts(columns: Columns) -> bool:
    return list(columns) == [TEXTS]


def checked(raw: object) -> RawData:
    """The same rows as NumPy arrays, whose shapes, lengths and kinds are right.

    Raises BadRequest with every mistake.
    """
    if not isinstance(raw, RawData):
        raise BadRequest(f"data: read() gave {_kind_of(raw)}, not a RawData")
    mistakes: list[str] = []
    columns = _columns(raw.columns, mistakes)
    beside = {"target": _vector("target", raw.target, mistakes)}
    for name in ("group", "time", "weight", "split"):
        if (given := getattr(raw, name)) is not None:
            beside[name] = _vector(name, given, mistakes)
    rows = next((values.shape[0] for values in columns.values()), None)
    for name, values in [*((f"column {quoted(n)}", v) for n, v in columns.items()),
                         *((f"the {n}", v) for n, v in beside.items())]:  # fmt: skip
        if values is not None and rows is not None and values.shape[0] != rows:
            mistakes.append(
                f"data: {name} has {values.shape[0]:,} rows, but column "
                f"{quoted(next(iter(columns)))} has {rows:,}"
            )
    if rows == 0:
        mistakes.append("data: there are no rows")
    mistakes += _beside(beside)
    if mistakes:
        raise BadRequest(*dict.fromkeys(mistakes))
    return replace(raw, columns=columns, **beside)


def wrong_values(columns: Columns, rows: np.ndarray) -> list[str]:
    """What is wrong with the values of these rows, a line a column; of `MOST` columns at most.

    Numbers must be finite, also as float32; in a table NaN is a value that is missing.
    """
    missing_allowed = not are_numbers(columns)
    found: dict[str, list[tuple[int, Any]]] = {}
    for row, column, value in _wrong(columns, rows, missing_allowed):
        found.setdefault(column, []).append((row, value))
    said = [
        f"data: column {name} has values that are no finite numbers of 32 bits: {named_rows(v)}"
        for name, v in found.items()
    ]
    more = f"data: {len(said) - MOST:,} more columns have such values"
    return said if len(said) <= MOST else [*said[:MOST], more]


def check_like(columns: Columns, known: Mapping[str, Any]) -> list[str]:
    """What keeps test rows of a file of their own from being those of the other columns."""
    if are_numbers(columns) and NUMBERS in known:
        ours, theirs = known[NUMBERS].shape[1], columns[NUMBERS].shape[1]
        return [] if ours == theirs else [
            f"data: the test rows have {theirs:,} columns, the training rows {ours:,}"
        ]  # fmt: skip
    missing = [quoted(name) for name in known if name not in columns]
    return [f"data: the test rows have no column {some(missing)}"] if missing else []


def _columns(given: Any, mistakes: list[str]) -> dict[str, Any]:
    if isinstance(given, Mapping) and not given:
        mistakes.append("data: there is no column that could predict anything")
        return {}
    if not isinstance(given, Mapping):
        mistakes.append(
            f"data: columns must be a mapping of names to arrays, not {_kind_of(given)}"
        )
        return {}
    columns: dict[str, Any] = {}
    for name, values in given.items():
        if not isinstance(name, str) or not name:
            mistakes.append(f"data: the name of a column must be text, not {quoted(name)}")
        elif (array := _array(name, values, alone=len(given) == 1, mistakes=mistakes)) is not None:
            columns[str(name)] = array
    return columns


def _array(name: str, values: Any, *, alone: bool, mistakes: list[str]) -> Any:
    """A column as an array; None, and a mistake, for what can be none."""
    numbers = alone and name == NUMBERS
    if matrix := sparse.issparse(values):
        array: Any = values.tocsr() if hasattr(values, "tocsr") else values
    else:
        array = _plain(values)
    kind, shape = array.dtype.kind, array.shape
    if matrix and not numbers:
        wrong = "is a sparse matrix, which only one column 'x' may be"
    elif (matrix or len(shape) != 1) and not (numbers and len(shape) == 2):
        expected = "(rows, features)" if numbers else "(rows,)"
        wrong = f"has the shape {shape}, which must be {expected}"
    elif len(shape) == 2 and not shape[1]:
        wrong = "has no features"
    elif len(shape) == 2 and kind not in "biuf":
        wrong = f"must hold numbers, not {_content(array)}"
    elif kind not in "biufMUTO":
        wrong = f"must hold texts, numbers or dates, not {_content(array)}"
    else:
        legal, said = (str, "texts") if alone and name == TEXTS else (SCALARS, "texts or numbers")
        looked = enumerate(array) if kind == "O" or legal is str else ()
        if kind == "O" and set(map(type, array)) == {str}:  # in no time
            looked = ()
        other = [(i, v) for i, v in looked if not isinstance(v, legal)]
        wrong = f"must hold {said}: {named_rows(other)}" if other else ""
    if wrong:
        mistakes.append(f"data: column {quoted(name)} {wrong}")
        return None
    if matrix:
        try:
            whole = sparse.csr_matrix(array)
            whole.check_format(full_check=True)  # compiled code believes every index
        except ValueError as error:
            mistakes.append(f"data: column {quoted(name)} is no whole sparse matrix ({error})")
            return None
        return whole
    return array.astype(object) if kind in "UT" else array


def _vector(name: str, values: Any, mistakes: list[str]) -> np.ndarray | None:
    """Target, group, time, weight or split."""
    array = _plain(values)
    several = name == "target" and array.ndim == 2 and array.shape[1] > 1
    if array.ndim != 1 and not several:
        told = f"; write {name}[:, 0]" if array.ndim == 2 and array.shape[1] == 1 else ""
        mistakes.append(
            f"data: the {name} has the shape {array.shape}, which must be (rows,){told}"
        )
    elif array.dtype.kind not in ("biufOUT" if name != "time" else "biufMOUT"):
        mistakes.append(f"data: the {name} must hold texts or numbers, not {_content(array)}")
    else:
        return array.astype(object) if array.dtype.kind in "UT" else array
    return None


def _beside(beside: Mapping[str, np.ndarray | None]) -> Iterator[str]:
    """Values of what comes beside columns; those of the target are looked at with its task."""
    for name in ("group", "time"):
        if (values := beside.get(name)) is not None:
            missing = [(i, v) for i, v in enumerate(values.tolist()) if _is_missing(v)]
            if missing:
                yield f"data: the {name} must not be missing: {named_rows(missing)}"
            elif name == "time" and len({isinstance(v, str) for v in values.tolist()}) > 1:
                yield "data: the time must be texts, numbers or dates, not several of them"
    if beside.get("group") is not None and beside.get("time") is not None:
        yield "data: rows are split by group or by time, not by both"
    if (split := beside.get("split")) is not None:
        other = [(i, v) for i, v in enumerate(split.tolist()) if v not in SPLITS]
        if other:
            yield f"data: split must be 'train', 'validation' or 'test': {named_rows(other)}"
    if (weight := beside.get("weight")) is not None:
        wrong = [(i, v) for i, v in enumerate(weight.tolist()) if not _is_weight(v)]
        if wrong:
            yield f"data: the weight must be a finite number, 0 or above: {named_rows(wrong)}"


def _wrong(
    columns: Columns, rows: np.ndarray, missing_allowed: bool
) -> Iterator[tuple[int, str, Any]]:
    """Row, column and value of each number that is not finite."""
    for name, values in columns.items():
        two = len(values.shape) == 2
        if values.dtype.kind != "f":
            continue
        for start in range(0, len(rows), CHUNK):
            numbers = rows[start : start + CHUNK]
            part = values[numbers]
            dense = part if isinstance(part, np.ndarray) else part.data
            if not _bad(dense, missing_allowed).any():
                continue
            block = part if isinstance(part, np.ndarray) else part.toarray()
            block = block if two else block[:, None]
            for i, j in zip(*np.nonzero(_bad(block, missing_allowed)), strict=True):
                yield int(numbers[i]), f"{j + 1:,}" if two else quoted(name), block[i, j]


def _bad(values: np.ndarray, missing_allowed: bool) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        large: np.ndarray = np.abs(values) > LARGEST
    return large if missing_allowed else large | np.isnan(values)


def _plain(values: Any) -> np.ndarray:
    """As an array; one of objects for what has no shape. NumPy scalars in a list become numbers.

    What pandas has for a missing value becomes None.
    """
    try:
        array = np.asarray(values)
    except Exception:  # ragged lists, and whatever a stranger's object raises
        return np.array([None], object).reshape(1, 1)[:0]
    if array.dtype.kind == "O" and {kind.__name__ for kind in map(type, array.flat)} & MISSING:
        flat = [None if type(v).__name__ in MISSING else v for v in array.flat]
        array = np.array(flat, object).reshape(array.shape)
    if array.dtype.kind == "O" and array.ndim == 2 and array.size:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            return array
    return array


def _is_weight(value: Any) -> bool:
    return isinstance(value, bool | int | float) and 0.0 <= value <= LARGEST


def _is_missing(value: Any) -> bool:
    return value is None or value in ("", "NaT") or value != value  # noqa: PLR0124 - NaN


def _content(values: Any) -> str:
    return "objects" if values.dtype.kind == "O" else str(values.dtype)


def _kind_of(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
