"""The text of a study file for a surveyed file: it runs as it is, or asks where it must."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from capsearch.data.columns import Column
from capsearch.data.columns.target import UNLABELLED, labels_line
from capsearch.data.columns.values import named_id
from capsearch.data.draft.opening import Question
from capsearch.data.draft.size import Size, size_for
from capsearch.data.draft.survey import Survey
from capsearch.data.options import AUTO, HELD_OUT
from capsearch.data.toml import listed, quoted
from capsearch.errors import BadRequest
from capsearch.records.data import FEWEST
from capsearch.words import CODE, wrapped

TAKEN = "is there already, and nothing is overwritten; name another file with -o"
TASK = "task = ?"  # stands for a line that only a person can write
WIDTH = 96  # of a line of comment


def study_file(survey: Survey, folder: Path) -> str:
    """A study file that will stand in `folder`."""
    size = size_for(survey.rows, sum(survey.features.values()))
    parts = (_head(survey), _data(survey, folder), _space(size), _rest(size))
    return "\n".join(line for part in parts for line in (*part, ""))


def new_path(file: Path, out: Path | None) -> Path:
    """Where the study file for a file goes. Raises BadRequest when something is there already."""
    stem = file.name.removesuffix(".gz").rpartition(".")[0] or file.name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).lstrip(".-")[:60] or "study"
    path = out or Path(f"{name}.toml")
    if path.suffix != ".toml":
        raise BadRequest(f"-o {path}: a study file's name ends in .toml")
    if os.path.lexists(path):
        raise BadRequest(f"{path}: {TAKEN}")
    return path


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises BadRequest when it is, or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadRequest(f"{path}: {TAKEN}") from None
    except OSError as error:
        raise BadRequest(f"{path}: cannot be written ({error.strerror})") from error


def _head(survey: Survey) -> Iterator[str]:
    yield f"# How small can a network be that predicts {_one_line(survey.target)}?"
    yield (
        f"# {_one_line(survey.path.name)}: {survey.rows:,} rows. Written by `capsearch new`; every "
        "line may be changed."
    )
    if survey.questions:
        count = len(survey.questions)
        asked = "1 question is" if count == 1 else f"{count} questions are"
        yield f"# {asked} open below: look for QUESTION."


def _data(survey: Survey, folder: Path) -> Iterator[str]:
    """The table, with every question above the line that it is about, or at the end."""
    lines = [*_said(survey, folder)]
    keys = [line.partition(" = ")[0] for line in lines]
    asked = dict(enumerate(survey.questions, 1))
    for line, key in zip(lines, keys, strict=True):
        for place in [place for place, each in asked.items() if each.key == key]:
            yield from _asked(place, asked.pop(place), lines)
        if line != TASK:
            yield line
    for number, question in asked.items():
        yield from _asked(number, question, lines)


def _asked(number: int, question: Question, said: Sequence[str]) -> Iterator[str]:
    choices = [choice.split("\n") for choice in question.lines if not choice.startswith("drop")]
    choices = [[line for line in choice if line not in said] for choice in choices]
    choices = [choice for choice in choices if choice]
    told = f"QUESTION {number}: {question.said}"
    if choices:
        taken = "the line" if len(choices) == 1 else "one of the lines"
        told += f"{'' if told.endswith('?') else '.'} Take the # from {taken}:"
    yield from _comment(told)
    for place, choice in enumerate(choices):
        if place:
            yield "# or"
        yield from (f"#{line}" for line in choice)


def _said(survey: Survey, folder: Path) -> Iterator[str]:
    yield "[data]"
    yield f"source = {quoted(survey.form)}"
    yield f"path = {quoted(_relative(survey.path, folder))}"
    yield from _reading(survey)
    yield f"target = {quoted(survey.target)}"
    if survey.answer.task is not None:
        why = _one_line(survey.answer.why)
        yield _beside(f"task = {quoted(survey.answer.task)}", why)
    else:
        yield TASK
    if survey.answer.labels:
        yield _beside(labels_line(survey.answer.labels), "of the two, the negative one first")
    if survey.answer.missing:
        yield from _comment(f"{survey.answer.missing:,} rows have no label; they are left out:")
        yield UNLABELLED
    yield _validation(survey.rows)
    yield _beside("test = 0.2", "looked at once, at the very end; 0: no test at all")
    yield _beside("seed = 0", "of the split")
    for remark in survey.remarks:
        yield from _comment(remark)
    for name, why in survey.left_out.items():
        yield from _comment(f"{name!r} is left out: {why}.")
    yield _beside(f"drop = {listed(*survey.left_out)}", "columns to leave out")
    yield from _hints(survey)


def _validation(rows: int) -> str:
    if rows * HELD_OUT < FEWEST:
        return _beside(
            f"validation = {quoted(AUTO)}", "five folds: few rows are all judged in turn"
        )
    return _beside(f"validation = {HELD_OUT:g}", "of the rows")


def _reading(survey: Survey) -> Iterator[str]:
    reading = survey.reading
    if reading.delimiter:
        yield f"delimiter = {quoted(reading.delimiter)}"
    if reading.encoding != "utf-8":
        yield f"encoding = {quoted(reading.encoding)}"
    if reading.header is not None:
        yield f"header = {'true' if reading.header else 'false'}"
    if reading.names:
        yield f"names = {listed(*reading.names)}"


def _hints(survey: Survey) -> Iterator[str]:
    """What a person may want to say of columns, ready to be taken up."""
    for column in survey.columns:
        if column.note and column.used and column.name not in survey.left_out:
            yield from _noted(column)
    used = [c for c in survey.columns if c.used and c.name not in survey.left_out]
    for column in [c for c in used if c.kind == "date"][:1]:
        yield from _comment("Rows in the order of time, the last ones for validation and test:")
        yield f"#time = {quoted(column.name)}"
    for column in [c for c in used if named_id(c.name)][:1]:
        yield from _comment("Rows that belong together are never in two splits with:")
        yield f"#group = {quoted(column.name)}"
    for column in [c for c in survey.columns if c.kind == "id" and c.name not in survey.left_out]:
        yield from _comment(f"{column.name}: {column.why}. To use it:")
        yield f"#keep = {listed(column.name)}"


def _noted(column: Column) -> Iterator[str]:
    """What is remarkable of a column; every line that it offers stands by itself."""
    text = f"{column.name}: {column.note}"
    for said, offered in zip(CODE.split(text), [*CODE.findall(text), ""], strict=True):
        if told := said.strip(" .,"):
            yield from _comment(told)
        if offered:
            yield f"#{offered}"


def _space(size: Size) -> Iterator[str]:
    yield "[space]"
    yield _beside(f"layers = {{ low = 0, high = {size.layers} }}", "0 = a linear model", 64)
    yield _beside(f"units = {{ low = 1, high = {size.units}, log = true }}", "of each layer", 64)
    off = "off: three of four draws have none"
    yield _beside("l1 = { low = 1e-8, high = 1e-3, log = true, off = true }", off, 64)
    yield "l2 = { low = 1e-8, high = 1e-2, log = true, off = true }"
    wide = "off: seldom where layers are wide"
    yield _beside("dropout = { low = 0.0, high = 0.6, off = true }", wide, 64)
    rate = "learning_rate = { low = 3e-4, high = 3e-2, log = true }"
    yield _beside(rate, "small networks need their own", 64)


def _beside(line: str, comment: str, width: int = 30) -> str:
    """A line with a comment at its end."""
    return f"{line.ljust(width)}{'' if len(line) < width else ' '}# {comment}"


def _rest(size: Size) -> Iterator[str]:
    yield "[training]"
    yield 'optimizer = "adam"'
    yield f"batch_size = {size.batch_size}"
    yield f"epochs = {size.epochs}"
    yield f"patience = {size.patience}"
    yield ""
    yield "[search]"
    yield f"trials = {size.trials}"
    yield _beside(f"rungs = {size.rungs}", "the trials are spread evenly over so many sizes")
    yield "seed = 0"
    yield ""
    yield "[select]"
    yield "replicates = 5"
    usual, small = _numbers(size.usual), _numbers(size.small)
    for name, settings in (
        ("linear", ["units = []"]),
        ("usual", [f"units = {usual}"]),
        ("small", [f"units = {small}"]),
        ("usual with dropout", [f"units = {usual}", "dropout = 0.3"]),
    ):
        yield ""
        yield "[[baseline]]"
        yield f"name = {quoted(name)}"
        yield from settings


def _numbers(numbers: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrapped(_one_line(text), WIDTH)]


def _one_line(text: str) -> str:
    """A text without what would end a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _relative(path: Path, folder: Path) -> str:
    """The path as the study file's folder sees it; one that was named whole and lies elsewhere
    stays whole.
    """
    if path.is_absolute() and not path.is_relative_to(folder.absolute()):
        return path.as_posix()
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
