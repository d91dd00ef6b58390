"""The values of one column, counted once: what every step of the ladder looks at."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from capsearch.data.columns.declared import Column, Declared, Kind
from capsearch.data.columns.doubt import short
from capsearch.data.preparation.transform import as_text

ALMOST = 0.95  # of the values fit, and the others leave a doubt
FEW = 5  # different values that do not fit, so that a person can name them
UNIQUE = 0.99  # of the values differ: an id, if more speaks for it
ENOUGH = 20  # values before being unique means something
ID_NAMES = {"id", "ids", "uuid", "guid", "key", "index", "idx", "rowid", "unnamed"}


@dataclass(frozen=True)
class Values:
    """Texts of a column and how often each stands there, missing ones counted apart."""

    name: str
    counts: Counter[str]  # in the order in which they first appear
    rows: int
    missing: int
    null: tuple[str, ...]

    @classmethod
    def of(cls, name: str, array: np.ndarray, declared: Declared) -> Self:
        null = declared.null_of(name)
        counts = Counter(as_text(value) for value in array)
        missing = sum(counts.pop(text, 0) for text in {"", *null})
        return cls(name, counts, len(array), missing, null)

    def with_rows(self, rows: int) -> Self:
        """The same values, when each was counted once in so many rows."""
        return replace(self, rows=rows)

    @property
    def known(self) -> int:
        return self.rows - self.missing

    @property
    def unique(self) -> float:
        """Share of different values."""
        return len(self.counts) / self.known

    @property
    def named_id(self) -> bool:
        return named_id(self.name)

    @property
    def words(self) -> float:
        """Words of a value, in the mean."""
        return sum(len(text.split()) * n for text, n in self.counts.items()) / self.known

    def column(self, kind: Kind, why: str, *, used: bool = True, **more: Any) -> Column:
        """The column, as a step of the ladder found it."""
        texts = list(self.counts)
        if kind in ("category", "boolean"):
            texts.sort(key=lambda text: -self.counts[text])
        examples = tuple(short(text) for text in texts[:3])
        return Column(
            self.name, kind, why, self.missing, examples, used=used, null=self.null, **more
        )


def named_id(name: str) -> bool:
    """Whether a name is that of an identifier: 'customerID', 'user_id', 'Unnamed: 0'."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return bool(ID_NAMES & {part.lower() for part in re.split(r"[^A-Za-z]+", parted)})


def almost(fitting: int, known: int, different: int, misfits: int) -> bool:
    """Whether so many values fit that the others leave a doubt.

    95% do, or those that do not are few different ones beside many that fit: a third of "unknown"
    among numbers leaves a doubt, too.
    """
    return fitting >= ALMOST * known or (misfits <= FEW and different > 2 * FEW)
