"""What is learned from training rows, so that `transform` can turn any rows into numbers.

Lists that become columns (categories, words, which columns have a missing indicator, which cycles
of time are seen) may come from more rows than the statistics, for they read no labels and a network
must have one number of parameters over all folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any, Self

import numpy as np
from scipy import sparse

from capsearch.data.columns.declared import Column
from capsearch.data.preparation import transform
from capsearch.data.preparation.learn import CYCLES, LEARN, Settings, base

FORMAT = 1  # of the description; raise it when `transform` would read it otherwise
DESCRIPTION = "preparation.json"
SPARSE_FEATURES, SPARSE_SHARE = 500, 0.1  # CSR above so many, with fewer filled
Table = Mapping[str, np.ndarray]
Block = np.ndarray | sparse.csr_matrix


@dataclass(frozen=True)
class Preparation:
    """From raw rows to numbers, as it is stored: plain values and arrays, never objects."""

    description: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def fit(
        cls,
        table: Table,
        columns: Sequence[Column],
        vocabulary_rows: Table | None = None,
        settings: Settings | None = None,
    ) -> Self:
        """Learn from training rows.

        Args:
            table: Columns of the training rows, by name, each of shape (rows,).
            columns: What they are; those not `used` are left out.
            vocabulary_rows: Rows that categories, words, indicators and cycles are listed from,
                such as all search rows; None: the training rows.
            settings: See `Settings`.

        Raises:
            ValueError: For no used column, no rows, values that their column's kind does not allow,
                and rows that give no feature at all.
        """
        settings = settings or Settings()
        listed = table if vocabulary_rows is None else vocabulary_rows
        used = [column for column in columns if column.used]
        if not used or not len(table[used[0].name]):
            raise ValueError("there are no columns or no rows to learn from")
        arrays: dict[str, np.ndarray] = {}
        specs, names = list[dict[str, Any]](), list[str]()
        for number, column in enumerate(used):
            learn = LEARN[column.kind]
            spec = base(column) | {"at": len(names)}
            more, features = learn(spec, table[column.name], listed[column.name], settings)
            if "idf" in more and more["idf"] is not None:
                arrays[f"idf {number}"] = more["idf"]
                more["idf"] = f"idf {number}"
            specs.append(spec | more | {"width": len(features)})
            names += features
        if not names:
            raise ValueError("no column has a word or a value that is common enough to learn from")
        arrays |= _cycle_tables(specs)
        description = {
            "format": FORMAT,
            "features": len(names),
            "names": names,
            "sparse": bool(settings.sparse),
            "columns": specs,
        }
        if settings.sparse is None:
            description["sparse"] = _is_sparse(description, arrays, table, used)
        return cls(description, arrays)

    @property
    def features(self) -> int:
        return int(self.description["features"])

    @property
    def names(self) -> tuple[str, ...]:
        """Of the output's columns, such as 'age', 'age missing', 'deck=B' or 'name: ford'."""
        return tuple(self.description["names"])

    @property
    def sparse(self) -> bool:
        """Whether rows come as CSR."""
        return bool(self.description["sparse"])

    def transform(self, table: Table) -> dict[str, Block]:
        """{"x": float32, (rows, features)}. Raises ValueError; see `transform.transform`."""
        return transform.transform(self.description, self.arrays, table)

    def as_files(self) -> dict[str, Any]:
        """The description under 'preparation.json', and every array under its name, for an npz."""
        return {DESCRIPTION: dict(self.description), **self.arrays}

    @classmethod
    def from_files(cls, files: Mapping[str, Any]) -> Self:
        """What `as_files` gave. Raises ValueError for what another version wrote."""
        description = files[DESCRIPTION]
        if description.get("format") != FORMAT:
            found = description.get("format")
            raise ValueError(f"{DESCRIPTION}: format {found!r} is not {FORMAT}")
        return cls(description, {name: x for name, x in files.items() if name != DESCRIPTION})


def _cycle_tables(specs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Sine and cosine of every place in the cycles that are used: float32, (places, 2)."""
    used = {name for spec in specs for name in spec.get("cycles", ())}
    tables = {}
    for name in sorted(used):
        angles = 2 * pi * np.arange(CYCLES[name]) / CYCLES[name]
        waves = np.column_stack([np.sin(angles), np.cos(angles)])
        tables[f"cycle {name}"] = waves.astype(np.float32)
    return tables


def _is_sparse(
    description: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    table: Table,
    used: Sequence[Column],
) -> bool:
    """Whether rows are better kept as CSR: texts alone always are."""
    if all(column.kind == "text" for column in used):
        return True
    if description["features"] <= SPARSE_FEATURES:
        return False
    some = {column.name: table[column.name][:1_000] for column in used}
    x = transform.transform({**description, "sparse": True}, arrays, some)["x"]
    assert sparse.issparse(x)
    return bool(x.nnz < SPARSE_SHARE * x.shape[0] * x.shape[1])
