"""Rows that a Python program has in memory, as a `[data]` table: kept as files, read as any others.

A source runs in another process and a study is resumed on another day, so the rows are written
once, into a folder, under the name of their content.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data.labels import texts_of
from capsearch.data.sources.files import sha256_of
from capsearch.errors import BadRequest


def data_table(rows: Any, target: Any, folder: Path, **keys: Any) -> dict[str, Any]:
    """The `[data]` table of a study about these rows.

    Args:
        rows: a pandas or polars frame; or an array or SciPy sparse matrix of numbers, shape
            (rows, features).
        target: the name of a frame's column; or an array of labels, shape (rows,).
        folder: where the rows are kept, once for each content.
        keys: further keys of the table, such as `test=0`.

    Raises:
        BadRequest: the rows are of another kind, or cannot be written.
    """
    if isinstance(target, str):
        path = _kept(folder, ".parquet", lambda to: _write_frame(rows, to))
        return {"source": "parquet", "path": str(path), "target": target} | keys
    labels = np.asarray(target)
    if labels.dtype.kind == "O":  # texts; whatever else is refused before it looks like one
        labels = texts_of(labels).astype(str)
    if sparse.issparse(rows):
        matrix: Any = rows
        x = _kept(folder, ".npz", lambda to: sparse.save_npz(to, matrix.tocsr()))
    elif (array := np.asarray(rows)).dtype.kind in "biuf":
        x = _kept(folder, ".npy", lambda to: np.save(to, array, allow_pickle=False))
    else:
        raise BadRequest(
            f"rows of type {type(rows).__name__}: must be numbers of shape (rows, features), or a "
            "pandas or polars frame with the name of its target column"
        )
    y = _kept(folder, ".npy", lambda to: np.save(to, labels, allow_pickle=False))
    return {"source": "arrays", "path": [str(x), str(y)]} | keys


def _write_frame(frame: Any, path: Path) -> None:
    """A pandas or a polars frame as Parquet, without pandas' index."""
    if hasattr(frame, "write_parquet"):
        frame.write_parquet(path)
    elif hasattr(frame, "to_parquet"):
        frame.to_parquet(path, index=False)
    else:
        raise BadRequest(
            f"rows of type {type(frame).__name__}: with the name of a target column they must be "
            "a pandas or polars frame"
        )


def _kept(folder: Path, ending: str, write: Callable[[Path], object]) -> Path:
    """The file that `write` makes, in the folder, named by its content."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as making:
            made = Path(making) / f"rows{ending}"
            write(made)
            path = folder.absolute() / f"{sha256_of([made])[0][:32]}{ending}"
            made.replace(path)
    except OSError as error:
        raise BadRequest(f"{folder}: cannot be written ({error.strerror})") from error
    except (ValueError, TypeError) as error:  # Arrow's of columns of mixed kinds are of these
        raise BadRequest(f"the rows cannot be kept as {ending[1:]}: {error}") from error
    return path
