"""The contract of a data source, and how a study finds one by name.

A source is a class in the entry-point group `capsearch.data`, built with the study file's `[data]`
table (less `source`). It splits its rows into train, validation and test by a seed, and whatever
it learns from rows (a vocabulary, a mean) it learns from the training rows alone. Searching code
gets `SearchData`, which has no test rows in it; `test_data` is called by `capsearch.seal` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, Self

import numpy as np
from scipy import sparse

from capsearch.errors import BadRequest
from capsearch.records import DataProfile
from capsearch.tasks import BINARY, Task

GROUP = "capsearch.data"


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
    """All that a search may see: there is no field for test rows, and there never will be."""

    train: Rows
    validation: Rows
    task: Task = BINARY

    @property
    def features(self) -> int:
        return int(self.train.x.shape[1])


class Source(Protocol):
    """Built as `Source(options)`; a `BadRequest` there names every option that is wrong."""

    def identity(self) -> str:
        """SHA-256 of the raw material and of all that shapes the splits; cheap.

        Raises BadRequest when the material is missing or is not what it should be.
        """
        ...

    def search_data(self) -> SearchData: ...

    def test_data(self) -> Rows: ...

    def profile(self) -> DataProfile: ...


def installed() -> dict[str, EntryPoint]:
    """Every source that can be named in a study file, looked up now."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def open_source(table: Mapping[str, Any]) -> Source:
    """The source that a `[data]` table names, built with the table's other keys."""
    name, known = table["source"], installed()
    if name not in known:
        near = get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise BadRequest(
            f"data.source: no source {name!r}.{hint} Installed: {', '.join(known) or 'none'}"
        )
    try:
        build = known[name].load()
    except Exception as error:  # a stranger's package may fail in any way while it is imported
        raise BadRequest(
            f"data.source: {name!r} cannot be loaded from {known[name].value}: {error}"
        ) from error
    source: Source = build({key: value for key, value in table.items() if key != "source"})
    return source


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A source by the `[data]` table that names it: plain values, which cross process borders."""

    table: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.table["source"])

    def open(self) -> Source:
        """Raises BadRequest for an unknown source, and for options that are wrong."""
        return open_source(self.table)
