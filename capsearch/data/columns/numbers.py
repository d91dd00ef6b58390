"""Is a column of texts one of numbers? All of its values are, or there is a doubt to be settled."""

from collections.abc import Mapping
from typing import Any

from capsearch.data.columns.codes import whole_numbers
from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, amount
from capsearch.data.columns.oddities import few_note, is_sentinel, sentinel_doubt, zero_note
from capsearch.data.columns.values import Values
from capsearch.data.columns.writing import misfits_doubt, points_doubt, some_without_unit
from capsearch.data.preparation.transform import parse_number


def number_column(values: Values, declared: Declared) -> Column | Doubt | None:
    """The column if it is one of numbers (or of ids), a doubt, or None for something else."""
    spec = spec_of(values.name, declared)
    read = {text: parse_number(text, spec) for text in values.counts}
    numbers = {text: number for text, number in read.items() if number is not None}
    if len(numbers) < len(read):
        return misfits_doubt(values, spec, numbers)
    found = (
        some_without_unit(values, spec["unit"])
        or points_doubt(values, spec)
        or whole_numbers(values, declared)
        or _sentinel(values, numbers)
    )
    return found or _described(values, spec, numbers)


def spec_of(name: str, declared: Declared) -> dict[str, Any]:
    """How numbers are written in a column, as declared."""
    return {
        "decimal": declared.decimal_of(name),
        "thousands": declared.thousands_of(name),
        "unit": declared.units.get(name, ""),
    }


def _sentinel(values: Values, numbers: Mapping[str, float]) -> Doubt | None:
    different = sorted(set(numbers.values()))
    for end in (different[0], different[-1]):
        rest = [number for number in different if number != end]
        if rest and is_sentinel(end, rest[0], rest[-1]):
            texts = [text for text, number in numbers.items() if number == end]
            count = sum(values.counts[text] for text in texts)
            return sentinel_doubt(values.name, values.null, texts, count, (rest[0], rest[-1]))
    return None


def _described(values: Values, spec: dict[str, Any], numbers: Mapping[str, float]) -> Column:
    different = sorted(set(numbers.values()))
    why = f"{values.known:,} numbers, {amount(different[0])} to {amount(different[-1])}"
    zeros = [text for text, number in numbers.items() if number == 0.0]
    count = sum(values.counts[text] for text in zeros)
    whole = all(number.is_integer() for number in different)
    note = few_note(values.name, len(different), whole=whole)
    note = note or zero_note(values.name, values.null, zeros, count, different)
    return values.column("number", why, note=note, **spec)
