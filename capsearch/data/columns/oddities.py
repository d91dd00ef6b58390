"""Numbers that may stand for something else: a missing value, or a code."""

from collections.abc import Sequence

from capsearch.data.columns.doubt import Doubt, amount, line, times
from capsearch.data.columns.values import ENOUGH

FEW_VALUES = 5  # of whole numbers, which may be codes
SENTINELS = {9.0, *(10.0**n - 1 for n in range(2, 8))}


def is_sentinel(end: float, low: float, high: float) -> bool:
    """Whether 9, 99, -999 and the like stand so far from the rest that they mean 'missing'."""
    gap = max(low - end, end - high)
    return abs(end) in SENTINELS and abs(end) >= 9.0 and gap > max(high - low, 1.0)


def sentinel_doubt(
    name: str, null: Sequence[str], texts: list[str], count: int, rest: tuple[float, float]
) -> Doubt:
    """`rest`: the ends of all other values."""
    said = (
        f"{texts[0]} ({times(count)}) is far from all other values ({amount(rest[0])} to "
        f"{amount(rest[1])}) and may stand for a missing one"
    )
    return Doubt(name, said, (line("null", name, [*null, *texts]), line("kinds", name, "number")))


def few_note(name: str, different: int, *, whole: bool) -> str:
    """What to think of whole numbers with few values: codes, perhaps."""
    if not whole or different > FEW_VALUES:
        return ""
    return f"only {different} values. If they are codes: {line('kinds', name, 'category')}"


def zero_note(
    name: str, null: Sequence[str], texts: list[str], zeros: int, different: list[float]
) -> str:
    """Zeros far below everything else may be missing values."""
    rest = [number for number in different if number != 0.0]
    if not zeros or len(rest) < ENOUGH or rest[0] < 0.0:
        return ""
    low, quarter, three = (rest[len(rest) * share // 100] for share in (1, 25, 75))
    if low <= three - quarter:
        return ""
    return (
        f"0 ({times(zeros)}) is far below the others, nearly all of which are {amount(low)} or "
        f"more. If it means missing: {line('null', name, [*null, *texts])}"
    )
