"""Prepared rows on disk: named by what they are made from, written in one step, checked on reading.

Training and validation rows only: test rows are never written. A folder that is damaged is made
anew; two processes that prepare the same data at once both succeed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data.source import Rows, SearchData, Source
from capsearch.errors import BadRequest, CapsearchError
from capsearch.records import DataProfile, digest_of

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Prepared:
    """A folder of training and validation rows, with what is known of the data."""

    folder: Path
    profile: DataProfile


def default_root() -> Path:
    """CAPSEARCH_CACHE, or the user's cache folder."""
    if named := os.environ.get("CAPSEARCH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "capsearch"


def prepare(source: Source, name: str, root: Path) -> Prepared:
    """The prepared rows of a source, from the cache or made now. Raises BadRequest."""
    folder = root / f"{name}-{digest_of([FORMAT, name, source.identity()])[:16]}"
    manifest = _checked(folder)
    if manifest is None:
        _make(folder, source)
        manifest = _checked(folder)
    if manifest is None:
        raise CapsearchError(f"{folder}: what was just written there cannot be read back")
    return Prepared(folder, DataProfile(**manifest["profile"]))


def load(folder: Path) -> SearchData:
    """The rows in a prepared folder. Raises CapsearchError when they are damaged."""
    if _checked(folder) is None:
        raise CapsearchError(f"{folder}: the prepared data is damaged; run again to rebuild it")
    return SearchData(_load_rows(folder, "train"), _load_rows(folder, "validation"))


def _make(folder: Path, source: Source) -> None:
    """Write everything beside its place, then move it there in one step."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    except OSError as error:
        raise BadRequest(
            f"{folder.parent}: cannot be written ({error.strerror}); name another folder with "
            "--cache or CAPSEARCH_CACHE"
        ) from error
    try:
        data = source.search_data()
        for name, rows in (("train", data.train), ("validation", data.validation)):
            _save_rows(making, name, rows)
        hashes = {path.name: _sha256(path) for path in sorted(making.iterdir())}
        manifest = {"files": hashes, "profile": asdict(source.profile())}
        (making / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _put(making, folder)
    except OSError as error:
        raise BadRequest(f"{folder.parent}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _put(making: Path, folder: Path) -> None:
    """Another process may have put its own there first: whole ones are equal, so either will do."""
    if _checked(folder) is not None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        making.replace(folder)
    except OSError:
        if _checked(folder) is None:
            raise


def _checked(folder: Path) -> dict[str, Any] | None:
    """The manifest, when every file it lists is there and unchanged."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        whole = all(_sha256(folder / n) == sha for n, sha in manifest["files"].items())
        DataProfile(**manifest["profile"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if whole else None


def _save_rows(folder: Path, name: str, rows: Rows) -> None:
    if isinstance(rows.x, np.ndarray):
        np.save(folder / f"{name}-x.npy", rows.x.astype(np.float32, copy=False))
    else:
        x = sparse.csr_matrix(rows.x)
        np.save(folder / f"{name}-indices.npy", x.indices.astype(np.int32, copy=False))
        np.save(folder / f"{name}-indptr.npy", x.indptr.astype(np.int64, copy=False))
        np.save(folder / f"{name}-data.npy", x.data.astype(np.float32, copy=False))
        np.save(folder / f"{name}-shape.npy", np.array(x.shape))
    np.save(folder / f"{name}-y.npy", rows.y.astype(np.float32, copy=False))


def _load_rows(folder: Path, name: str) -> Rows:
    def array(part: str) -> np.ndarray:
        loaded: np.ndarray = np.load(folder / f"{name}-{part}.npy", allow_pickle=False)
        return loaded

    if (folder / f"{name}-x.npy").is_file():
        return Rows(array("x"), array("y"))
    parts = (array("data"), array("indices"), array("indptr"))
    return Rows(sparse.csr_matrix(parts, shape=tuple(array("shape"))), array("y"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
