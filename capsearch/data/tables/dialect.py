"""Which sign stands between values, and whether line 1 holds names: told by the text, or asked."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence

from capsearch.data.tables.reading import DELIMITERS
from capsearch.data.toml import quoted

VALUE = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?|\d{4}-\d\d-\d\d([ T].*)?")

EXCEL = re.compile(r'"?sep=(.)"?\s*')  # a line above the names, for Excel to read


class Doubt(Exception):
    """The text leaves a choice; the message says which, and what to write."""


def delimiter_of(sample: str) -> str:
    """The only sign that divides every record of a sample into as many values.

    Where none does, the one that comes nearest, so that the reader finds the records that do not
    fit; for a file of one column, the comma. Raises Doubt where several do. A first line such as
    'sep=;' says it.
    """
    if sign := named_by(next(iter(sample.splitlines()), "")):
        return sign
    widths = {sign: _widths(sample, sign) for sign in DELIMITERS}
    whole = {s: w[0] for s, w in widths.items() if len(set(w)) == 1 and w[0] > 1}
    if len(whole) == 1:
        return next(iter(whole))
    if whole:
        said = ", ".join(f"{quoted(sign)} gives {width}" for sign, width in whole.items())
        lines = " or ".join(f"delimiter = {quoted(sign)}" for sign in whole)
        raise Doubt(f"several signs divide every line into as many values ({said}): write {lines}")
    return max(DELIMITERS, key=lambda sign: _agreement(widths[sign]))


def named_by(line: str) -> str | None:
    """The sign between values that a line names which is none of the table's, as in 'sep=;'."""
    found = EXCEL.fullmatch(line)
    return found.group(1) if found else None


def _widths(sample: str, delimiter: str) -> list[int]:
    """How many values each record has; quotes that do not fit are the reader's to find."""
    lines = io.StringIO(sample, newline="")
    widths = list[int]()
    try:
        for record in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            if record:
                widths.append(len(record))
    except csv.Error:
        pass
    return widths


def _agreement(widths: Sequence[int]) -> tuple[bool, bool, float]:
    """Whether most records have the commonest width, whether the first one is divided, and the
    share of records with that width.
    """
    usual, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
    divided = bool(widths) and widths[0] > 1
    share = count / len(widths) if usual > 1 else 0.0
    return share > 0.5, divided, share


def values_in(first: Sequence[str]) -> list[str]:
    """Those of the first record that are numbers or dates, which names hardly ever are."""
    return [text for text in first if VALUE.fullmatch(text)]
