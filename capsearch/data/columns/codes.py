"""Whole numbers that are no quantities: row numbers, ids, codes, and dates without signs."""

import re
from collections.abc import Sequence

from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, drop_line, line, worst
from capsearch.data.columns.values import ENOUGH, UNIQUE, Values
from capsearch.data.preparation.transform import date_pattern, parse_date

DIGITS = 15  # of an integer that a float holds
COUNTED = 50  # row numbers that are told from other whole numbers
INTEGER = re.compile(r"[+-]?[0-9]+")
LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
COMPACT = "%Y%m%d"
SOME = 0.05  # of the values begin with 0, so that nobody takes them for numbers


def whole_numbers(values: Values, declared: Declared) -> Column | Doubt | None:
    """What whole numbers are, if not quantities; None where they may be."""
    if not all(map(INTEGER.fullmatch, values.counts)):
        return None
    return (
        codes(values, declared)
        or id_of(values, declared, [int(text) for text in values.counts])
        or _compact_dates(values)
    )


def codes(values: Values, declared: Declared) -> Column | Doubt | None:
    """Digits with leading zeros, or too many of them, are codes and no numbers."""
    longest = max(len(text.lstrip("+-")) for text in values.counts)
    zeros = {text: n for text, n in values.counts.items() if LEADING_ZERO.fullmatch(text)}
    if longest > DIGITS:
        why = f"whole numbers of up to {longest} digits: codes"
    elif not zeros:
        return None
    else:
        begins = f"{sum(zeros.values()):,} of {values.known:,} values begin with 0"
        if len({len(text) for text in values.counts}) > 1 and (
            sum(zeros.values()) < SOME * values.known
        ):
            said = f"{begins}, such as {worst(zeros)}: codes or numbers?"
            lines = (line("kinds", values.name, "category"), line("kinds", values.name, "number"))
            return Doubt(values.name, said, lines)
        why = f"{begins}: codes"
    if values.unique >= UNIQUE and values.known >= ENOUGH and values.name not in declared.keep:
        return values.column("id", f"{why}, nearly all different", used=False)
    return values.column("category", why)


def id_of(values: Values, declared: Declared, numbers: Sequence[int]) -> Column | Doubt | None:
    """Whole numbers (the different ones) that only name their rows, or that may be codes."""
    if values.name in declared.keep:
        return None
    counting = counts_up(numbers)
    if values.unique >= UNIQUE and (values.named_id or counting):
        how = "number the rows" if counting else "are an id by their name"
        why = f"whole numbers, nearly all different, that {how}"
        return values.column("id", why, used=False)
    if values.named_id and len(values.counts) > 2:
        said = f"its name is that of a code, and it has {len(values.counts):,} different numbers"
        lines = (line("kinds", values.name, "category"), line("kinds", values.name, "number"))
        return Doubt(values.name, said, (*lines, drop_line(values.name)))
    return None


def counts_up(numbers: Sequence[int]) -> bool:
    """Whether different numbers leave few out between the first and the last, as row numbers do.

    Rows kept for a test leave gaps, so up to half of the range may be missing.
    """
    return len(numbers) >= COUNTED and max(numbers) - min(numbers) < 2 * len(numbers)


def _compact_dates(values: Values) -> Doubt | None:
    """20240131 is a date or a number: nobody can tell but who wrote it."""
    pattern = date_pattern(COMPACT)
    dates = all(
        len(text) == 8 and "1900" <= text[:4] <= "2099" and parse_date(text, pattern) is not None
        for text in values.counts
    )
    if not dates or values.known < ENOUGH:
        return None
    said = f"all {values.known:,} values are 8 digits that may be dates or numbers"
    lines = (line("formats", values.name, COMPACT), line("kinds", values.name, "number"))
    return Doubt(values.name, said, lines)
