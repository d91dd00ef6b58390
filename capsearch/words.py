"""How networks, times and other people's texts are written where people read them."""

import re
from collections.abc import Sequence
from textwrap import wrap


def network(units: Sequence[int]) -> str:
    """'linear', '1 layer of 3 units' or '4-33 units': never a number or a range by itself."""
    if len(units) == 1:
        return f"1 layer of {units[0]} unit{'' if units[0] == 1 else 's'}"
    return f"{'-'.join(map(str, units))} units" if units else "linear"


def described(units: Sequence[int]) -> str:
    """'a linear model', 'a 1-layer network (3 units)' or 'a 2-layer network (4 and 33 units)'."""
    if not units:
        return "a linear model"
    *first, last = map(str, units)
    widths = f"{', '.join(first)} and {last}" if first else last
    return f"a {len(units)}-layer network ({widths} unit{'' if widths == '1' else 's'})"


def clock(seconds: float) -> str:
    """'48 s', '3 min 05 s' or '2 h 07 min'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def plain(text: str) -> str:
    """A line of text in which nothing moves a cursor, changes colours or turns the reading order.

    What does is shown as an escape: a file's name or a label may hold anything.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


CODE = re.compile(r'[a-z_]+(?:\.(?:"[^"]*"|[\w-]+))? = (?:\[[^\]]*\]|\{[^}]*\}|"[^"]*"|\w+)')
HELD = "\uffff"  # stands for a space at which no line ends; no text that is shown holds it


def wrapped(text: str, width: int, then: str = "") -> list[str]:
    """Lines of at most `width` signs, all but the first after `then`; `key = value` stays whole.

    A longer one of these has a line to itself, so that it can be copied.
    """
    held = CODE.sub(lambda found: found[0].replace(" ", HELD), text)
    lines = wrap(
        held, width, subsequent_indent=then, break_on_hyphens=False, break_long_words=False
    )
    return [line.replace(HELD, " ") for line in lines]


def minute(moment: str) -> str:
    """Of a time in ISO 8601, what a person reads: '2026-01-02 03:04'."""
    return moment[:16].replace("T", " ")
