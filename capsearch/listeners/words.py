"""How times and networks are written where people read them."""

from collections.abc import Sequence


def clock(seconds: float) -> str:
    """'48 s', '3 min 05 s' or '2 h 07 min'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def network(units: Sequence[int]) -> str:
    """'linear', '1 layer of 3 units' or '4-33 units': never a number or a range by itself."""
    if len(units) == 1:
        return f"1 layer of {units[0]} unit{'' if units[0] == 1 else 's'}"
    return f"{'-'.join(map(str, units))} units" if units else "linear"
