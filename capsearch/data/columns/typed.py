"""A column whose file says its type. Types are believed, values are looked at."""

import numpy as np

from capsearch.data.columns.codes import DIGITS, codes, id_of
from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, amount, drop_line, line
from capsearch.data.columns.oddities import few_note, is_sentinel, sentinel_doubt
from capsearch.data.columns.values import Values
from capsearch.data.preparation.transform import LARGEST, as_text, numbers

DISTINCT = 100_000  # values in which different ones are counted


def typed_column(name: str, array: np.ndarray, declared: Declared) -> Column | Doubt | None:
    """The column, a doubt, or None where it must be looked at as texts."""
    kind = declared.kinds.get(name)
    if array.dtype.kind == "M":
        return _dates(name, array) if kind in (None, "date") else None
    if array.dtype.kind not in "iuf" or kind not in (None, "number"):
        return None
    return _numbers(name, array, declared)


def _dates(name: str, array: np.ndarray) -> Column | None:
    known = array[~np.isnat(array)]
    if not len(known) or (known.min() == known.max() and len(known) == len(array)):
        return None
    low, high = (str(end.astype("datetime64[D]")) for end in (known.min(), known.max()))
    missing, shown = len(array) - len(known), tuple(str(each)[:19] for each in known[:3])
    return Column(name, "date", f"dates in the file, {low} to {high}", missing, shown)


def _numbers(name: str, array: np.ndarray, declared: Declared) -> Column | Doubt | None:
    null = declared.null_of(name)
    try:
        x = numbers({"name": name, "null": null}, array)
    except ValueError:
        with np.errstate(over="ignore"):
            far = int(np.sum(np.abs(array.astype(np.float64)) > LARGEST))
        said = f"{far:,} of {len(array):,} values are infinite, or beyond what float32 holds"
        return Doubt(name, said, (line("null", name, [*null, "inf", "-inf"]), drop_line(name)))
    known = x[~np.isnan(x)]
    different = np.unique(known[:DISTINCT])
    if len(different) < 3 and set(np.unique(known)) <= {0.0, 1.0}:
        return None  # yes or no, or none at all: looked at as texts
    low, high = float(known.min()), float(known.max())
    if low == high:
        return None
    whole = bool((known == np.floor(known)).all())
    if name not in declared.kinds and (found := _other(name, array, known, declared, whole=whole)):
        return found
    return Column(
        name,
        "number",
        f"numbers in the file, {amount(low)} to {amount(high)}",
        len(x) - len(known),
        tuple(as_text(each) for each in array[:3]),
        null=null,
        note="" if name in declared.kinds else few_note(name, len(different), whole=whole),
    )


def _other(
    name: str, array: np.ndarray, known: np.ndarray, declared: Declared, *, whole: bool
) -> Column | Doubt | None:
    """Numbers that are an id or codes, or of which one stands for a missing value."""
    if whole and array.dtype.kind in "iu":
        texts = Values.of(name, np.unique(array), Declared()).with_rows(len(array))
        if np.abs(known).max() >= 10.0**DIGITS:
            return codes(texts, declared)
        if found := id_of(texts, declared, [int(each) for each in np.unique(array)]):
            return found
    for end in (float(known.min()), float(known.max())):
        rest = known[known != end]
        ends = float(rest.min()), float(rest.max())
        if is_sentinel(end, *ends):
            count = int(np.sum(known == end))
            return sentinel_doubt(name, declared.null_of(name), [as_text(end)], count, ends)
    return None
