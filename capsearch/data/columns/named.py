"""A column whose kind a person declared: every value must be of it, and nothing else is asked."""

from capsearch.data.columns.dates import date_column
from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, amount, line, worst
from capsearch.data.columns.numbers import spec_of
from capsearch.data.columns.values import Values
from capsearch.data.preparation.transform import BOOLEANS, parse_number


def declared_column(values: Values, declared: Declared) -> Column | Doubt:
    """The column as declared, or what does not fit."""
    kind = declared.kinds.get(values.name, "date")
    if kind == "date":
        return date_column(values, declared) or _none_fit(values, "date", values.counts)
    if kind == "number":
        spec = spec_of(values.name, declared)
        numbers = {text: parse_number(text, spec) for text in values.counts}
        if misfits := {t: values.counts[t] for t, number in numbers.items() if number is None}:
            return _none_fit(values, kind, misfits)
        ends = [number for number in numbers.values() if number is not None]
        reach = f"{amount(min(ends))} to {amount(max(ends))}"
        why = f"declared; {values.known:,} numbers, {reach}"
        return values.column(kind, why, **spec)
    if kind == "boolean":
        misfits = {t: n for t, n in values.counts.items() if t.casefold() not in BOOLEANS}
        return _none_fit(values, kind, misfits) if misfits else values.column(kind, "declared")
    return values.column(kind, f"declared; {len(values.counts):,} values")


def _none_fit(values: Values, kind: str, misfits: dict[str, int]) -> Doubt:
    count = sum(misfits.values())
    said = (
        f"declared as {kind}, but {count:,} of {values.known:,} values are none: {worst(misfits)}"
    )
    name = values.name
    lines = [line("kinds", name, "category")]
    if count < values.known:
        lines.insert(0, line("null", name, [*values.null, *sorted(misfits)[:10]]))
    return Doubt(name, said, tuple(lines))
