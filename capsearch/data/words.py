"""What stands in rows, as a person may safely read it: short, in one line, no control signs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LONGEST = 40  # characters of a value that are shown
MOST = 5  # examples that are named


def quoted(value: Any) -> str:
    """A value, in quotes where it is text; what moves a cursor or hides is shown as an escape."""
    if isinstance(value, str):
        return repr(str(value[:LONGEST]) + ("…" if len(value) > LONGEST else ""))
    said = ascii(value.item() if isinstance(value, np.generic) else value)
    said = " ".join(said.split())
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def some(examples: Sequence[str]) -> str:
    """At most five of them, and how many there are beside."""
    listed = ", ".join(examples[:MOST])
    return listed if len(examples) <= MOST else f"{listed} and {len(examples) - MOST:,} more"


def named_rows(values: Sequence[tuple[int, Any]]) -> str:
    """'row 3 has nan, row 9 has inf': rows are counted from 1."""
    return some([f"row {row + 1:,} has {quoted(value)}" for row, value in values])
