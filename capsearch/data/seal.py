"""The seal on the test split: its rows are looked at for an opening that is stored, not before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


Prepare = Callable[[Mapping[str, Any]], Any]  # columns to float32 rows, dense or CSR


def opened_rows(sealed: Sealed, prepare: Prepare, opening: Opening) -> Rows:
    """The test rows, prepared as the kept model does it, for an opening that is in the ledger.

    Raises BadRequest for what only they show: values that are not finite, a column that is missing.
    """
    assert opening.opened_at  # there is no other way to the rows than to have claimed them
    rows = sealed.rows
    part = rows.sealed_rows() if rows.sealed is None else _of_file(sealed)
    return Rows(prepare(part.columns), part.y, part.weight)


def _of_file(sealed: Sealed) -> Part:
    """Test rows that lie apart, unchanged since the study began."""
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
    return Part(raw.columns, material.targets_like(rows, raw.target))
