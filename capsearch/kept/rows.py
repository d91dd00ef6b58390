"""Raw rows for a kept model from a file, as its study read its own file."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.tables.csv_file import first_record, read_csv
from capsearch.data.tables.dialect import values_in
from capsearch.data.tables.files import check_text, head_of, opened, undecodable
from capsearch.data.tables.read import form_of
from capsearch.data.tables.reading import DELIMITERS, Reading
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest
from capsearch.kept.reader import TEXT, KeptModel

Table = dict[str, np.ndarray]
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def read_rows(path: Path, model: KeptModel, reading: Reading, target: Sequence[str] = ()) -> Table:
    """The columns that the model needs, as far as the file has them, rows in the file's order.

    Args:
        path: a CSV file (gz too) or a Parquet file; of texts also a file with a text a line.
        model: whose columns are looked for, in any order.
        reading: how the study reads CSV files.
        target: columns that the study's file has and these rows may lack.

    Raises:
        BadRequest: with every mistake, by line.
    """
    if form_of(path) == "parquet":
        return _parquet(path, model)
    if model.rows == "texts":
        return {TEXT: _texts(path, reading)}
    table = read_csv(path, _as_here(path, model, reading, target))
    return {name: table[name] for name in model.columns if name in table}


def _as_here(path: Path, model: KeptModel, reading: Reading, target: Sequence[str]) -> Reading:
    """How this file is to be read: a first line with all names is a header, wherever it divides."""
    if found := _with_header(path, reading, model.columns):
        return found
    width = len(first := first_record(path, reading))
    if model.rows != "table":  # an array has no names: its columns are known by their place
        if width == model.features and len(values_in(first)) == width:
            return replace(reading, header=False, names=model.columns)
    elif reading.header is False and width == len(reading.names) - len(target):
        names = tuple(name for name in reading.names if name not in target)
        return replace(reading, names=names)
    return reading


def _with_header(path: Path, reading: Reading, needed: Collection[str]) -> Reading | None:
    """The reading by which the first line names these columns; None where there is none."""
    for sign in [reading.delimiter] if reading.delimiter else DELIMITERS:
        tried = replace(reading, delimiter=sign, header=True, names=())
        try:
            first = first_record(path, tried)
        except BadRequest as error:
            if "quote" in str(error):  # quotes may fit where another sign divides
                continue
            raise
        if set(needed) <= set(first):
            return tried
    return None


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
    if found := _with_header(path, reading, [TEXT]):
        return read_csv(path, found)[TEXT]
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
