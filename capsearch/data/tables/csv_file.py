"""A CSV file as columns of text: every value as it stands there, less the space around it.

Nothing is a number, a date or missing yet. The reader is Python's, in its strict mode, for it
counts lines, and takes neither a surplus value for a row's name nor a blank line out of a single
column.
"""

import codecs
import csv
import io
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from capsearch.data.tables.dialect import Doubt, delimiter_of, named_by
from capsearch.data.tables.files import check_text, head_of, opened, undecodable
from capsearch.data.tables.header import names_of
from capsearch.data.tables.reading import DELIMITERS, Reading
from capsearch.errors import BadRequest

SAMPLE = 200  # lines that tell the delimiter
CHUNK = 20_000  # rows that are turned into columns at once
KNOWN = 10_000  # different texts of a column of which one copy is kept
SHOWN = 5  # mistakes of a kind


def read_csv(path: Path, reading: Reading) -> dict[str, np.ndarray]:
    """Columns by name, in the file's order: arrays of `str`, shape (rows,), dtype object.

    Raises BadRequest with every mistake.
    """
    check_text(path, head_of(path), reading.encoding)
    delimiter = _delimiter(path, reading)
    with _records(path, reading.encoding, delimiter) as records:
        try:
            first_line, first = next(records)
        except StopIteration:
            raise BadRequest(f"{path}: holds blank lines only") from None
        names, mistakes = names_of(first, reading, delimiter)
        columns = _Columns(len(first))
        if not reading.header_is_names:
            columns.add(first_line, first)
        for line, record in records:
            columns.add(line, record)
    mistakes += columns.mistakes()
    if not (mistakes or columns.rows):
        mistakes.append("has names and no rows")
    if mistakes:
        raise BadRequest(*(f"{path}: {mistake}" for mistake in mistakes))
    return dict(zip(names, columns.arrays(), strict=True))


def csv_names(path: Path, reading: Reading, needed: Collection[str]) -> tuple[str, ...]:
    """The names of a file's columns by line 1 alone, divided so that it has most of those needed.

    Raises BadRequest where it cannot be read at all.
    """
    found, refused = list[tuple[str, ...]](), list[BadRequest]()
    for sign in [reading.delimiter] if reading.delimiter else DELIMITERS:
        try:
            first = first_record(path, replace(reading, delimiter=sign))
        except BadRequest as error:  # quotes may fit where another sign divides
            refused.append(error)
        else:
            found.append(names_of(first, reading, sign)[0])
    if not found:
        raise refused[0]
    return max(found, key=lambda names: len({*needed} & {*names}))


def first_record(path: Path, reading: Reading) -> list[str]:
    """The values of the first line, which may be names. Raises BadRequest."""
    check_text(path, head_of(path), reading.encoding)
    with _records(path, reading.encoding, _delimiter(path, reading)) as records:
        return [text.strip() for text in next(records, (0, [""]))[1]]


def _delimiter(path: Path, reading: Reading) -> str:
    try:
        return reading.delimiter or delimiter_of(_sample(path, reading.encoding))
    except Doubt as doubt:
        raise BadRequest(f"{path}: {doubt}") from None


def _sample(path: Path, encoding: str) -> str:
    """The first lines, whole."""
    with _lines(path, encoding) as lines:
        return "".join(islice(lines, SAMPLE))


class _Columns:
    """Records turned into columns, a chunk at a time; those of another width are told by line."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = 0
        self._chunk: list[list[str]] = []
        self._parts: list[list[np.ndarray]] = [[] for _ in range(width)]
        self._known: list[dict[str, str]] = [{} for _ in range(width)]
        self._ragged: list[tuple[int, int]] = []  # line and number of values, of the first few
        self._wrong = 0
        self._surplus = 0  # rows with one value more than names

    def add(self, line: int, record: list[str]) -> None:
        record = record or [""]  # a blank line is a missing value, in a file of one column
        self.rows += 1
        if len(record) != self.width:
            self._wrong += 1
            self._surplus += len(record) == self.width + 1
            if len(self._ragged) < SHOWN:
                self._ragged.append((line, len(record)))
            return
        self._chunk.append(record)
        if len(self._chunk) == CHUNK:
            self._store()

    def arrays(self) -> list[np.ndarray]:
        self._store()
        return [np.concatenate(parts) for parts in self._parts]

    def mistakes(self) -> list[str]:
        if not self._wrong:
            return []
        found = ", ".join(f"line {line} has {width}" for line, width in self._ragged)
        more = f" and {self._wrong - SHOWN:,} more lines" if self._wrong > SHOWN else ""
        told = f"{self.width} values in a row expected, as in line 1, but {found}{more}"
        if self._surplus == self.rows:
            told += (
                ". Every row has one value more than the first line has names: write all of them, "
                'as in names = ["row", ...] with header = true'
            )
        elif self._wrong > self.rows / 2:
            told += ". Is line 1 that of the names? Delete whatever stands above them"
        return [told]

    def _store(self) -> None:
        columns = zip(*self._chunk, strict=True)
        for texts, parts, known in zip(columns, self._parts, self._known, strict=False):
            array = np.empty(len(texts), object)
            array[:] = [_one_copy(text.strip(), known) for text in texts]
            parts.append(array)
        self._chunk.clear()


def _one_copy(text: str, known: dict[str, str]) -> str:
    return known.setdefault(text, text) if len(known) < KNOWN else known.get(text, text)


@contextmanager
def _lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """The lines of a file with their ends. Raises BadRequest for what is no text."""
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    with opened(path) as file, io.TextIOWrapper(file, codec, newline="") as text:
        try:
            yield _checked(path, text)
        except UnicodeError as error:
            raise undecodable(path, encoding, error) from None


def _checked(path: Path, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise BadRequest(f"{path}: line {number} holds a NUL, which no text does")
        yield line


@contextmanager
def _records(
    path: Path, encoding: str, delimiter: str
) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """(line where it begins, values) of every record. Raises BadRequest for quotes that do not fit.

    Blank lines are records of no values in a file of one column, and nothing in any other.
    """
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with _lines(path, encoding) as lines:
            yield _numbered(path, lines, delimiter)
    finally:
        csv.field_size_limit(limit)


def _numbered(path: Path, lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    first = next(lines, "")
    before = 0 if named_by(first) is None else 1  # lines above the names
    lines = lines if before else chain([first], lines)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    width, end = 0, before
    try:
        for record in reader:
            begin, end = end + 1, before + reader.line_num
            width = width or len(record)
            if record or width == 1:
                yield begin, record
    except csv.Error as error:
        where = f"{path}: line {end + 1}"
        if "unexpected end of data" in str(error):
            raise BadRequest(f"{where}: a quote opens here and is never closed") from None
        raise BadRequest(
            f"{where}: quotes do not fit ({error}); a quote inside quotes is written twice"
        ) from None
