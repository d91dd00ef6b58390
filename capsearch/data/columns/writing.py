"""Numbers that are written in another way than declared, or beside values that are none."""

import re
from collections import Counter
from collections.abc import Collection, Mapping

from capsearch.data.columns.doubt import Doubt, drop_line, line, worst
from capsearch.data.columns.values import ENOUGH, Values, almost
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
PARTED, WHOLE = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}"), re.compile(r"[+-]?[0-9]{1,3}")
SIGNS = re.compile(f"({BEFORE})?\\s?[-+]?[0-9][0-9.,'’ \u00a0\u202f]*?\\s?({AFTER})?")


def misfits_doubt(
    values: Values, spec: Mapping[str, str], numbers: Collection[str]
) -> Doubt | None:
    """What to say of a column in which some values are no numbers; None where hardly any is one."""
    name, different = values.name, len(numbers)
    misfits = {text: n for text, n in values.counts.items() if text not in numbers}
    fitting = values.known - sum(misfits.values())
    if readings := other_writings(values, spec, fitting):
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


def other_writings(values: Values, spec: Mapping[str, str], fitting: int) -> list[str]:
    """Lines that make nearly all values numbers: those that do for most, with fewest signs."""
    base = (spec["decimal"], spec["thousands"])
    found = list[tuple[int, int, str]]()
    for unit in dict.fromkeys((spec["unit"], _commonest_unit(values))):
        for decimal, thousands in (base, *READINGS):
            other = {"units": unit, "decimal": decimal, "thousands": thousands}
            declared = {"units": spec["unit"], "decimal": base[0], "thousands": base[1]}
            fit, different = _fitting(values, decimal, thousands, unit)
            others = len(values.counts) - different
            likely = fit > fitting and almost(fit, values.known, different, others)
            if not likely or some_without_unit(values, unit):
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


def _fitting(values: Values, decimal: str, thousands: str, unit: str) -> tuple[int, int]:
    """How many values are numbers in this writing, and how many different ones."""
    spec = {"decimal": decimal, "thousands": thousands, "unit": unit}
    found = [n for text, n in values.counts.items() if parse_number(text, spec) is not None]
    return sum(found), len(found)


def points_doubt(values: Values, spec: Mapping[str, str]) -> Doubt | None:
    """1.234 beside 900 is 1,234 to half of the world: points may part thousands, or decimals.

    It may where every point stands before three digits, some of which end in 0, or numbers below
    1,000 have none.
    """
    if spec["decimal"] != "." or spec["thousands"] or values.known < ENOUGH:
        return None
    parted = [text for text in values.counts if "." in text]
    whole = [text for text in values.counts if "." not in text]
    if not parted or not all(PARTED.fullmatch(text) for text in parted):
        return None
    if not all(WHOLE.fullmatch(text) for text in whole):
        return None
    if not whole and not any(text.endswith("0") for text in parted):
        return None
    seen = {text: values.counts[text] for text in parted}
    said = f"every point stands before three digits, as in {worst(seen)}: "
    thousands = [line("thousands", values.name, "."), line("decimal", values.name, ",")]
    lines = ("\n".join(thousands), line("kinds", values.name, "number"))
    return Doubt(values.name, f"{said}thousands or decimals?", lines)


def some_without_unit(values: Values, unit: str) -> Doubt | None:
    """5% beside 0.05 are not one scale: a unit stands at every value or at none."""
    if not unit:
        return None
    bare = {text: n for text, n in values.counts.items() if unit not in text}
    bare = {text: n for text, n in bare.items() if any(sign.isdigit() for sign in text)}
    if not bare or len(bare) == len(values.counts):
        return None
    said = f"{sum(bare.values()):,} of {values.known:,} values have no {unit!r}: {worst(bare)}"
    null = line("null", values.name, [*values.null, *sorted(bare)[:5]])
    lines = (null, line("kinds", values.name, "category"))
    return Doubt(values.name, said, lines)
