"""Prepared rows on disk: named by the rows as read, written in one step, checked on reading.

Training and validation rows only: test rows are never written. Beside them lie their preparation,
as JSON and npz, and what is known of the data. A folder that is damaged, or that holds other data
than its name says, is made anew; processes that prepare the same data at once all succeed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from capsearch.codec import decode
from capsearch.data import folds, material
from capsearch.data.columns import leaks
from capsearch.data.enough import SEARCHED
from capsearch.data.fitting import Fitted, Matrix, Table, fit, from_files, table_of
from capsearch.data.material import Material
from capsearch.data.options import DataOptions, SplitOptions
from capsearch.data.source import Fold, Rows, SearchData, Source
from capsearch.errors import BadRequest, CapsearchError
from capsearch.records import DataProfile, digest_of
from capsearch.tasks import Task, task_of

FORMAT = 4  # raise it when the files, the fields of DataProfile, or any preparation change
MANIFEST, PROFILE = "manifest.json", "profile.json"
PREPARATION, ARRAYS = "preparation.json", "preparation.npz"
TASK = "task.json"  # only of rows that are not plain binary ones: those have no such file
BESIDE = (PROFILE, PREPARATION, ARRAYS)  # files that are no rows
FOLDS = "folds.npy"  # the fold of each row in each repeat; only of rows that are cross-validated
ATTEMPTS = 3  # one is enough, unless other processes repair the same folder at the same moment


@dataclass(frozen=True)
class Prepared:
    """A folder of training and validation rows, with what is known of the data.

    `key` names the rows by their content.
    """

    folder: Path
    profile: DataProfile
    key: str

    @property
    def sparse(self) -> bool:
        """Whether the source gave sparse rows."""
        return (self.folder / "train-indptr.npy").is_file()


def default_root() -> Path:
    """CAPSEARCH_CACHE, or the user's cache folder. Raises BadRequest when nobody knows of one."""
    if named := os.environ.get("CAPSEARCH_CACHE"):
        return Path(named)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "capsearch"
    try:
        return Path.home() / ".cache" / "capsearch"
    except RuntimeError:  # no HOME, and a user id that the system has no name for
        raise BadRequest(
            f"user id {os.getuid()} has no home folder for prepared data; name a folder for it "
            "with --cache or CAPSEARCH_CACHE"
        ) from None


def prepare(source: Source, name: str, root: Path, options: DataOptions | None = None) -> Prepared:
    """The prepared rows of a source, which is read; from the cache or made now. Raises BadRequest.

    A folder is named by the content of all rows and the options, so that rows that have changed,
    whatever their source says, never meet old ones.
    """
    chosen = options or SplitOptions()
    rows = material.read(source, name, chosen)
    asked = [FORMAT, name, rows.content, rows.fingerprints, chosen.model_dump(mode="json")]
    folder = root / f"{name}-{digest_of(asked)[:16]}"
    for _ in range(ATTEMPTS):
        if whole(folder):
            profile = decode(DataProfile, (folder / PROFILE).read_text())
            return Prepared(folder, profile, rows_key(folder))
        _make(folder, rows, chosen)
    raise CapsearchError(f"{folder}: what was just written there cannot be read back")


def preparation(folder: Path) -> Fitted:
    """What the rows in a folder were prepared by. Raises CapsearchError when it is damaged."""
    check_whole(folder)
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        return from_files(json.loads((folder / PREPARATION).read_text()), dict(arrays))


def load(folder: Path) -> SearchData:
    """The rows in a prepared folder. Raises CapsearchError when they are damaged."""
    check_whole(folder)
    task = folder / TASK
    description = json.loads(task.read_text()) if task.is_file() else {}
    train, known = _load_rows(folder, "train"), task_of(description)
    if not (folder / FOLDS).is_file():
        return SearchData(train, _load_rows(folder, "validation"), known)
    return SearchData(train, train, known, tuple(_load_folds(folder, train, known)))


def _load_folds(folder: Path, rows: Rows, task: Task) -> Iterator[Fold]:
    dealt: np.ndarray = np.load(folder / FOLDS, allow_pickle=False)
    for number, (train, validation) in enumerate(folds.pairs(dealt)):
        own = _has_x(folder, name := f"fold-{number}")
        prepared = replace(rows, x=_load_x(folder, name)) if own else rows
        yield Fold(SearchData(prepared.take(train), prepared.take(validation), task), validation)


def validation_targets(folder: Path) -> np.ndarray:
    """`y` of the rows in a prepared folder that networks are judged on."""
    judged = "train" if (folder / FOLDS).is_file() else "validation"
    found: np.ndarray = np.load(folder / f"{judged}-y.npy", allow_pickle=False)
    return found


def rows_key(folder: Path) -> str:
    """Names the rows in a prepared folder by their content, wherever it lies."""
    files = json.loads((folder / MANIFEST).read_text())["files"]
    return digest_of({name: sha for name, sha in files.items() if name not in BESIDE})[:32]


def _make(folder: Path, rows: Material, options: DataOptions) -> None:
    """Write everything beside its place, then move it there in one step."""
    with _writing_to(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        fitted = fit(rows.part("train").columns, options, rows.searched())
        with _writing_to(folder.parent):
            for split in SEARCHED if rows.folds is None else ("train",):
                part = rows.part(split)
                _save_rows(making, split, Rows(fitted.matrix(part.columns), part.y, part.weight))
            if rows.folds is not None:
                _save_folds(making, rows, options, fitted)
            _write(making, folder.name, rows.task, fitted, profile_of(rows, fitted))
            _put(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _save_folds(making: Path, rows: Material, options: DataOptions, whole: Fitted) -> None:
    """All rows as each fold's training rows prepare them, where that is not the same in all."""
    np.save(making / FOLDS, rows.dealt)
    searched = rows.searched()
    for number, columns in enumerate(rows.training_columns()):
        if (own := fit(columns, options, searched, whole)) is not whole:
            _save_x(making, f"fold-{number}", own.matrix(searched))


def profile_of(rows: Material, fitted: Fitted) -> DataProfile:
    """What is known of the data."""
    statistics, binary = rows.statistics, rows.task.kind == "binary"
    return DataProfile(
        source=rows.name,
        features=fitted.features,
        sizes=rows.sizes,
        balance={name: told[0] for name, told in statistics.items()} if binary else {},
        duplicates=rows.duplicates,
        fingerprints=rows.fingerprints,
        task=rows.task.describe(),
        targets={} if binary else statistics,
        weighted=rows.raw.weight is not None,
        leaks=_leaks(rows, fitted),
        folds=rows.folds,
    )


def _leaks(rows: Material, fitted: Fitted) -> dict[str, str] | None:
    """Columns that give the target away, by the rows that a search sees; None without columns."""
    if not isinstance(fitted, Table):
        return None
    columns = [column for column in fitted.columns if column.used]
    table = table_of(rows.searched())
    found = [leak for each in rows.searched_targets() for leak in leaks(table, columns, each)]
    return {leak.column: leak.why for leak in found}


@contextmanager
def _writing_to(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadRequest(
            f"{root}: cannot be written ({error.strerror}); name another folder with --cache or "
            "CAPSEARCH_CACHE"
        ) from error


def _write(making: Path, name: str, task: Task, fitted: Fitted, profile: DataProfile) -> None:
    """What belongs to rows that are written; the manifest comes last.

    It names the folder as well, so that a copy under another name is not believed.
    """
    said, arrays = fitted.as_files()
    (making / PREPARATION).write_text(json.dumps(said, indent=1))
    np.savez(making / ARRAYS, allow_pickle=False, **arrays)
    if told := task.describe():
        (making / TASK).write_text(json.dumps(told, indent=1))
    (making / PROFILE).write_text(json.dumps(asdict(profile), indent=1))
    manifest = {"folder": name, "files": _hashes(making)}
    (making / MANIFEST).write_text(json.dumps(manifest, indent=1))
    making.chmod(0o755)  # a temporary folder is its maker's alone, prepared data is not


def _put(making: Path, folder: Path) -> None:
    """Another process may be first: whole folders of one name are equal, so either will do.

    A folder that stands there is judged only after the move has failed, and moved away before it
    is deleted: nobody ever finds half a folder.
    """
    for _ in range(ATTEMPTS):
        with suppress(OSError):
            making.replace(folder)
            return
        if whole(folder):
            return
        with suppress(FileNotFoundError):  # another process has just removed it
            damaged = folder.replace(making.with_name(making.name.replace("making", "damaged")))
            shutil.rmtree(damaged, ignore_errors=True)
    making.replace(folder)  # fails again, and says why


def check_whole(folder: Path) -> None:
    """Raise CapsearchError unless the folder is whole."""
    if not whole(folder):
        raise CapsearchError(f"{folder}: the prepared data is damaged; run again to rebuild it")


def whole(folder: Path) -> bool:
    """The folder holds the files of its manifest, all of them unchanged, and no others."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return bool(manifest == {"folder": folder.name, "files": _hashes(folder)})
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    return {path.name: _sha256(path) for path in files}


def _save_rows(folder: Path, name: str, rows: Rows) -> None:
    _save_x(folder, name, rows.x)
    np.save(folder / f"{name}-y.npy", rows.y.astype(np.float32, copy=False))
    if rows.weight is not None:
        np.save(folder / f"{name}-weight.npy", rows.weight.astype(np.float32, copy=False))


def _save_x(folder: Path, name: str, x: Matrix) -> None:
    if isinstance(x, np.ndarray):
        np.save(folder / f"{name}-x.npy", x.astype(np.float32, copy=False))
        return
    held = sparse.csr_matrix(x)
    np.save(folder / f"{name}-indices.npy", held.indices.astype(np.int32, copy=False))
    np.save(folder / f"{name}-indptr.npy", held.indptr.astype(np.int64, copy=False))
    np.save(folder / f"{name}-data.npy", held.data.astype(np.float32, copy=False))
    np.save(folder / f"{name}-shape.npy", np.array(held.shape))


def _load_rows(folder: Path, name: str) -> Rows:
    weighted = (folder / f"{name}-weight.npy").is_file()
    weight = _array(folder, name, "weight") if weighted else None
    return Rows(_load_x(folder, name), _array(folder, name, "y"), weight)


def _has_x(folder: Path, name: str) -> bool:
    return any((folder / f"{name}-{part}.npy").is_file() for part in ("x", "indptr"))


def _load_x(folder: Path, name: str) -> Matrix:
    if (folder / f"{name}-x.npy").is_file():
        return _array(folder, name, "x")
    data, indices, indptr, shape = (
        _array(folder, name, part) for part in ("data", "indices", "indptr", "shape")
    )
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))


def _array(folder: Path, name: str, part: str) -> np.ndarray:
    loaded: np.ndarray = np.load(folder / f"{name}-{part}.npy", allow_pickle=False)
    return loaded


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
