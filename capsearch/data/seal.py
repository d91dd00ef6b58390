"""The seal on the test split: its rows are looked at for an opening that is stored, not before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capsearch.data import border, material
from capsearch.data.material import Material, Part
from capsearch.data.options import DataOptions
from capsearch.data.source import Rows, Source, blamed
from capsearch.errors import BadRequest
from capsearch.records import Opening


@dataclass(frozen=True)
class Sealed:
    """A source that was read, and whose test rows nobody has looked at."""

    source: Source
    rows: Material

    @classmethod
    def of(cls, source: Source, name: str, options: DataOptions) -> "Sealed":
        """Raises BadRequest."""
        return cls(source, material.read(source, name, options))


@dataclass(frozen=True)
class Opened:
    """The test rows, and what those of a file of their own share with the rows that are searched.

    Of rows that came with the others that is known from the start (`DataProfile.duplicates`).
    """

    rows: Rows
    shared: dict[str, int] = field(default_factory=dict)  # `Material.shared_with`


Prepare = Callable[[Mapping[str, Any]], Any]  # columns to float32 rows, dense or CSR


def opened_rows(sealed: Sealed, prepare: Prepare, opening: Opening) -> Opened:
    """The test rows, prepared as the kept model does it, for an opening that is in the ledger.

    Raises BadRequest for what only they show: values that are not finite, a column that is missing.
    """
    assert opening.opened_at  # there is no other way to the rows than to have claimed them
    rows = sealed.rows
    part, shared = (rows.sealed_rows(), {}) if rows.sealed is None else _of_file(sealed)
    return Opened(Rows(prepare(part.columns), part.y, part.weight), shared)


def _of_file(sealed: Sealed) -> tuple[Part, dict[str, int]]:
    """Test rows that lie apart, unchanged since the study began, and what they share."""
    rows = sealed.rows
    with blamed(rows.name, "its test rows were read"):
        source: Any = sealed.source  # one that has them apart
        given = source.read_sealed()
        if source.sealed() != rows.sealed:
            raise BadRequest("data: the file of test rows changed while it was read")
    raw = border.checked(given)
    mistakes = border.check_like(raw.columns, rows.raw.columns)
    mistakes += border.wrong_values(raw.columns, np.arange(len(raw.target)))
    if mistakes:
        raise BadRequest(*mistakes)
    shared = rows.shared_with(raw.columns, raw.group)
    return Part(raw.columns, material.targets_like(rows, raw.target)), shared
