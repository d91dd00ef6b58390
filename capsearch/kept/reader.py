"""A kept model at work: raw rows in, predictions out.

This file stands alone. It needs NumPy, SciPy and Keras, is copied into the model's folder beside
the file that turns rows into numbers, and runs where capsearch is not installed:

    import runpy
    model = runpy.run_path("FOLDER/capsearch_reader.py")["load"]()
    model.predict(rows)
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
from scipy import sparse

FORMAT = 1  # of the folder; raise it when this file would read it otherwise
READER, TRANSFORM = "capsearch_reader.py", "capsearch_transform.py"
MODEL, TASK, MANIFEST = "model.keras", "task.json", "manifest.json"
PREPARATION, ARRAYS = "preparation.json", "preparation.npz"
TEXT, NUMBERS = "text", "x"  # the one column of rows that are texts, or numbers without names
BATCH = 1024  # rows that are made dense at a time
SHOWN = 100  # mistakes that are named


class Damaged(Exception):
    """The folder is not what was kept."""


class Refused(ValueError):
    """Rows that cannot be read: every mistake, with row (the first is 1), column and value."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load(folder: str | Path | None = None, code: Mapping[str, Any] | None = None) -> "KeptModel":
    """The model in a folder, every file of it checked.

    Args:
        folder: None: where this file lies.
        code: what turns rows into numbers; None: the copy in the folder.

    Raises:
        Damaged: a file is missing or changed, or another version kept the model.
    """
    place = Path(__file__).parent if folder is None else Path(folder)
    check(place)
    try:
        return KeptModel(place, run_path(str(place / TRANSFORM)) if code is None else code)
    except (LookupError, TypeError, ValueError) as error:
        told = f"{type(error).__name__}: {error}"
        raise Damaged(f"{place}: was kept by another version ({told})") from error


def check(folder: Path) -> None:
    """Raise Damaged unless the files of the manifest are there, unchanged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        form, files = manifest["format"], dict(manifest["files"])
    except FileNotFoundError:
        raise Damaged(f"{folder}: is no kept model: there is no {MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{folder / MANIFEST}: is damaged ({error})") from None
    if form != FORMAT:
        raise Damaged(f"{folder}: was kept by another version (format {form!r}, not {FORMAT})")
    needed = {MODEL, TASK, PREPARATION, ARRAYS, READER, TRANSFORM}
    wrong = [f"{name} is not in {MANIFEST}" for name in sorted(needed - files.keys())]
    for name, known in files.items():
        try:
            found = hashlib.sha256((folder / Path(name).name).read_bytes()).hexdigest()
        except OSError as error:
            wrong.append(f"{name} cannot be read ({error.strerror})")
        else:
            if found != known:
                wrong.append(f"{name} has changed (SHA-256 {found[:16]}, not {str(known)[:16]})")
    if wrong:
        told = "; ".join(wrong)
        raise Damaged(f"{folder}: the kept model is damaged, restore it from a copy: {told}")


class KeptModel:
    """A checked folder. Keras is loaded with the first prediction.

    `kind` is binary, multiclass, multilabel or regression; `labels` are the classes in the order of
    the outputs; above `threshold` the second of two is predicted; `rows` says what rows are: a
    "table", "texts", or "numbers" or "sparse" numbers without names; `columns` are those needed,
    `known` all that a table had beside the target.
    """

    def __init__(self, folder: Path, code: Mapping[str, Any]) -> None:
        self.folder, self._code = folder, code
        self._keras: Any = None
        task = json.loads((folder / TASK).read_text())
        self.kind, self.labels = str(task["kind"]), tuple(task["labels"])
        self.threshold = 0.5 if task["threshold"] is None else float(task["threshold"])
        said = json.loads((folder / PREPARATION).read_text())
        self.rows, self.features = str(said["rows"]), int(said["features"])
        self.known = tuple(said["known"])
        self._description = said["description"]
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            self._arrays = dict(arrays)
        specs = self._description["columns"] if self._description else ()
        many = [str(place + 1) for place in range(self.features)]
        self.columns = tuple(spec["name"] for spec in specs) if specs else tuple(many)

    def predict(self, rows: Any) -> dict[str, np.ndarray]:
        """What the model says of raw rows, a value a row in each column.

        Args:
            rows: A table: columns by name in any order (a frame, or a mapping of names to values),
                others are ignored; or a list of mappings, one a row. Texts: a list of them, or a
                column 'text'. Numbers without names: an array or SciPy matrix (rows, features).

        Returns:
            "prediction": the label, or the value in its own unit; "probability_LABEL" of each
            label, float32. Of several labels at once there are probabilities alone.

        Raises:
            Refused: For missing columns and for values that cannot be read, all of them.
        """
        return self.told(self.outputs(self.inputs(rows)))

    def inputs(self, rows: Any) -> Any:
        """What the network sees of raw rows: float32, (rows, features), dense or CSR."""
        if self.rows == "sparse":
            x = rows[NUMBERS] if isinstance(rows, Mapping) and NUMBERS in rows else rows
            x = self._wide(x if sparse.issparse(x) else self._dense(x))
            return sparse.csr_matrix(x, dtype=np.float32)
        table = self._table(rows)
        try:
            return self._code["transform"](self._description, self._arrays, table)["x"]
        except ValueError as error:
            raise Refused(*(self._mistakes(table) or [str(error)])) from None

    def outputs(self, x: Any) -> np.ndarray:
        """Float32: (rows,) of a probability or a value, or (rows, labels) of probabilities."""
        if self._keras is None:
            import keras

            self._keras = keras.saving.load_model(
                self.folder / MODEL, compile=False, safe_mode=True
            )
        parts = []
        for start in range(0, max(x.shape[0], 1), BATCH):
            part = x[start : start + BATCH]
            dense = part if isinstance(part, np.ndarray) else part.toarray()
            parts.append(np.asarray(self._keras(dense, training=False), np.float32))
        found: np.ndarray = np.concatenate(parts)
        return found.ravel() if found.shape[1] == 1 else found

    def told(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs in words: see `predict`."""
        if self.kind == "regression":
            return {"prediction": outputs}
        names = np.array(self.labels, object)
        said = dict[str, np.ndarray]()
        if self.kind == "binary":
            said["prediction"] = names[(outputs.astype(np.float64) > self.threshold).astype(int)]
            outputs = np.column_stack([np.float32(1.0) - outputs, outputs])
        elif self.kind == "multiclass":
            said["prediction"] = names[outputs.argmax(axis=1)]
        return said | {f"probability_{n}": outputs[:, i] for i, n in enumerate(self.labels)}

    # ---- Rows, however they come ----

    def _table(self, rows: Any) -> dict[str, np.ndarray]:
        """One array a column, by name. Raises Refused for rows of another shape."""
        if isinstance(rows, Mapping) and NUMBERS in rows and self.rows in ("numbers", "sparse"):
            rows = rows[NUMBERS]
        if isinstance(rows, (list, tuple)) and rows and all(isinstance(r, Mapping) for r in rows):
            names = dict.fromkeys(name for row in rows for name in row)
            rows = {name: [row.get(name) for row in rows] for name in names}
        if isinstance(rows, Mapping) or hasattr(rows, "columns"):
            known = dict.fromkeys(rows if isinstance(rows, Mapping) else rows.columns)
            if (
                self.rows == "texts"
                and len(known) == 1
                and not isinstance(only := next(iter(known)), str)
            ):
                return {TEXT: _column(TEXT, rows[only])}  # of a frame whose column has no name
            return {name: _column(name, rows[name]) for name in self.columns if name in known}
        if self.rows == "texts":
            return {TEXT: _column(TEXT, rows)}
        if self.rows == "table":
            raise Refused("rows must be columns by name: a frame, or a mapping of names to values")
        x = self._wide(rows if sparse.issparse(rows) else np.asarray(rows))
        dense = x if isinstance(x, np.ndarray) else x.toarray()
        dense = dense.astype(np.float64) if dense.dtype.kind == "b" else dense
        return {name: dense[:, place] for place, name in enumerate(self.columns)}

    def _dense(self, rows: Any) -> np.ndarray:
        """Numbers of a table, none missing: float32, (rows, features)."""
        table = self._table(rows)
        if absent := self._absent(table):
            raise Refused(absent)
        try:
            return np.column_stack([*table.values()]).astype(np.float32)
        except ValueError as error:
            raise Refused(f"rows must be numbers: {error}") from None

    def _absent(self, table: Mapping[str, np.ndarray]) -> str:
        absent = [name for name in self.columns if name not in table]
        more = f" and {len(absent) - 20:,} more" if len(absent) > 20 else ""
        return f"missing columns: {', '.join(map(repr, absent[:20]))}{more}" if absent else ""

    def _wide(self, x: Any) -> Any:
        if len(x.shape) != 2 or x.shape[1] != self.features:
            raise Refused(f"rows must have the shape (rows, {self.features}), not {x.shape}")
        return x

    def _mistakes(self, table: Mapping[str, np.ndarray]) -> list[str]:
        """All that keeps rows from being read; each different value of a column is tried once."""
        found = list[tuple[int, str]]()
        told = [absent] if (absent := self._absent(table)) else []
        for spec in self._description["columns"]:
            known = dict[str, str | None]()
            for row, value in enumerate(table.get(spec["name"], ()), 1):
                text = self._code["as_text"](value)
                if text not in known:
                    known[text] = self._wrong(spec, value, text)
                if (wrong := known[text]) is not None:
                    found.append((row, f"row {row}, column {spec['name']!r}: {wrong}"))
        told += [sentence for _, sentence in sorted(found, key=lambda each: each[0])]
        more = [f"and {len(told) - SHOWN:,} more mistakes"] if len(told) > SHOWN else []
        return told[:SHOWN] + more

    def _wrong(self, spec: Mapping[str, Any], value: Any, text: str) -> str | None:
        alone = np.empty(1, object)
        alone[0] = value
        try:
            self._code["BLOCKS"][spec["kind"]](spec, alone, self._arrays)
        except ValueError:
            return f"{text[:80]!r} is no {spec['kind']}; legal: {_legal(spec)}"
        return None


def _column(name: Any, values: Any) -> np.ndarray:
    """Shape (rows,); a list becomes an array of objects, or 'nan' would be a text among texts."""
    if isinstance(values, (list, tuple)):
        array = np.empty(len(values), object)
        for place, value in enumerate(values):
            array[place] = value
        return array
    array = np.atleast_1d(np.asarray(values))
    if array.ndim != 1:
        raise Refused(f"column {name!r} must have the shape (rows,), not {array.shape}")
    return array


def _legal(spec: Mapping[str, Any]) -> str:
    """What may stand in a column, for people."""
    if spec["kind"] == "number":
        unit, sign = spec.get("unit", ""), spec.get("decimal", ".")
        said = f"a finite number such as 3{sign}5{unit}"
    elif spec["kind"] == "date":
        form, iso = spec["format"] or "ISO 8601", "such as 2024-01-31 or 2024-01-31 23:59:00"
        said = f"a date {iso}" + ("" if form.startswith("ISO") else f", or in the format {form}")
        said += " and with a zone" if "zone" in form or "%z" in form else ""
    else:
        said = "1, 0, true, false, yes or no"
    return f"{said}; {', '.join(['nothing', *map(repr, spec['null'])])} for a missing value"
