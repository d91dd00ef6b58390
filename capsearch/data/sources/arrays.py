"""`arrays`: numbers in NumPy's own files beside the study file. Nothing is ever unpickled.

path = "rows.npz"            # holds x and y, and group, time, weight or split where there are such
path = ["x.npy", "y.npy"]    # in this order; x may be a sparse matrix that SciPy saved (npz)
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator
from scipy import sparse

from capsearch.data.options import SplitOptions, check, question_of
from capsearch.data.source import RawData
from capsearch.data.sources.files import checked, sha256_of
from capsearch.data.table_options import Names
from capsearch.data.words import quoted
from capsearch.errors import BadRequest
from capsearch.records import digest_of

BESIDE = ("group", "time", "weight", "split")
SCIPY = {"format", "shape", "data"}  # what scipy.sparse.save_npz writes, at least
ZIP, NPY = b"PK\x03\x04", b"\x93NUMPY"


class ArrayOptions(SplitOptions):
    """`x` and `y` say which arrays of an npz file are the rows and the labels."""

    path: Annotated[Names, Field(min_length=1, max_length=2)]
    x: Annotated[str, Field(min_length=1)] = "x"
    y: Annotated[str, Field(min_length=1)] = "y"

    @model_validator(mode="after")
    def _differ(self) -> "ArrayOptions":
        if self.x == self.y:
            raise ValueError(f"x and y are both {self.x!r}")
        return self


class Arrays:
    """Rows x of shape (rows, features), and labels y of shape (rows,)."""

    Options = ArrayOptions

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = check(ArrayOptions, options)

    def identity(self) -> str:
        return digest_of(
            ["arrays", question_of(self._options), sha256_of(checked(self._options.path))]
        )

    def read(self) -> RawData:
        files = checked(self._options.path)
        if len(files) == 2:
            x, y = _one(files[0]), _one(files[1])
            return RawData({"x": x}, y)
        found, options = _named(files[0]), self._options
        if missing := [name for name in (options.x, options.y) if name not in found]:
            known = ", ".join(quoted(name) for name in found)
            raise BadRequest(
                f"{files[0]}: has no array {' and no '.join(map(quoted, missing))}. It has: {known}"
            )
        beside = {name: found[name] for name in BESIDE if name in found}
        return RawData({"x": found[options.x]}, found[options.y], **beside)


def _one(path: Path) -> Any:
    """The array of an npy file, or the sparse matrix of an npz file. Raises BadRequest."""
    if _begins_with(path, NPY):
        with _reading(path):
            return np.load(path, allow_pickle=False)
    found = _named(path)
    if found.keys() >= SCIPY:
        with _reading(path):
            return sparse.load_npz(path)
    if len(found) == 1:
        return next(iter(found.values()))
    raise BadRequest(f"{path}: holds {len(found):,} arrays, and one is asked for")


def _named(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file. Raises BadRequest."""
    if not _begins_with(path, ZIP):
        raise BadRequest(
            f"{path}: is no npz file. Legal: one npz file that holds x and y, or two files: x, y"
        )
    with _reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    if other := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise BadRequest(f"{path}: is no npz file: it holds {quoted(other[0])}, which is no array")
    return arrays


def _begins_with(path: Path, magic: bytes) -> bool:
    with _reading(path), path.open("rb") as file:
        return file.read(len(magic)) == magic


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever NumPy raises for a file becomes a BadRequest that names it."""
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())[:200]
        if "pickle" in said:
            said = "it holds pickled objects, which could run any code: save numbers instead"
        raise BadRequest(f"{path}: cannot be read: {said}") from error
