"""Writes the folder of a kept model: network, reader, preparation, task, and a manifest of hashes.

The folder needs nothing that lies outside it and may be moved. It is a model of MLflow, too: what
MLflow wants lies beside the files of the manifest.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsearch.data.fitting import AsGiven, Fitted, Table, Words
from capsearch.data.preparation import of_words, transform
from capsearch.kept import reader
from capsearch.kept.usage import readme, three_lines
from capsearch.tasks import Task

if TYPE_CHECKING:
    import keras

OURS = vars(transform)  # what turns rows into numbers: of this version, not a folder's copy
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Form:
    """How raw rows come, and what is known of turning them into numbers."""

    rows: str  # "table", "texts", "numbers" or "sparse"
    features: int
    description: Mapping[str, Any] | None  # as `transform` reads it; None: numbers as they are
    arrays: Arrays
    known: tuple[str, ...] = ()  # columns of a table, those included that no network sees

    @classmethod
    def of(cls, fitted: Fitted) -> "Form":
        """Without examples of values, which are nobody's business where the model goes."""
        match fitted:
            case Words():
                return cls("texts", fitted.features, of_words(fitted.vocabulary), {})
            case Table():
                made, rows = fitted.preparation, "numbers" if fitted.numbers else "table"
                known = tuple(column.name for column in fitted.columns)
                return cls(rows, fitted.features, made.description, made.arrays, known)
            case AsGiven():
                return cls("sparse", fitted.features, None, {})
        raise TypeError(f"{type(fitted).__name__} cannot be kept")

    @property
    def kinds(self) -> dict[str, str]:
        """What each column holds, by its name; of an array nothing."""
        if self.rows not in ("table", "texts") or self.description is None:
            return {}
        return {spec["name"]: spec["kind"] for spec in self.description["columns"]}


def write(
    folder: Path, model: "keras.Model", form: Form, task: Task, threshold: float | None
) -> None:
    """Fill an empty folder; the manifest comes last.

    Args:
        folder: is there.
        model: float32 rows (rows, features) in, what people get out.
        form: of the rows.
        task: what is predicted.
        threshold: above which the second class of a binary task is predicted.
    """
    model.save(folder / reader.MODEL)
    said = {"kind": task.kind, "labels": list(task.labels), "threshold": threshold}
    _save(folder / reader.TASK, said | {"task": task.describe()})
    told = {"rows": form.rows, "features": form.features, "known": list(form.known)}
    _save(folder / reader.PREPARATION, told | {"description": form.description})
    np.savez(folder / reader.ARRAYS, allow_pickle=False, **form.arrays)
    shutil.copyfile(reader.__file__, folder / reader.READER)
    shutil.copyfile(transform.__file__, folder / reader.TRANSFORM)
    (folder / "README.md").write_text(readme(form.rows, form.kinds, form.features, task))
    hashes = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    _save(folder / reader.MANIFEST, {"format": reader.FORMAT, "files": hashes})


def outputs(folder: Path, x: Any) -> np.ndarray:
    """What the network of a kept model gives. For a child process: it loads Keras."""
    return reader.load(folder, OURS).outputs(x)


def kept(folder: Path) -> bool:
    """Whether a model was kept there by this version; others may have other files."""
    return (folder / reader.MANIFEST).is_file()


def about(folder: Path, version: str | None) -> dict[str, Any] | None:
    """What a batch job may want to know of a kept model; None where there is none.

    `manifest` is the SHA-256 of the manifest, which holds those of all files: it names the model.

    Args:
        folder: of the model.
        version: its name and number in MLflow's registry, if it is there.
    """
    if not kept(folder):
        return None
    said = json.loads((folder / reader.PREPARATION).read_text())
    specs = said["description"]["columns"] if said["rows"] in ("table", "texts") else ()
    columns = [spec["name"] for spec in specs]
    return {
        "path": str(folder),
        "manifest": _sha256(folder / reader.MANIFEST),
        "rows": said["rows"],
        "features": said["features"],
        "columns": columns,
        "registered": f"models:/{version}" if version else None,
        "python": list(three_lines(str(folder), said["rows"], columns)),
    }


def placed(model: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same, where the folder is now."""
    lines = list(three_lines(str(folder), model["rows"], model["columns"]))
    return {**model, "path": str(folder), "python": lines}


def as_mlflow(folder: Path) -> Path:
    """The folder, where MLflow can take it; else a path at which there is no folder."""
    return folder if (folder / "MLmodel").is_file() else folder / "MLmodel"


def _save(path: Path, said: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=1, allow_nan=False))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
