"""What turns a source's columns into the numbers of a network, learned from training rows alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from capsearch.data import border
from capsearch.data.columns import Column, columns_of
from capsearch.data.options import DataOptions
from capsearch.data.preparation import Preparation, Settings, of_words, transform
from capsearch.data.preparation.lists import vocabulary
from capsearch.data.table_options import TableOptions
from capsearch.errors import BadRequest

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
        texts = {border.TEXTS: columns[border.TEXTS]}
        return transform.transform(of_words(self.vocabulary), {}, texts)["x"]

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": "words", "vocabulary": list(self.vocabulary)}, {}


@dataclass(frozen=True)
class Table:
    """Columns of any kinds, each prepared by its own; dense numbers are columns called 1, 2, 3."""

    columns: tuple[Column, ...]  # what they are, those that are left out included
    preparation: Preparation
    numbers: bool = False  # the columns are those of an array, and called by their places

    @property
    def features(self) -> int:
        return self.preparation.features

    def matrix(self, columns: Mapping[str, Any]) -> Matrix:
        try:
            return self.preparation.transform(table_of(columns))["x"]
        except ValueError as error:
            raise BadRequest(f"data: {error}") from error

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        files = self.preparation.as_files()
        arrays = {name: files[name] for name in files if isinstance(files[name], np.ndarray)}
        said = {name: files[name] for name in files if name not in arrays}
        columns = [column.as_dict() for column in self.columns]
        told = {"kind": "table", "columns": columns, "files": said}
        return told | ({"numbers": True} if self.numbers else {}), arrays


@dataclass(frozen=True)
class AsGiven:
    """Sparse numbers: whoever made them chose their scale."""

    features: int

    def matrix(self, columns: Mapping[str, Any]) -> Matrix:
        return sparse.csr_matrix(columns[border.NUMBERS], dtype=np.float32)

    def as_files(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"kind": "as given", "features": self.features}, {}


def fit(
    columns: Mapping[str, Any],
    options: DataOptions,
    searched: Mapping[str, Any],
    whole: Fitted | None = None,
) -> Fitted:
    """The preparation of training rows.

    Args:
        columns: of the training rows, which alone give statistics.
        options: what was said of them.
        searched: the columns of training and validation rows, which tell of what kind each is.
        whole: of a fold's training rows: the preparation of all rows that are searched, which tells
            categories and words, so that a network has as many parameters in every fold.

    Raises:
        BadRequest: with every column whose kind is in doubt; or there is nothing to learn from.
    """
    if whole is not None and not isinstance(whole, Table):
        return whole  # without statistics
    if border.are_texts(columns):
        return Words(words_in(columns[border.TEXTS], options.vocabulary))
    settings = Settings(vocabulary=options.vocabulary)
    listed = None
    if whole is not None:
        listed, settings = table_of(searched), replace(settings, sparse=whole.preparation.sparse)
    numbers = border.are_numbers(columns)
    if numbers:
        x: Any = columns[border.NUMBERS]
        if not isinstance(x, np.ndarray):
            return AsGiven(int(x.shape[1]))
        kinds = tuple(Column(name, "number", "a number", 0) for name in table_of(columns))
        settings = replace(settings, sparse=False)
    else:
        declared = None
        if isinstance(options, TableOptions):
            declared = options.declared()
            settings = replace(settings, texts=options.texts, rare=options.rare)
        kinds = columns_of(searched, declared)
    try:
        made = Preparation.fit(table_of(columns), kinds, listed, settings)
        return Table(kinds, made, numbers)
    except ValueError as error:
        raise BadRequest(f"data: {error}") from error


def words_in(texts: np.ndarray, most: int) -> tuple[str, ...]:
    """The most frequent words, the same list on every machine. Raises BadRequest without any."""
    found = vocabulary(texts, (), most)
    if not found:
        raise BadRequest(
            f"data: the {len(texts):,} training texts have no word of two letters or more"
        )
    return tuple(found)


def from_files(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Fitted:
    """The preparation that `as_files` told of."""
    match said["kind"]:
        case "words":
            return Words(tuple(said["vocabulary"]))
        case "table":
            columns = tuple(Column.from_dict(each) for each in said["columns"])
            made = Preparation.from_files({**said["files"], **arrays})
            return Table(columns, made, bool(said.get("numbers")))
        case "as given":
            return AsGiven(int(said["features"]))
    raise ValueError(f"no preparation is called {said['kind']!r}")


def table_of(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """One array a column, by its name."""
    if not border.are_numbers(columns):
        return columns
    x = columns[border.NUMBERS]
    return {f"{j + 1}": x[:, j] for j in range(x.shape[1])}
