"""One table of one file, or of several with the same columns."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from capsearch.data.tables.csv_file import csv_names, read_csv
from capsearch.data.tables.files import PARQUET, head_of
from capsearch.data.tables.header import no_column
from capsearch.data.tables.reading import Reading
from capsearch.errors import BadRequest

Form = Literal["csv", "parquet"]


def form_of(path: Path) -> Form:
    """What a file is, by its first bytes. Raises BadRequest for what cannot be read."""
    return "parquet" if head_of(path).startswith(PARQUET) else "csv"


def read_table(
    paths: Path | Sequence[Path],
    form: Form | None = None,
    reading: Reading | None = None,
    drop: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Columns by name, in the first file's order, each of shape (rows,), rows in the files' order.

    Args:
        paths: One file, or several with the same columns in any order.
        form: What the files are; None: what their first bytes say.
        reading: How a CSV file is to be read.
        drop: Columns that are not wanted, whatever they hold; each must be there.

    Returns:
        Of a CSV file arrays of `str` (dtype object, "" for nothing); of a Parquet file arrays of
        the types that it has, NaN, NaT, None or "" for missing values. See `parquet_file`.

    Raises:
        BadRequest: With every mistake found, by file, line or column.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    tables, mistakes = list[dict[str, np.ndarray]](), list[str]()
    for path in files:
        try:
            tables.append(_read_file(path, form or form_of(path), reading or Reading(), drop))
        except BadRequest as error:
            mistakes += error.mistakes
    if not mistakes:
        first, *others = zip(files, tables, strict=True)
        mistakes += [told for other in others for told in _differences(first, other)]
    if mistakes:
        raise BadRequest(*mistakes)
    if len(tables) == 1:
        return tables[0]
    return {name: _joined([table.pop(name) for table in tables]) for name in list(tables[0])}


def names_in(path: Path, form: Form, reading: Reading, needed: Collection[str]) -> tuple[str, ...]:
    """The names of a file's columns, in its order; no row is looked at. Raises BadRequest."""
    if form == "parquet":
        from capsearch.data.tables.parquet_file import parquet_names  # Arrow takes time to load

        return parquet_names(path)
    return csv_names(path, reading, needed)


def _read_file(
    path: Path, form: Form, reading: Reading, drop: Collection[str]
) -> dict[str, np.ndarray]:
    if form == "parquet":
        from capsearch.data.tables.parquet_file import read_parquet  # Arrow takes time to load

        return read_parquet(path, drop)
    table = read_csv(path, reading)
    if unknown := [name for name in drop if name not in table]:
        raise BadRequest(*(f"{path}: {no_column('drop', name, table)}" for name in unknown))
    return {name: x for name, x in table.items() if name not in drop}


Named = tuple[Path, Mapping[str, np.ndarray]]


def _differences(first: Named, other: Named) -> list[str]:
    """In what the columns of two files differ."""
    mistakes = list[str]()
    for (path, table), (_, there) in ((first, other), (other, first)):
        if lacking := [name for name in there if name not in table]:
            mistakes.append(f"{path}: has no column {', '.join(map(repr, lacking[:5]))}")
    for name in first[1].keys() & other[1].keys():
        here, there_kind = _kind(first[1][name]), _kind(other[1][name])
        if here != there_kind:
            mistakes.append(
                f"{other[0]}: column {name!r} holds {there_kind}, and {here} in {first[0]}"
            )
    return sorted(mistakes)


def _kind(array: np.ndarray) -> str:
    kinds = {"b": "booleans", "i": "numbers", "u": "numbers", "f": "numbers", "M": "dates"}
    if array.dtype.kind in kinds:
        return kinds[array.dtype.kind]
    return "booleans" if any(isinstance(value, bool) for value in array) else "texts"


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts)
