"""A cron expression, read as every scheduler reads it."""

import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.errors import BadRequest
from capsearch.schedule import Times


@pytest.mark.parametrize(
    ("expression", "cron", "calendar"),
    [
        ("0 2 * * *", "0 2 * * *", ("*-*-* 02:00:00",)),
        ("*/15 * * * *", "*/15 * * * *", ("*-*-* *:00,15,30,45:00",)),
        ("5 0-6/2 1 JAN-mar *", "5 0,2,4,6 1 1-3 *", ("*-01..03-01 00,02,04,06:05:00",)),
        ("0 22 * * mon-fri", "0 22 * * 1-5", ("Mon,Tue,Wed,Thu,Fri *-*-* 22:00:00",)),
        ("0 0 * * 7", "0 0 * * 0", ("Sun *-*-* 00:00:00",)),
        ("0 0 * * 5-7", "0 0 * * 0,5,6", ("Sun,Fri,Sat *-*-* 00:00:00",)),
        ("30 2 1,15 * 1", "30 2 1,15 * 1", ("*-*-01,15 02:30:00", "Mon *-*-* 02:30:00")),
        ("0 0 1-31 * 1", "0 0 * * *", ("*-*-* 00:00:00",)),
        ("0 0 */10 * *", "0 0 1,11,21,31 * *", ("*-*-01,11,21,31 00:00:00",)),
        ("0 0 29 2 *", "0 0 29 2 *", ("*-02-29 00:00:00",)),
    ],
)
def test_an_expression_is_said_in_numbers_and_in_the_words_of_systemd(
    expression: str, cron: str, calendar: tuple[str, ...]
) -> None:
    assert Times.of(expression).cron == cron
    assert Times.of(expression).calendar == calendar


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "five fields: minute, hour, day of the month, month, day of the week"),
        ("@daily", "five fields"),
        ("0 2 * *", "five fields"),
        ("0 0 2 * * *", "five fields"),
        ("0 2 *\n* *", "five fields"),
        ("60 2 * * *", "minute '60' is not legal. Legal: *, 0 to 59, ranges such as 0-3"),
        ("0 24 * * *", "hour '24' is not legal"),
        ("0 2 0 * *", "day of the month '0' is not legal"),
        ("0 2 L * *", "day of the month 'L' is not legal"),
        ("0 2 * 13 *", "month '13' is not legal. Legal: *, 1 to 12, jan to dec"),
        ("0 2 * * 8", "day of the week '8' is not legal"),
        ("0 2 * * fri-mon", "day of the week 'fri-mon' is not legal"),
        ("0 2 * * mon#1", "day of the week 'mon#1' is not legal"),
        ("5/10 2 * * *", "minute '5/10' is not legal"),
        ("*/0 2 * * *", "minute '*/0' is not legal"),
        ("1,,2 2 * * *", "minute '1,,2' is not legal"),
        ("-1 2 * * *", "minute '-1' is not legal"),
        ("¹ 2 * * *", "minute '¹' is not legal"),
        ("0 2 */2 * 1", "schedulers read a step after * in one of them differently"),
        ("0 2 30 2 *", "no month in it has a day 30"),
        ("0 2 31 4,6 *", "no month in it has a day 31"),
    ],
)
def test_what_schedulers_would_not_read_alike_is_refused_with_what_is_legal(
    expression: str, message: str
) -> None:
    with pytest.raises(BadRequest) as error:
        Times.of(expression)
    assert message in str(error.value)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    item = st.one_of(number.map(str), span, st.builds("{}/{}".format, span, st.integers(1, high)))
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


expressions = st.tuples(
    field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)
).map(" ".join)  # fmt: skip


@given(expressions)
def test_the_expression_that_is_written_means_what_was_read(expression: str) -> None:
    times = Times.of(expression)
    assert Times.of(times.cron) == times
    assert Times.of(times.cron).cron == times.cron


@pytest.mark.needs("systemd-analyze")
def test_systemd_itself_starts_at_the_minutes_that_cron_would() -> None:
    since = datetime(2027, 1, 30, 23, 58, tzinfo=UTC)
    for expression in (
        "0 2 * * *", "*/20 3,4 * * *", "5 0-6/3 1 jan-mar *", "0 22 * * mon-fri", "0 0 * * 5-7",
        "30 2 1,15 * 1", "59 23 31 * *", "0 12 29 2 *", "7 */6 28-31 * sun",
    ):  # fmt: skip
        times = Times.of(expression)
        wanted = minutes_of(times, since, 8)
        found = sorted({moment for line in times.calendar for moment in asked(line, since)})
        assert found[:8] == wanted, expression


def minutes_of(times: Times, since: datetime, count: int) -> list[datetime]:
    """The next minutes, by cron's rule, tried one day and then one minute at a time."""
    found: list[datetime] = []
    day = since.replace(hour=0, minute=0)
    while len(found) < count:
        weekday = (day.weekday() + 1) % 7
        restricted = len(times.days) < 31, len(times.weekdays) < 7
        hits = day.day in times.days, weekday in times.weekdays
        either = any(hits) if all(restricted) else all(hits)
        if either and day.month in times.months:
            moments = [day + timedelta(minutes=m) for m in range(1440)]
            found += [
                m for m in moments
                if m > since and m.minute in times.minutes and m.hour in times.hours
            ]  # fmt: skip
        day += timedelta(days=1)
    return found[:count]


def asked(calendar: str, since: datetime) -> list[datetime]:
    base = f"--base-time={since:%F %T} UTC"
    run = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=8", base, calendar],
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", run.stdout, re.MULTILINE)
    return [datetime.fromisoformat(f"{moment}+00:00") for moment in found]
