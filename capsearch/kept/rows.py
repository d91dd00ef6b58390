"""Raw rows for a kept model from a file, as its study read its own file."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.tables.csv_file import first_record, read_csv
from capsearch.data.tables.dialect import values_in
from capsearch.data.tables.files import check_text, head_of, opened, undecodable
from capsearch.data.tables.header import numbered
from capsearch.data.tables.read import form_of
from capsearch.data.tables.reading import DELIMITERS, Reading
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest
from capsearch.kept.reader import TEXT, KeptModel

Table = dict[str, np.ndarray]
Apart = tuple[Sequence[str], Sequence[str]]  # target, and other columns beside the model's
NUMBERED = re.compile("c[0-9]+")  # how columns of a file without names are called
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def read_rows(
    path: Path,
    model: KeptModel,
    reading: Reading,
    target: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Table:
    """The columns that the model needs, as far as the file has them, rows in the file's order.

    Args:
        path: a CSV file (gz too) or a Parquet file; of texts also a file with a text a line.
        model: whose columns are looked for, in any order.
        reading: how the study reads CSV files.
        target: columns that the study's file has and these rows may lack.
        beside: others that it has and the model does not know.

    Raises:
        BadRequest: with every mistake, by line.
    """
    if form_of(path) == "parquet":
        return _parquet(path, model)
    if model.rows == "texts":
        return {TEXT: _texts(path, reading)}
    table = read_csv(path, _as_here(path, model, reading, (tuple(target), tuple(beside))))
    return {name: table[name] for name in model.columns if name in table}


def _as_here(path: Path, model: KeptModel, reading: Reading, apart: Apart) -> Reading:
    """How this file is to be read: a first line with all names is a header, wherever it divides.

    One with some of them is a header, too, and the model says what is missing.
    """
    named, found = _best_header(path, reading, model.columns)
    if found == len(model.columns):
        return named
    if model.rows != "table":  # an array has no names: its columns are known by their place
        first = first_record(path, reading)
        if len(first) == len(values_in(first)) == model.features:
            return replace(reading, header=False, names=model.columns)
    elif reading.header is False:
        return _by_place(path, model, reading, apart)
    elif reading.names:
        return reading
    if not found:
        raise BadRequest(
            f"{path}: line 1 has none of the names of the columns that are needed: "
            f"{some([quoted(name) for name in model.columns])}"
        )
    return named


def _by_place(path: Path, model: KeptModel, reading: Reading, apart: Apart) -> Reading:
    """Of a file without names: it has the columns of the study's, or all but the target."""
    target, beside = apart
    places = [int(n[1:]) for n in (*model.known, *target, *beside) if NUMBERED.fullmatch(n)]
    names = reading.names or numbered(max(places, default=0))
    without = tuple(name for name in names if name not in target)
    width = len(first_record(path, reading))
    for known in (names, without):
        if width == len(known):
            return replace(reading, names=known)
    raise BadRequest(
        f"{path}: line 1 has {width} values; legal: {len(names)}, as in the study's own file, "
        f"{len(without)} without the target, or names in line 1"
    )


def _best_header(path: Path, reading: Reading, needed: Collection[str]) -> tuple[Reading, int]:
    """The reading by which line 1 has the most of these names, and how many."""
    best = replace(reading, header=True, names=()), 0
    for sign in [reading.delimiter] if reading.delimiter else DELIMITERS:
        tried = replace(reading, delimiter=sign, header=True, names=())
        try:
            found = len({*needed} & {*first_record(path, tried)})
        except BadRequest as error:
            if "quote" in str(error):  # quotes may fit where another sign divides
                continue
            raise
        best = max(best, (tried, found), key=lambda each: each[1])
    return best


def _parquet(path: Path, model: KeptModel) -> Table:
    """Columns that nobody asks for are not read, whatever they hold."""
    import pyarrow.parquet as pq  # Arrow takes time to load

    from capsearch.data.tables.parquet_file import read_parquet

    try:
        names = list(pq.read_schema(path).names)
    except Exception:  # damaged: said by whom reads it
        return read_parquet(path)
    needed = [name for name in model.columns if name in names]
    if model.rows == "texts" and not needed and len(names) == 1:
        return {TEXT: read_parquet(path)[names[0]]}
    if not needed:
        return {}
    return read_parquet(path, [name for name in names if name not in needed])


def _texts(path: Path, reading: Reading) -> np.ndarray:
    """Of a column 'text', of the only column of a table, or of each line."""
    named, found = _best_header(path, reading, [TEXT])
    if found:
        return read_csv(path, named)[TEXT]
    if path.name.lower().endswith(TABLES):
        table = read_csv(path, replace(reading, header=True))
        if len(table) == 1:
            return next(iter(table.values()))
        known = some([quoted(name) for name in table])
        raise BadRequest(f"{path}: has no column {TEXT!r}, and more than one column: {known}")
    return _lines(path)


def _lines(path: Path) -> np.ndarray:
    check_text(path, head_of(path), "utf-8")
    with opened(path) as file:
        data = file.read()
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise undecodable(path, "utf-8", error) from None
    lines = lines if lines[-1] else lines[:-1]
    found: Any = np.empty(len(lines), object)
    found[:] = [line.rstrip("\r") for line in lines]
    return np.asarray(found)
