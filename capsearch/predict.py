"""What the kept model of a finished study says of new rows."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.config import usable_cores
from capsearch.credentials import shown
from capsearch.data.tables.reading import Reading
from capsearch.engines.child import Child, ChildFailed
from capsearch.errors import BadRequest, CapsearchError
from capsearch.kept import folder as kept
from capsearch.kept import reader
from capsearch.kept.answers import write_csv, written_to
from capsearch.kept.rows import read_rows
from capsearch.spec import StudySpec
from capsearch.storage import StudyRow, StudyStorage, exists

STDIN = Path("-")
BESIDE = ("drop", "group", "time", "weight", "split")  # columns that no model knows
Note = Callable[[str], None]


def predict(
    name: str, file: Path, out: Path | None, *, root: Path, storage: str, note: Note
) -> None:
    """Write a prediction for every row of a file. TensorFlow is loaded in a child meanwhile.

    Args:
        name: of a study, the path of its file, or its key.
        file: of raw rows; '-': stdin.
        out: the CSV file to write; None: stdout.
        root: where models are kept, wherever they were when they were made.
        storage: address of the studies.
        note: told what was done.

    Raises:
        BadRequest: there is no such model, or rows cannot be read: with every mistake. Nothing is
            written then.
    """
    row, place = model_of(name, root, storage, note)
    try:
        model = reader.load(place, kept.OURS)
    except reader.Damaged as error:
        raise CapsearchError(str(error)) from error
    if out is not None and out.exists() and file.exists() and out.samefile(file):
        raise BadRequest(f"{out}: is the file of the rows themselves; name another one")
    child = Child(usable_cores(), imports="keras")
    try:
        with written_to(out) as answers:
            x = _inputs(file, model, row)
            said = model.told(_outputs(child, place, x))
            write_csv(answers, said)
    finally:
        child.close()
    if out is not None:
        note(f"{out}: {x.shape[0]:,} rows, by the model of {row.key}")


def model_of(name: str, root: Path, storage: str, note: Note) -> tuple[StudyRow, Path]:
    """The latest study of this name that kept a model, and the model's folder.

    Raises BadRequest when there is none, with the reason.
    """
    stem = Path(name).stem if name.endswith(".toml") else name
    rows: list[StudyRow] = []
    if exists(storage):
        with closing(StudyStorage(storage)) as store:
            rows = [row for row in store.rows() if stem in (row.name, row.key)]
    if not rows:
        raise BadRequest(
            f"{stem}: this study was never run in {shown(storage)}. Run `capsearch study {stem}` "
            "first, or name the folder of its results with --root"
        )
    for row in reversed(rows):
        if row.decision is not None:
            place = root / "models" / row.key / row.decision.choice.key
            if kept.kept(place):
                if row is not rows[-1]:
                    note(f"the latest study {stem} has no model; this is the one of {row.key}")
                return row, place
    raise BadRequest(f"{stem}: {_why_none(rows[-1], root)}")


def _why_none(row: StudyRow, root: Path) -> str:
    if row.decision is None:
        return f"has not ended: `capsearch study {row.name}` goes on with it"
    place = root / "models" / row.key / row.decision.choice.key
    if place.is_dir():
        return (
            f"{place} was kept by an earlier version of capsearch, without what turns raw rows "
            "into numbers. Ask again under another name"
        )
    held = row.document is not None and row.document["test"] is None
    if held and "test" in row.profile.fingerprints:
        return f"its test split is still sealed: `capsearch test {row.name}` keeps the model"
    return f"there is no model in {place}. Were results moved? Name their folder with --root"


def _inputs(file: Path, model: reader.KeptModel, row: StudyRow) -> Any:
    """What the network sees of the rows of a file. Raises BadRequest with every mistake."""
    data = StudySpec.from_question({k: v for k, v in row.question.items() if k != "sampling"}).data
    with _on_disk(file) as path:
        called = "stdin" if file == STDIN else str(file)
        try:
            target, beside = (
                _names(data.get("target")),
                [n for k in BESIDE for n in _names(data.get(k))],
            )
            return model.inputs(read_rows(path, model, _reading(data), target, beside))
        except BadRequest as error:
            told = [line.replace(str(path), called) for line in error.mistakes]
            raise BadRequest(*told) from error
        except ValueError as error:
            raise BadRequest(*(f"{called}: {line}" for line in str(error).splitlines())) from error


def _outputs(child: Child, place: Path, x: Any) -> np.ndarray:
    try:
        found: np.ndarray = child.result(child.send("capsearch.kept.folder:outputs", place, x))
    except ChildFailed as failure:
        raise CapsearchError(f"the model could not be used: {failure}") from failure
    return found


def _reading(data: Mapping[str, Any]) -> Reading:
    """How a study's `[data]` table says that CSV files are read."""
    return Reading(
        data.get("delimiter"),
        data.get("encoding", "utf-8"),
        data.get("header"),
        _names(data.get("names")),
    )


def _names(said: Any) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said or ())


@contextmanager
def _on_disk(file: Path) -> Iterator[Path]:
    """The file; what comes by stdin is written down first, for it is looked at more than once."""
    if file != STDIN:
        yield file
        return
    with tempfile.NamedTemporaryFile(prefix="capsearch-rows-") as rows:
        shutil.copyfileobj(sys.stdin.buffer, rows)
        rows.flush()
        yield Path(rows.name)
