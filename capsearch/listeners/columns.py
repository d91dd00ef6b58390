"""What `capsearch new` shows of a file: a line a column, what is remarkable, what is asked."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from capsearch.data.columns import Column
from capsearch.words import wrapped

if TYPE_CHECKING:
    from capsearch.data.draft import Survey
    from capsearch.data.fitting import Fitted

ASKED = re.compile(r"^QUESTION \d+")
PLAIN = "a number"  # why a column of an array is what it is
SHOWN = 100  # columns of a table; one of 10,000 helps nobody
RANGES = ("number", "date", "boolean")  # kinds whose `why` shows more than examples do


def show_survey(console: Console, survey: "Survey") -> None:
    """The target, then every column: kind, missing values, what is in it, what becomes of it."""
    answer = survey.answer
    task = f", {answer.task}: {answer.why}" if answer.task else ", of which a question is asked"
    have = "row has" if answer.missing == 1 else "rows have"
    absent = f"; {answer.missing:,} {have} none" if answer.missing else ""
    console.print(
        f"[bold]{_safe(survey.path.name)}[/]: {survey.rows:,} rows. Target "
        f"[bold]{_safe(survey.target)}[/]{_safe(task)}{absent}",
        highlight=False,
    )
    becomes = {name: _features(count) for name, count in survey.features.items()}
    becomes |= dict.fromkeys(survey.left_out, "left out")
    numbers = {question.about: place for place, question in enumerate(survey.questions, 1)}
    asked = {d.column: f"QUESTION {numbers[d.column]}" for d in survey.doubts}
    show_columns(console, survey.columns, becomes, asked)
    for name, why in survey.left_out.items():
        _point(console, f"{name!r} is left out: {why}")
    for remark in survey.remarks:
        _point(console, remark)
    for column in survey.columns:
        if column.note and column.name not in survey.left_out:
            _point(console, f"{column.name}: {column.note}")
    for number, question in enumerate(survey.questions, 1):
        lines = (line.replace("\n", " and ") for line in question.lines)
        choices = "\n".join(f"    {line}" for line in lines)
        _point(console, f"QUESTION {number}: {question.said}", mark="")
        if choices:
            console.print(choices, highlight=False, markup=False, soft_wrap=True)


def show_prepared(console: Console, fitted: "Fitted") -> None:
    """A line a column of a study's table, as found on its rows for training and validation.

    Nothing where the rows are texts or plain numbers, which have no columns with names.
    """
    said, _ = fitted.as_files()
    if said["kind"] != "table" or all(each["why"] == PLAIN for each in said["columns"]):
        return
    specs = said["files"]["preparation.json"]["columns"]
    becomes = {spec["name"]: _features(spec["width"]) for spec in specs}
    show_columns(console, [Column.from_dict(each) for each in said["columns"]], becomes)


def show_columns(
    console: Console,
    columns: Iterable[Column],
    becomes: dict[str, str],
    asked: dict[str, str] | None = None,
) -> None:
    """A line a column. `becomes`: what a network sees of it, by name; `asked`: columns in doubt."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("column", overflow="fold", max_width=22)
    table.add_column("kind", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    table.add_column("what is in it", overflow="fold", ratio=1)
    table.add_column("becomes", no_wrap=True)
    listed = list(columns)
    for column in listed[:SHOWN]:
        become = becomes.get(column.name, "" if column.used else "left out")
        style = "dim" if become == "left out" else ""
        missing = f"{column.missing:,}" if column.missing else ""
        table.add_row(
            _safe(column.name), column.kind, missing, _safe(_said(column)), become, style=style
        )
    for name, question in list((asked or {}).items())[:SHOWN]:
        table.add_row(_safe(name), "?", "", "", question, style="yellow")
    console.print(table, highlight=False)
    more = len(listed) + len(asked or {}) - SHOWN
    if more > 0:
        console.print(f"and {more:,} more columns")


def _said(column: Column) -> str:
    """Why a column is what it is, and examples where those tell more."""
    if column.kind in RANGES or not column.examples:
        return column.why
    shown = column.examples[: 3 if column.kind == "category" else 1]
    return f"{column.why}: {', '.join(shown)}"


def _features(count: int) -> str:
    return "1 feature" if count == 1 else f"{count:,} features"


def _point(console: Console, text: str, mark: str = "- ") -> None:
    shown = mark + "".join(sign if sign.isprintable() else "�" for sign in text)
    lines = [escape(line) for line in wrapped(shown, console.width, then="  ")]
    lines[0] = ASKED.sub(r"[yellow]\g<0>[/]", lines[0])
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _safe(text: str) -> str:
    """A text from a file, without markup and control characters."""
    return escape("".join(sign if sign.isprintable() else "�" for sign in text))
