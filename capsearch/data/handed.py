"""Rows that a Python program has in memory, as a `[data]` table: kept as files, read as any others.

A source runs in another process and a study is resumed on another day, so the rows are written
once, into a folder, under the name of their content.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data.labels import texts_of
from capsearch.data.sources.files import sha256_of
from capsearch.errors import BadRequest, CapsearchError
from capsearch.words import plain


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
    labels = _labels(target)
    if sparse.issparse(rows):
        matrix: Any = rows
        x = _kept(folder, ".npz", lambda to: sparse.save_npz(to, matrix.tocsr()))
    else:
        array = _numbers(rows)
        x = _kept(folder, ".npy", lambda to: np.save(to, array, allow_pickle=False))
    y = _kept(folder, ".npy", lambda to: np.save(to, labels, allow_pickle=False))
    return {"source": "arrays", "path": [str(x), str(y)]} | keys


def _labels(target: Any) -> np.ndarray:
    """Labels as an array of numbers or texts. Raises BadRequest for labels of several kinds."""
    array = _array(target)
    if array.ndim == 1 and (isinstance(target, (list, tuple)) or array.dtype.kind == "O"):
        given: Any = np.empty(len(array), object)
        given[:] = array.tolist() if array.dtype.kind == "O" else list(target)
        texts = texts_of(given)  # NumPy would make 1 and "1" the same
        return texts.astype(str) if array.dtype.kind == "O" else array
    if array.ndim == 0 or array.dtype.kind == "O":
        raise BadRequest(
            f"a target of type {type(target).__name__}: must be labels of shape (rows,), or (rows, "
            "labels) of 0 and 1"
        )
    return array


def _numbers(rows: Any) -> np.ndarray:
    """Rows as an array of numbers. Raises BadRequest."""
    array = _array(rows)
    if array.dtype.kind == "O" and array.ndim == 2:
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        held = f" of {array.dtype}" if isinstance(rows, np.ndarray) else ""
        raise BadRequest(
            f"rows of type {type(rows).__name__}{held}: must be numbers of shape (rows, features), "
            "or a pandas or polars frame with the name of its target column"
        )
    return array


def _array(values: Any) -> np.ndarray:
    """As an array; what is masked is missing, and what has no shape is an object."""
    if isinstance(values, np.ma.MaskedArray):
        numbers = values.dtype.kind in "biuf"
        whole = np.array(values.data, np.float64 if numbers else object)
        whole[np.ma.getmaskarray(values)] = np.nan if numbers else None
        return whole
    try:
        return np.asarray(values)
    except Exception:  # ragged lists, and whatever a stranger's object raises
        return np.asarray(None)


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
    there = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as making:
            made = Path(making) / f"rows{ending}"
            write(made)
            path = folder.absolute() / f"{sha256_of([made])[0][:32]}{ending}"
            made.replace(path)
    except OSError as error:
        raise BadRequest(f"{folder}: cannot be written ({error.strerror})") from error
    except CapsearchError:
        raise
    except Exception as error:  # whatever Arrow, polars or NumPy raise for values of their own
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadRequest(f"the rows cannot be kept as {ending[1:]}: {plain(said)}") from error
    finally:
        if not there:
            with suppress(OSError):  # it holds the rows
                folder.rmdir()
    return path
