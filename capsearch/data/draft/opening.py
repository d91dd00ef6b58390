"""How a file is to be read that nobody has said anything of: told by the file, or asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from capsearch.data.tables.csv_file import first_record
from capsearch.data.tables.dialect import values_in
from capsearch.data.tables.files import WrongEncoding
from capsearch.data.tables.header import check_names, renamed
from capsearch.data.tables.read import Form, form_of, read_table
from capsearch.data.tables.reading import Reading
from capsearch.data.toml import quoted


@dataclass(frozen=True)
class Question:
    """What must be settled by a person, and the lines for [data] of which one settles it.

    `about` is the column in doubt, if it is one of the features; `key` the key of [data] whose line
    is to be changed, if there is one.
    """

    said: str
    lines: tuple[str, ...] = ()
    about: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Opened:
    """A file's table, and how it was read.

    `unusable` are columns of types that cannot be read, which are not in the table, and why not.
    """

    form: Form
    reading: Reading
    table: Mapping[str, np.ndarray]
    questions: tuple[Question, ...]
    remarks: tuple[str, ...]
    unusable: Mapping[str, str] = field(default_factory=dict)


def open_file(path: Path, delimiter: str | None = None) -> Opened:
    """Read a CSV or Parquet file. Raises BadRequest for what cannot be read at all."""
    form = form_of(path)
    if form == "parquet":
        from capsearch.data.tables.parquet_file import unusable_columns  # Arrow takes time to load

        unusable = unusable_columns(path)
        table = read_table(path, form, drop=unusable)
        return Opened(form, Reading(), table, (), (), unusable)
    try:
        return _open_csv(path, Reading(delimiter))
    except WrongEncoding as error:
        found = _open_csv(path, Reading(delimiter, error.likely))
    if _is_sure(found.reading.encoding):
        return found
    asked = Question(
        f"the file is not written in UTF-8. Read as {found.reading.encoding}, it holds "
        f"{_sample(found.table)}: is that right? If not, name another encoding",
        (f"encoding = {quoted(found.reading.encoding)}",),
        key="encoding",
    )
    return replace(found, questions=(asked, *found.questions))


def _is_sure(encoding: str) -> bool:
    """UTF-16 is known by its first bytes; other encodings are guesses."""
    return encoding.startswith("utf")


def _open_csv(path: Path, reading: Reading) -> Opened:
    first = first_record(path, reading)
    names = [cell or f"c{place}" for place, cell in enumerate(first, 1)]
    questions, remarks = list[Question](), list[str]()
    if values_in(first):
        reading = replace(reading, header=False)
        remarks.append(
            "Line 1 holds values, so there is no header: columns are called c1, c2 and so on. "
            'To name them: names = ["...", "..."]'
        )
    elif mistakes := check_names(names, can_rename=False):
        reading = replace(reading, header=True, names=renamed(names))
        questions.append(Question(f"{'; '.join(mistakes)}. Are the new names right?", key="names"))
    return Opened(
        "csv", reading, read_table(path, "csv", reading), tuple(questions), tuple(remarks)
    )


def _sample(table: Mapping[str, np.ndarray]) -> str:
    """A few values, or names, that look different in other encodings."""
    odd = [name for name in table if not name.isascii()]
    for column in table.values():
        odd += sorted({text for text in column if not text.isascii()})[: 3 - len(odd)]
        if len(odd) >= 3:
            break
    return ", ".join(quoted(text[:40]) for text in odd[:3])
