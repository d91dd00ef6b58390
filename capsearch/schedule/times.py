"""When a study is started: a cron expression, read, checked, and said in other words. Pure.

Only what every scheduler reads alike is legal: five fields of numbers, names, ranges, lists and
steps. Kubernetes knows no day 7, which is written as 0; cron knows no time zone; and schedulers
differ over `*/2` in one of the two day fields when the other one is restricted, too: refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from capsearch.errors import BadRequest

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_ITEM = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


@dataclass(frozen=True)
class _Field:
    title: str
    low: int
    high: int
    names: tuple[tuple[str, int], ...] = ()

    @property
    def legal(self) -> str:
        names = f", {self.names[0][0]} to {self.names[-1][0]}" if self.names else ""
        return (
            f"*, {self.low} to {self.high}{names}, ranges such as {self.low}-{self.low + 3}, lists "
            f"with commas, and steps after * or a range such as */2"
        )

    def number(self, word: str) -> int:
        """Raises ValueError for what is neither a number in range nor a name."""
        value = dict(self.names).get(word.lower())
        value = int(word) if value is None else value
        if not self.low <= value <= self.high:
            raise ValueError(word)
        return value


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple((name, n) for n, name in enumerate(_MONTHS, 1))),
    _Field("day of the week", 0, 7, tuple((name, n) for n, name in enumerate(_WEEKDAYS))),
)


@dataclass(frozen=True)
class Times:
    """The minutes at which a study is started. Sunday is 0.

    As in cron, when neither `days` nor `weekdays` holds all there are, either will do.
    """

    minutes: frozenset[int]  # 0 to 59
    hours: frozenset[int]  # 0 to 23
    days: frozenset[int]  # of the month, 1 to 31
    months: frozenset[int]  # 1 to 12
    weekdays: frozenset[int]  # 0 to 6

    @classmethod
    def of(cls, expression: str) -> "Times":
        """Read a cron expression. Raises BadRequest that names the field and what is legal."""
        parts = expression.split()
        if len(parts) != len(_FIELDS) or not expression.isprintable():
            raise BadRequest(
                f"--at {expression!r}: a cron expression has five fields: "
                f"{', '.join(field.title for field in _FIELDS)}; '0 2 * * *' is 02:00 every day"
            )
        minutes, hours, days, months, weekdays = (
            _values(part, field, expression) for part, field in zip(parts, _FIELDS, strict=True)
        )
        weekdays = frozenset(day % 7 for day in weekdays)
        if parts[2] != "*" and parts[4] != "*":
            if parts[2].startswith("*") or parts[4].startswith("*"):
                raise BadRequest(
                    f"--at {expression!r}: with both day fields restricted, schedulers read a step "
                    f"after * in one of them differently. Legal: days written out, such as 1,15"
                )
            if len(days) == 31 or len(weekdays) == 7:
                days, weekdays = frozenset(range(1, 32)), frozenset(range(7))
        found = cls(minutes, hours, days, months, weekdays)
        if len(weekdays) == 7 and min(days) > max(_LONGEST[month] for month in months):
            raise BadRequest(f"--at {expression!r}: no month in it has a day {min(days)}")
        return found

    @property
    def cron(self) -> str:
        """The expression in numbers that cron, Kubernetes, Slurm and Airflow read alike."""
        return " ".join(
            (
                _stepped(self.minutes, 0, 59),
                _stepped(self.hours, 0, 23),
                _listed(self.days, 31, "-"),
                _listed(self.months, 12, "-"),
                _listed(self.weekdays, 7, "-"),
            )
        )

    @property
    def calendar(self) -> tuple[str, ...]:
        """The same as OnCalendar= of systemd, which wants every part to match: one line or two.

        '30 2 1,15 * 1' is ('*-*-01,15 02:30:00', 'Mon *-*-* 02:30:00').
        """
        hours, minutes = _listed(self.hours, 24, "..", 2), _listed(self.minutes, 60, "..", 2)
        date = f"*-{_listed(self.months, 12, '..', 2)}"
        days = _listed(self.days, 31, "..", 2)
        names = ",".join(_WEEKDAYS[day].title() for day in sorted(self.weekdays))
        parts = [f"{date}-{days}"] if len(self.weekdays) == 7 or len(self.days) < 31 else []
        parts += [f"{names} {date}-*"] if len(self.weekdays) < 7 else []
        return tuple(f"{part} {hours}:{minutes}:00" for part in parts)


def _values(text: str, field: _Field, expression: str) -> frozenset[int]:
    try:
        return frozenset(value for item in text.split(",") for value in _span(item, field))
    except ValueError:
        raise BadRequest(
            f"--at {expression!r}: {field.title} {text!r} is not legal. Legal: {field.legal}"
        ) from None


def _span(item: str, field: _Field) -> range:
    found = _ITEM.fullmatch(item)
    if found is None or (found["step"] and not (found["all"] or found["high"])):
        raise ValueError(item)
    low, high = field.low, min(field.high, 6) if field.high == 7 else field.high
    if found["low"]:
        low = field.number(found["low"])
        high = field.number(found["high"]) if found["high"] else low
    step = int(found["step"] or 1)
    if low > high or not 1 <= step <= field.high:
        raise ValueError(item)
    return range(low, high + 1, step)


def _stepped(values: frozenset[int], low: int, high: int) -> str:
    for step in range(2, high // 2 + 1):
        if values == frozenset(range(low, high + 1, step)):
            return f"*/{step}"
    return _listed(values, high - low + 1, "-")


def _listed(values: Iterable[int], count: int, dash: str, width: int = 1) -> str:
    """Sorted, with runs of three and more as a range; `*` when it is all there are."""
    ordered = sorted(values)
    if len(ordered) == count:
        return "*"
    runs = groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])
    words: list[str] = []
    for _, run in runs:
        numbers = [f"{number:0{width}d}" for _, number in run]
        words += [f"{numbers[0]}{dash}{numbers[-1]}"] if len(numbers) > 2 else numbers
    return ",".join(words)
