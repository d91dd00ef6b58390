"""The contract of a data source, and how a study finds one by name.

A source is a class in the entry-point group `capsearch.data`, built with what the study file's
`[data]` table says beside the house's own keys (`data/options.py`). It only says who it is and
gives its rows: the house checks, splits, prepares, fingerprints and seals them, for every source
alike. Searching code gets `SearchData`, which has no test rows in it.
"""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from scipy import sparse

from capsearch.data.options import FILES, DataOptions, SplitOptions, check
from capsearch.errors import BadRequest, CapsearchError
from capsearch.tasks import BINARY, Task

GROUP = "capsearch.data"
OURS = "capsearch."  # where the modules of our own sources are, which may run in any process
HOUSE = tuple(SplitOptions.model_fields)  # keys that a stranger's source is not given


@dataclass(frozen=True, slots=True)
class Rows:
    """`x`: float32, shape (rows, features), CSR or dense. `y`: float32, as the task says.

    That is 0 or 1 (binary), the number of a class (multiclass) or a standardised value (regression)
    of shape (rows,), or 0 and 1 of shape (rows, labels).
    """

    x: sparse.csr_matrix | np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None  # float32 (rows,), 0 or above; None where all count alike

    def __post_init__(self) -> None:
        if self.x.shape[0] != len(self.y):
            raise ValueError(f"{self.x.shape[0]} rows but {len(self.y)} labels")
        if self.weight is not None and self.weight.shape != (len(self.y),):
            raise ValueError(f"{len(self.y)} rows but weights of shape {self.weight.shape}")

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Self:
        """These rows alone, by their numbers."""
        weight = None if self.weight is None else self.weight[rows]
        return type(self)(self.x[rows], self.y[rows], weight)


@dataclass(frozen=True, slots=True)
class SearchData:
    """All that a search may see: there is no field for test rows, and there never will be.

    With `folds` the validation rows are the training rows: networks train on folds, and each row is
    judged once a repeat, by a network of a fold that has it for validation.
    """

    train: Rows
    validation: Rows
    task: Task = BINARY
    folds: "tuple[Fold, ...]" = ()  # repeat by repeat

    @property
    def features(self) -> int:
        return int(self.train.x.shape[1])


@dataclass(frozen=True, slots=True)
class Fold:
    """The rows of one fold, and the places of those for validation among all rows."""

    data: SearchData
    places: np.ndarray  # int64 (validation rows,)


@dataclass(frozen=True)
class RawData:
    """Rows as they came: every array has the same first axis. The house checks all of it.

    `columns` is one of three:
      * numbers: one entry 'x', shape (rows, features), of booleans, integers or floats; or CSR;
      * texts: one entry 'text', shape (rows,), of `str`;
      * a table: an entry for each column, shape (rows,), of `str` ('' is missing) where nothing is
        typed yet, or of booleans, numbers or datetime64 (NaN, NaT and None are missing).
    """

    columns: Mapping[str, Any]
    target: Any  # (rows,): labels as given, of str, bool, int or float
    group: Any = None  # (rows,): rows of one group are never in two splits
    time: Any = None  # (rows,): sortable; validation and test rows are the last
    weight: Any = None  # (rows,): float
    split: Any = None  # (rows,): 'train', 'validation' or 'test', where the material has splits


class Source(Protocol):
    """Built as `Source(options)`; a `BadRequest` there names every option that is wrong."""

    def identity(self) -> str:
        """Names the raw material and how it is read; cheap: no row is parsed.

        A finished study is asked about this alone. Raises BadRequest when the material is missing.
        """
        ...

    def read(self) -> RawData: ...


class SourceWithSealedFile(Source, Protocol):
    """A source whose test rows may lie apart, and are not looked at before the opening."""

    def sealed(self) -> str | None:
        """SHA-256 of the bytes that hold the test rows; None where there are none apart."""
        ...

    def read_sealed(self) -> RawData:
        """The test rows. Called by the seal alone."""
        ...


def installed() -> dict[str, EntryPoint]:
    """Every source that can be named in a study file, looked up now."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A source by the `[data]` table that names it: plain values, which cross process borders.

    `folder` is that of the study file, where relative paths begin.
    """

    table: Mapping[str, Any]
    folder: Path | None = None

    @property
    def name(self) -> str:
        return str(self.table["source"])

    @property
    def entry(self) -> EntryPoint:
        """Where the source is. Raises BadRequest when there is none of this name."""
        name, known = self.name, installed()
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise BadRequest(
                f"data.source: no source {name!r}.{hint} Installed: {', '.join(known) or 'none'}"
            )
        return known[name]

    @property
    def ours(self) -> bool:
        """Whether it came with capsearch; a stranger's is loaded in a child process alone."""
        return self.entry.value.startswith(OURS)

    def options(self) -> DataOptions:
        """The options that the house reads. Raises BadRequest with every mistake in them.

        One of our sources has its own keys checked here, too.
        """
        if self.ours:
            kind: type[DataOptions] = getattr(self._loaded(), "Options", SplitOptions)
            return check(kind, self.table)
        return check(SplitOptions, {k: v for k, v in self.table.items() if k in HOUSE})

    def open(self) -> Source:
        """The source, built. Raises BadRequest for an unknown one, and for wrong options.

        One of ours is given all keys, which it checks together.
        """
        self.options()
        own = {k: v for k, v in self.table.items() if k != "source"}
        if self.ours:
            own |= {k: self._placed(own[k]) for k in FILES if k in own}
        else:
            own = {k: v for k, v in own.items() if k not in HOUSE}
        kind = self._loaded()
        with blamed(self.name, "it was built"):
            source: Source = kind(own)
        if missing := [m for m in ("identity", "read") if not callable(getattr(source, m, None))]:
            raise BadRequest(
                f"data.source: {self.name!r} has no method {' and no '.join(missing)}: a source "
                "says who it is by identity() and gives its rows by read()"
            )
        return source

    def _loaded(self) -> Any:
        entry = self.entry
        with blamed(self.name, f"it was loaded from {entry.value}"):
            return entry.load()

    def _placed(self, named: Any) -> Any:
        """File names, made absolute."""
        if isinstance(named, list):
            return [self._placed(each) for each in named]
        return str((self.folder or Path()).absolute() / named) if isinstance(named, str) else named


@contextmanager
def blamed(name: str, when: str) -> Iterator[None]:
    """Whatever a source raises becomes a BadRequest that names the source, the error and its place.

    `sys.exit` in a source is an error of it, too.
    """
    try:
        yield
    except CapsearchError:
        raise
    except (Exception, SystemExit) as error:
        kind, text = type(error).__name__, " ".join(str(error).split())[:300]
        frames = traceback.extract_tb(error.__traceback__)[1:]
        place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        raise BadRequest(
            f"data.source: {name!r} failed when {when}: {kind}{': ' if text else ''}{text}{place}"
        ) from error
