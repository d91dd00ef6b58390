"""Numbers that are written in another way than declared, or beside values that are none."""

import re
from collections import Counter
from collections.abc import Collection, Mapping

from capsearch.data.columns.doubt import Doubt, drop_line, line, worst
from capsearch.data.columns.values import ALMOST, Values, almost
from capsearch.data.preparation.transform import parse_number

READINGS = [
    (".", ""),
    (",", ""),
    (".", ","),
    (",", "."),
    (".", " "),
    (",", " "),
    (".", "'"),
    (".", "’"),
]
BEFORE, AFTER = r"[^\w\s.,+'’-]{1,2}|[A-Z]{3}", r"[^\s0-9.,]{1,4}"  # $ and EUR; %, kg and °C
SIGNS = re.compile(f"({BEFORE})?\\s?[-+]?[0-9][0-9.,'’ \u00a0\u202f]*?\\s?({AFTER})?")


def misfits_doubt(
    values: Values, spec: Mapping[str, str], numbers: Collection[str]
) -> Doubt | None:
    """What to say of a column in which some values are no numbers; None where hardly any is one."""
    name, different = values.name, len(numbers)
    misfits = {text: n for text, n in values.counts.items() if text not in numbers}
    fitting = values.known - sum(misfits.values())
    if readings := _other_readings(values, spec, fitting):
        said = f"{values.known - fitting:,} of {values.known:,} values are numbers only in another "
        said += f"way of writing: {worst(misfits)}"
        return Doubt(name, said, (*readings, line("kinds", name, "category")))
    if not fitting or not almost(fitting, values.known, different, len(misfits)):
        return None
    said = f"{fitting:,} of {values.known:,} values are numbers, but not {worst(misfits)}"
    lines = [line("kinds", name, "category"), drop_line(name)]
    if len(misfits) <= 2 * len(values.counts) ** 0.5:
        lines.insert(0, line("null", name, [*values.null, *sorted(misfits)]))
    return Doubt(name, said, tuple(lines))


def _other_readings(values: Values, spec: Mapping[str, str], fitting: int) -> list[str]:
    """Lines that make nearly all values numbers: those that do for most, with fewest signs."""
    base = (spec["decimal"], spec["thousands"])
    found = list[tuple[int, int, str]]()
    for unit in dict.fromkeys((spec["unit"], _commonest_unit(values))):
        for decimal, thousands in (base, *READINGS):
            other = {"units": unit, "decimal": decimal, "thousands": thousands}
            declared = {"units": spec["unit"], "decimal": base[0], "thousands": base[1]}
            fit = _fitting(values, decimal, thousands, unit)
            if fit < ALMOST * values.known or fit <= fitting or some_without_unit(values, unit):
                continue
            changes = [line(k, values.name, v) for k, v in other.items() if v != declared[k]]
            signs = (decimal != ".") + (thousands != "") + (unit != "")
            found.append((-fit, signs, "\n".join(changes)))
    best = min(found, default=(0, 0, ""))[:2]
    return list(dict.fromkeys(said for fit, signs, said in found if (fit, signs) == best))


def _commonest_unit(values: Values) -> str:
    """The sign that stands before or after most numbers, if any does."""
    units = Counter[str]()
    for text, count in values.counts.items():
        if (found := SIGNS.fullmatch(text)) and (unit := found[1] or found[2]):
            units[unit] += count
    return max(units, key=lambda unit: units[unit], default="")


def _fitting(values: Values, decimal: str, thousands: str, unit: str) -> int:
    spec = {"decimal": decimal, "thousands": thousands, "unit": unit}
    return sum(n for text, n in values.counts.items() if parse_number(text, spec) is not None)


def some_without_unit(values: Values, unit: str) -> Doubt | None:
    """5% beside 0.05 are not one scale: a unit stands at every value or at none."""
    if not unit:
        return None
    bare = {text: n for text, n in values.counts.items() if unit not in text}
    if not bare or len(bare) == len(values.counts):
        return None
    said = f"{sum(bare.values()):,} of {values.known:,} values have no {unit!r}: {worst(bare)}"
    lines = (line("null", values.name, sorted(bare)[:5]), line("kinds", values.name, "category"))
    return Doubt(values.name, said, lines)
