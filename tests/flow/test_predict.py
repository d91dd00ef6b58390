"""From a file to a model to predictions of its own rows, by the commands people type."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.data import material
from capsearch.data.source import SourceRef
from capsearch.executors.train import OUTPUT_ROWS
from capsearch.randomness import some_rows
from capsearch.records import Study
from capsearch.storage import StudyStorage
from capsearch.tasks import task_of
from tests.place import Ended, Place

pytestmark = pytest.mark.integration

STUDY = """
[data]
source = "csv"
validation = 0.2
path = "houses.csv"
target = "sold"
test = 0.2
[space]
layers = { low = 0, high = 1 }
units = { low = 1, high = 4, log = true }
learning_rate = { low = 1e-2, high = 1e-1, log = true }
[training]
epochs = 4
patience = 2
[search]
trials = 3
rungs = 2
[select]
replicates = 2
[[baseline]]
name = "original"
units = [4]
"""
TARGETS = ("=no", "maybe", "yes")


def houses(rows: int) -> str:
    """A table as people have it: numbers, categories, dates, gaps; and labels that are formulas."""
    draw, file = np.random.default_rng(0), io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["size", "kind", "built", "sold"])
    for _ in range(rows):
        size, kind = draw.normal(100.0, 30.0), draw.choice(["flat", "house", "boat", ""])
        sold = TARGETS[int(np.clip((size - 60.0) / 30.0, 0, 2))]
        year, day = draw.integers(1990, 2020), draw.integers(1, 28)
        gap = draw.random() < 0.1
        writer.writerow(["" if gap else f"{size:.2f}", kind, f"{year}-03-{day:02d}", sold])
    return file.getvalue()


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished study of a table with three classes."""
    folder = tmp_path_factory.mktemp("houses")
    (folder / "houses.csv").write_text(houses(400))
    (folder / "mine.toml").write_text(STUDY)
    place = Place(folder, folder / "cache")
    ended = place.run("study", "mine", seconds=300)
    assert ended.code == 0, ended.raw
    assert "or in Python: import pandas, runpy" in ended.err
    return place


def answers(text: str) -> tuple[list[str], list[list[str]]]:
    names, *rows = csv.reader(io.StringIO(text))
    return names, rows


def predicted(place: Place, *arguments: str) -> tuple[list[str], list[list[str]]]:
    ended = place.run("predict", "mine", *arguments)
    assert ended.code == 0, ended.raw
    return answers(ended.out)


def stored(place: Place) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Raw validation rows whose outputs the study stored, and those of its choice."""
    with closing(StudyStorage(f"sqlite:///{place.folder / 'mlruns' / 'studies.db'}")) as storage:
        (row,) = storage.rows()
        assert row.decision is not None
        study = Study(row.name, row.question, row.profile, row.ladder, row.engine, row.digest)
        outputs = storage.outputs_of(study)(row.decision.choice.key)
    ref = SourceRef(row.question["data"], place.folder)
    rows = material.read(ref.open(), ref.name, ref.options()).part("validation")
    chosen = some_rows(len(rows.y), OUTPUT_ROWS)
    assert outputs is not None
    shape = (len(chosen), task_of(row.profile.task).outputs)
    raw = {name: rows.columns[name][chosen].tolist() for name in rows.columns}
    return raw, outputs.reshape(shape)


def written(path: Path, columns: dict[str, list[Any]], order: Sequence[str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(order)
        writer.writerows(zip(*(columns[name] for name in order), strict=True))
    return path


def test_a_tables_rows_get_the_probabilities_that_the_study_computed(
    sold: Place, tmp_path: Path
) -> None:
    raw, outputs = stored(sold)
    raw["more"] = ["x"] * len(outputs)
    file = written(tmp_path / "rows.csv", raw, ["built", "more", "kind", "size"])
    out = tmp_path / "out.csv"
    ended = sold.run("predict", "mine", str(file), "-o", str(out))
    assert (ended.code, ended.out) == (0, ""), ended.raw
    names, rows = answers(out.read_text())
    assert names == ["prediction", *(f"probability_{label}" for label in TARGETS)]
    found = np.array([row[1:] for row in rows], np.float64)
    assert np.abs(found - outputs).max() < 1e-6
    shown = ["'=no", "maybe", "yes"]  # which no spreadsheet runs
    assert [row[0] for row in rows] == [shown[place] for place in outputs.argmax(axis=1)]


def test_what_is_unknown_or_missing_is_served_and_the_target_may_be_there(sold: Place) -> None:
    (sold.folder / "odd.csv").write_text("sold,kind,size,built\nyes,castle,,\n,,12,2001-01-01\n")
    _, rows = predicted(sold, "odd.csv")
    assert len(rows) == 2


def test_bad_rows_are_told_at_once_and_nothing_is_written(sold: Place, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("as it was")
    bad = sold.folder / "bad.csv"
    bad.write_text("kind,size\nflat,12\nflat,large\n[red]boat,small\n")
    ended: Ended = sold.run("predict", "mine", "bad.csv", "-o", str(out))
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.raw
    for said in ("bad.csv: missing columns: 'built'", "row 2, column 'size': 'large'", "row 3"):
        assert said in ended.err
    assert out.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [out]
    own = sold.run("predict", "mine", "odd.csv", "-o", "odd.csv")
    assert own.code == 2
    for name in ("none.csv", "."):
        assert sold.run("predict", "mine", name).code == 2
    assert sold.run("predict", "nothing", "bad.csv").code == 2


def test_a_copied_store_predicts_and_a_damaged_model_is_named(sold: Place, tmp_path: Path) -> None:
    (sold.folder / "some.csv").write_text("size,kind,built\n80,boat,2001-03-04\n")
    expected = predicted(sold, "some.csv")
    moved, rows = tmp_path / "elsewhere", str(sold.folder / "some.csv")
    shutil.copytree(sold.folder / "mlruns", moved)
    other = Place(tmp_path, sold.cache)  # without the study file, too
    assert predicted(other, rows, "--root", str(moved)) == expected
    (network,) = moved.glob("models/*/*/model.keras")
    network.write_bytes(network.read_bytes()[:-1])
    damaged = other.run("predict", "mine", rows, "--root", str(moved))
    assert (damaged.code, damaged.out) == (1, "")
    assert "model.keras has changed" in damaged.err
    network.parent.rename(moved / "away")
    assert other.run("predict", "mine", rows, "--root", str(moved)).code == 2


def test_a_finished_study_that_was_moved_says_where_its_files_are(
    sold: Place, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(sold.folder / "mlruns", moved)
    ended = sold.run("study", "mine", "--json", "--root", str(moved))
    assert ended.code == 0, ended.raw
    document = json.loads(ended.out)
    assert "Nothing to do" in ended.err
    for path in (document["report"], document["model"]["path"]):
        assert Path(path).is_relative_to(moved)
        assert Path(path).exists()


def test_texts_get_the_probabilities_that_the_study_computed(
    done: tuple[Place, dict[str, Any]], tmp_path: Path
) -> None:
    place, document = done
    raw, outputs = stored(place)
    assert list(raw) == ["text"]
    file = written(tmp_path / "rows.csv", raw, ["text"])
    names, rows = predicted(place, str(file))
    assert names == ["prediction", "probability_negative", "probability_positive"]
    found = np.array([row[2] for row in rows], np.float64)
    assert np.abs(found - outputs.ravel()).max() < 1e-6
    said = found > document["task"]["threshold"]
    assert [row[0] for row in rows] == [("negative", "positive")[int(s)] for s in said]
    assert document["model"]["columns"] == ["text"]
    assert Path(document["model"]["path"]).is_dir()


def test_texts_come_by_stdin(done: tuple[Place, dict[str, Any]]) -> None:
    place, _ = done
    command = [sys.executable, "-m", "capsearch", "predict", "mine", "-"]
    for rows, code, lines in (("a great film\na dull, bad one\n", 0, 3), ("", 2, 0)):
        ended = subprocess.run(
            command, input=rows, cwd=place.folder, env=place.environment(), check=False,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert ended.returncode == code, ended.stderr
        assert len(ended.stdout.splitlines()) == lines
