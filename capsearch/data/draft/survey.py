"""What is in a file, what is to be predicted, and what becomes of every column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from capsearch.data.columns.declared import Column, Declared
from capsearch.data.columns.doubt import Doubt, drop_line
from capsearch.data.columns.ladder import look
from capsearch.data.columns.leaks import adds_up, leaks, say_the_same, scores, some_rows
from capsearch.data.columns.target import Target, target_of
from capsearch.data.draft.opening import Question, open_file
from capsearch.data.preparation import Preparation
from capsearch.data.preparation.transform import as_text, numbers
from capsearch.data.tables.read import Form
from capsearch.data.tables.reading import Reading
from capsearch.data.toml import quoted
from capsearch.errors import BadRequest

USUAL_NAMES = ("target", "label", "class", "y")
STRONG = 0.9  # a column that predicts so much is worth a sentence


@dataclass(frozen=True)
class Survey:
    """A file, seen by `capsearch new`. The target is none of the columns that were found."""

    path: Path
    form: Form
    reading: Reading
    rows: int
    target: str
    answer: Target
    found: tuple[Column | Doubt, ...]
    left_out: Mapping[str, str]  # columns that give the target away, with the reason
    features: Mapping[str, int]  # that a network sees of each column
    questions: tuple[Question, ...]
    remarks: tuple[str, ...]

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        return tuple(each for each in self.found if isinstance(each, Doubt))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that leave no doubt."""
        return tuple(each for each in self.found if isinstance(each, Column))


def survey(path: Path, target: str | None = None, delimiter: str | None = None) -> Survey:
    """Look at a whole file. Nothing is trained, and nothing is written.

    Args:
        path: A CSV or Parquet file.
        target: The column to be predicted; None: one with a usual name, or the last; it is asked.
        delimiter: Of a CSV file; None: as the file shows.

    Raises:
        BadRequest: For a file that cannot be read as a table, and for a target that is no column.
    """
    opened = open_file(path, delimiter)
    table = dict(opened.table)
    questions, remarks = list(opened.questions), list(opened.remarks)
    if len(table) < 2:
        raise BadRequest(
            f"{path}: has one column only ({next(iter(table))!r}): nothing predicts it"
        )
    if target is not None and target in opened.unusable:
        raise BadRequest(f"--target {target!r}: {opened.unusable[target]}")
    name = target if target is not None else _likely_target(table)
    if name not in table:
        near = get_close_matches(name, table, n=3, cutoff=0.5) or list(table)[:10]
        raise BadRequest(f"--target {name!r}: no such column. Columns: {', '.join(near)}")
    if target is None:
        said = f"which column is to be predicted? {name!r} is taken unless you name another"
        questions.append(Question(said, (f"target = {quoted(name)}",), key="target"))
    labels = table.pop(name)
    answer = target_of(name, labels)
    if answer.task is None:
        questions.append(Question(f"target {name!r}: {answer.why}", answer.lines, key="task"))
    found = look(table, Declared())
    doubts = [each for each in found if isinstance(each, Doubt)]
    questions += [Question(f"column {d.column!r}: {d.said}", d.lines, d.column) for d in doubts]
    columns = [each for each in found if isinstance(each, Column)]
    left_out, more = _left_out(table, columns, name, labels, answer, opened.unusable)
    used = [column for column in columns if column.used and column.name not in left_out]
    return Survey(
        path=path,
        form=opened.form,
        reading=opened.reading,
        rows=len(labels),
        target=name,
        answer=answer,
        found=found,
        left_out=left_out,
        features=_features(table, used),
        questions=tuple(questions),
        remarks=(*remarks, *more),
    )


def _likely_target(table: Mapping[str, np.ndarray]) -> str:
    """The column with a usual name, or the last one."""
    usual = [name for name in table if name.casefold() in USUAL_NAMES]
    return usual[0] if len(usual) == 1 else list(table)[-1]


def _left_out(
    table: Mapping[str, np.ndarray],
    columns: Sequence[Column],
    target: str,
    labels: np.ndarray,
    answer: Target,
    unusable: Mapping[str, str],
) -> tuple[dict[str, str], list[str]]:
    """Columns to leave out with their reasons, and sentences about others that come near."""
    known = some_rows(np.flatnonzero([as_text(label) != "" for label in labels]))
    rows = {name: values[known] for name, values in table.items()}
    y = labels[known]
    remarks = list[str]()
    if answer.task == "regression":
        y = numbers({"name": target, "null": []}, y)
    left_out = {**unusable, **{leak.column: leak.why for leak in leaks(rows, columns, y)}}
    usable = [c for c in columns if c.used and c.name not in left_out]
    best = max(scores(rows, usable, y).items(), key=lambda pair: pair[1], default=("", 0.0))
    if best[1] >= STRONG:
        remarks.append(
            f"Column {best[0]!r} alone takes away {best[1]:.0%} of the error: is it known before "
            f"{target!r} is? If not: {drop_line(*left_out, best[0])}"
        )
    for names in say_the_same(rows, usable):
        remarks.append(
            f"Columns {', '.join(map(repr, names))} say the same in other words: one is enough."
        )
    if answer.task == "regression" and (sum_ := adds_up(rows, usable, y)):
        names, share = sum_
        remarks.append(
            f"A weighted sum of {', '.join(map(repr, names))} explains {share:.1%} of {target!r}. "
            f"If {target!r} is made of them, or one of them of it, leave out what is not known "
            f"before it is, such as: {drop_line(*left_out, names[0])}"
        )
    return left_out, remarks


def _features(table: Mapping[str, np.ndarray], used: Sequence[Column]) -> dict[str, int]:
    if not used:
        return {}
    try:
        specs = Preparation.fit(table, used).description["columns"]
    except ValueError:  # no word or value is common enough
        return {}
    return {spec["name"]: spec["width"] for spec in specs}
