"""A doubt about a column: what was found, and the lines of a study file of which one settles it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capsearch.data.toml import bare, listed, quoted

WORST = 5  # values in a message
LENGTH = 40  # of a value in a message


@dataclass(frozen=True)
class Doubt:
    """`lines` are for the [data] table, the likeliest first; one may be two, with a line break."""

    column: str
    said: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        choice = " or ".join(line.replace("\n", " and ") for line in self.lines)
        return f"column {self.column!r}: {self.said}. Write into [data]: {choice}"


def line(key: str, column: str, value: str | Iterable[str]) -> str:
    """A line of [data] about one column: kinds.zip = "category"."""
    said = quoted(value) if isinstance(value, str) else listed(*value)
    return f"{key}.{bare(column)} = {said}"


def drop_line(*columns: str) -> str:
    return f"drop = {listed(*columns)}"


def worst(counts: Mapping[str, int]) -> str:
    """The five commonest of some values with their counts: '"?" (12 times), "unknown" (once)'."""
    order = sorted(counts, key=lambda text: (-counts[text], text))
    told = ", ".join(f"{quoted(short(text))} ({times(counts[text])})" for text in order[:WORST])
    return told + (f" and {len(order) - WORST:,} others" if len(order) > WORST else "")


def short(text: str) -> str:
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 3]}..."


def amount(number: float) -> str:
    """A number as people write it: '1484705', where '%g' has 1.48347e+06."""
    whole = float(number).is_integer() and abs(number) < 1e15
    return f"{number:.0f}" if whole else f"{number:g}"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
