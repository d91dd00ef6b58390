"""What turns a source's columns into the numbers of a network, learned from training rows alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from capsearch.data import border
from capsearch.data.options import DataOptions
from capsearch.data.words import quoted
from capsearch.errors import BadRequest

CHUNK = 8192  # rows that are converted at a time
STEEP = 5.0  # a value so many spreads from the median is pressed to 3.5 of them
Matrix = np.ndarray | sparse.csr_matrix


class Fitted(Protocol):
    """A preparation: float32 rows of columns, and what it is on disk."""

    @property
    def features(self) -> int: ...

    def matrix(self, columns: Mapping[str, Any]) -> Matrix: ...

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """A JSON object, whose 'kind' says which preparation it is, and arrays."""
        ...


@dataclass(frozen=True)
class Words:
    """Texts as multi-hot rows over a vocabulary, CSR."""

    vocabulary: tuple[str, ...]

    @property
    def features(self) -> int:
        return len(self.vocabulary)

    def matrix(self, columns: Mapping[str, Any]) -> Matrix:
        from capsearch.data.text import multi_hot  # scikit-learn takes a second

        return multi_hot(columns[border.TEXTS].tolist(), self.vocabulary)

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": "words", "vocabulary": list(self.vocabulary)}, {}


@dataclass(frozen=True)
class Numbers:
    """Dense numbers on a common scale: z / sqrt(1 + (z / 5)^2) of z = (x - median) / spread.

    The spread is that between the quartiles, or of the whole column where half of it is one value;
    a column of one value is 0. Outliers cannot lead the network (RealMLP, arXiv 2407.04491).
    """

    median: np.ndarray  # float64, shape (features,)
    spread: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Numbers":
        """Of training rows, shape (rows, features)."""
        median, spread = np.empty(x.shape[1]), np.empty(x.shape[1])
        for j in range(x.shape[1]):
            column = x[:, j].astype(np.float64)
            low, median[j], high = np.quantile(column, (0.25, 0.5, 0.75))
            spread[j] = high - low if high > low else (column.max() - column.min()) / 2.0
        return cls(median, spread)

    @property
    def features(self) -> int:
        return len(self.median)

    def matrix(self, columns: Mapping[str, Any]) -> Matrix:
        x = columns[border.NUMBERS]
        made = np.empty(x.shape, np.float32)
        scale = np.where(self.spread > 0.0, self.spread, np.inf)
        for start in range(0, len(x), CHUNK):
            z = (x[start : start + CHUNK].astype(np.float64) - self.median) / scale
            made[start : start + CHUNK] = z / np.sqrt(1.0 + (z / STEEP) ** 2)
        return made

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": "numbers"}, {"median": self.median, "spread": self.spread}


@dataclass(frozen=True)
class AsGiven:
    """Sparse numbers: whoever made them chose their scale."""

    features: int

    def matrix(self, columns: Mapping[str, Any]) -> Matrix:
        return sparse.csr_matrix(columns[border.NUMBERS], dtype=np.float32)

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": "as given", "features": self.features}, {}


def fit(columns: Mapping[str, Any], options: DataOptions) -> Fitted:
    """The preparation of these training rows. Raises BadRequest."""
    if border.are_texts(columns):
        from capsearch.data.text import vocabulary_of  # scikit-learn takes a second

        return Words(tuple(vocabulary_of(columns[border.TEXTS].tolist(), options.vocabulary)))
    if border.are_numbers(columns):
        x: Any = columns[border.NUMBERS]
        return Numbers.of(x) if isinstance(x, np.ndarray) else AsGiven(int(x.shape[1]))
    listed = ", ".join(quoted(name) for name in list(columns)[:5])
    raise BadRequest(
        f"data: rows of several columns ({listed}) cannot be prepared yet: give numbers as one "
        f"column {border.NUMBERS!r} of shape (rows, features), or texts as one column "
        f"{border.TEXTS!r}"
    )


def from_files(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Fitted:
    """The preparation that `as_files` told of."""
    match said["kind"]:
        case "words":
            return Words(tuple(said["vocabulary"]))
        case "numbers":
            return Numbers(arrays["median"], arrays["spread"])
        case "as given":
            return AsGiven(int(said["features"]))
    raise ValueError(f"no preparation is called {said['kind']!r}")
