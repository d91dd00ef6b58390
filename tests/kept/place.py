"""Kept models for tests: a folder around a network, or around none."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.columns import columns_of
from capsearch.data.columns.declared import Declared
from capsearch.data.fitting import Fitted, Table, Words
from capsearch.data.preparation import Preparation, Settings
from capsearch.kept import folder as kept
from capsearch.kept import reader
from capsearch.tasks import Binary, Task

TABLE: dict[str, Any] = {
    "size": np.array(["1", "2.5", "", "4", "100", "3"] * 10, object),
    "kind": np.array(["a", "b", "a", "", "b", "02"] * 10, object),
    "day": np.array(["2020-01-01", "2020-02-03", "", "2021-05-06", "2020-07-08", "2020-01-02"] * 10,
                    object),
    "ok": np.array(["yes", "no", "yes", "no", "yes", ""] * 10, object),
    "five": np.array(["1", "0", "1", "0", "0", "1"] * 10, object),
    "said": np.array(
        [f"one two {word} words here" for word in ("tree", "lake", "hill", "moon", "star", "fire")]
        * 10, object),
}  # fmt: skip
KINDS: Any = {"kind": "category", "said": "text", "five": "boolean"}


class NoNetwork:
    """Stands for a Keras model that nobody asks."""

    def save(self, path: Path) -> None:
        path.write_bytes(b"no network")


def table(**columns: Any) -> Table:
    """The preparation of `TABLE`, or of other columns."""
    rows = columns or TABLE
    declared = Declared(kinds={name: kind for name, kind in KINDS.items() if name in rows})
    found = columns_of(rows, declared)
    return Table(found, Preparation.fit(rows, found, settings=Settings(rare=1)))


def words(*vocabulary: str) -> Words:
    return Words(vocabulary)


def made(
    folder: Path,
    fitted: Fitted,
    task: Task | None = None,
    threshold: float | None = None,
    network: Any = None,
) -> reader.KeptModel:
    """The model in a folder that is made."""
    folder.mkdir()
    form = kept.Form.of(fitted)
    kept.write(folder, network or NoNetwork(), form, task or Binary(("no", "yes")), threshold)
    return reader.load(folder)


def files_of(folder: Path) -> dict[str, str]:
    """What the manifest says."""
    said: dict[str, str] = json.loads((folder / reader.MANIFEST).read_text())["files"]
    return said
