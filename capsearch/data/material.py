"""The rows of a source, checked at the border and split; test rows lie in it and are not looked at.

Only `Material.sealed_rows` gives test rows away, and the seal alone calls it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from capsearch.data import border, fingerprints
from capsearch.data.labels import binary, labelled, texts_of
from capsearch.data.options import DataOptions
from capsearch.data.source import RawData, Source, blamed
from capsearch.data.split import SPLITS, shared_keys, split_by_time, split_given, split_rows
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest

Columns = Mapping[str, Any]
SEARCHED = ("train", "validation")
TRAINED = ("binary", None)  # tasks; None asks the labels, which must be of two classes then


@dataclass(frozen=True)
class Material:
    """A source's rows and what the house knows of them."""

    name: str
    raw: RawData
    y: np.ndarray  # float32, shape (rows,): 0 or 1
    labels: tuple[str, str]  # of 0 and of 1
    splits: Mapping[str, np.ndarray]  # 'train', 'validation', 'test': row numbers, sorted
    sealed: str | None = None  # hash of a file of test rows, which was not read
    digests: list[bytes] = field(default_factory=list)  # of each row, without its label

    def part(self, split: str) -> tuple[Columns, np.ndarray]:
        """Columns and labels of the training or validation rows."""
        assert split in SEARCHED
        return self._taken(self.splits[split])

    def searched(self) -> Columns:
        """Columns of training and validation rows together."""
        return _Rows(self.raw.columns, _searched(self.splits))

    def searched_labels(self) -> np.ndarray:
        """Their labels."""
        return np.asarray(self.y[_searched(self.splits)])

    def sealed_rows(self) -> tuple[Columns, np.ndarray]:
        """Columns and labels of test rows that came with the others. For the seal alone.

        Raises BadRequest for values that are not finite.
        """
        rows = self.splits["test"]
        if mistakes := border.wrong_values(self.raw.columns, rows):
            raise BadRequest(*mistakes)
        return self._taken(rows)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 over each split's rows and labels, whatever their order."""
        found = {name: fingerprints.fingerprint(each) for name, each in self._labelled.items()}
        return found if self.sealed is None else found | {"test": self.sealed}

    @cached_property
    def content(self) -> str:
        """Names training and validation rows by their content and their order."""
        return fingerprints.in_order(digest for name in SEARCHED for digest in self._labelled[name])

    @property
    def sizes(self) -> dict[str, int]:
        """A file of test rows that was not read has none."""
        return {name: len(rows) for name, rows in self.splits.items()}

    @property
    def balance(self) -> dict[str, float]:
        return {name: float(self.y[rows].mean()) for name, rows in self.splits.items()}

    @cached_property
    def duplicates(self) -> dict[str, int]:
        digests = self.digests
        return shared_keys({n: [digests[i] for i in rows] for n, rows in self.splits.items()})

    def _taken(self, rows: np.ndarray) -> tuple[Columns, np.ndarray]:
        return _Rows(self.raw.columns, rows), self.y[rows]

    @cached_property
    def _labelled(self) -> dict[str, list[bytes]]:
        """Of each row with its label, by split."""
        return {name: self._of(rows) for name, rows in self.splits.items()}

    def _of(self, rows: np.ndarray) -> list[bytes]:
        if border.are_texts(self.raw.columns):
            texts = self.raw.columns[border.TEXTS]
            return [fingerprints.text_digest(texts[i], self.y[i]) for i in rows]
        columns, labels = self.raw.columns, self.labels
        header = b"" if border.are_numbers(columns) else fingerprints.header_of(columns)
        return [
            fingerprints.labelled_digest(self.digests[i], labels[int(self.y[i])], header)
            for i in rows
        ]


def read(source: Source, name: str, options: DataOptions) -> Material:
    """Read a source, check what it gave, and split it.

    Raises BadRequest with every mistake.
    """
    with blamed(name, "its rows were read"):
        given = source.read()
        seal = getattr(source, "sealed", None)
        sealed = seal() if callable(seal) else None
    raw = border.checked(given)
    if options.task not in TRAINED:
        raise BadRequest(f"data.task: {options.task!r} cannot be trained yet. Legal: 'binary'")
    if options.unlabelled and len(kept := labelled(raw.target)) < len(raw.target):
        raw = _rows_of(raw, kept)
    y, labels = binary(np.asarray(raw.target), options.labels)
    digests = fingerprints.row_digests(raw.columns)
    splits = _split(raw, y, digests, options, apart=sealed is not None)
    material = Material(name, raw, y, labels, splits, sealed, digests)
    mistakes = [*_too_few(material), *_torn(material)]
    mistakes += border.wrong_values(raw.columns, _searched(splits))
    if mistakes:
        raise BadRequest(*mistakes)
    return material


class _Rows(Mapping[str, Any]):
    """Some rows of columns, copied one column at a time: a table may be most of the memory."""

    def __init__(self, columns: Columns, rows: np.ndarray) -> None:
        self._columns, self._rows = columns, rows

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _searched(splits: Mapping[str, np.ndarray]) -> np.ndarray:
    """Numbers of training and validation rows, sorted."""
    return np.sort(np.concatenate([splits[n] for n in SEARCHED if n in splits]))


def labels_like(material: Material, target: np.ndarray) -> np.ndarray:
    """0 and 1 for the labels of rows that were read later. Raises BadRequest for other labels."""
    texts = texts_of(target, "target of the test rows")
    if other := sorted({text for text in texts.tolist() if text not in material.labels}):
        listed = some([quoted(text) for text in other])
        raise BadRequest(
            f"data: the test rows have labels that no training row has: {listed}. Known: "
            f"{quoted(material.labels[0])}, {quoted(material.labels[1])}"
        )
    y: np.ndarray = (texts == material.labels[1]).astype(np.float32)
    return y


def _split(
    raw: RawData, y: np.ndarray, digests: list[bytes], options: DataOptions, *, apart: bool
) -> dict[str, np.ndarray]:
    """Row numbers of each split: as given, by time, by group, or by chance."""
    shares = {n: s for n, s in options.shares.items() if n != "test" or not apart}
    if raw.split is None:
        return _drawn(raw, y, digests, shares, options.seed)
    parts = split_given(raw.split)
    left = {name: share for name, share in shares.items() if name not in parts}
    if not left or "train" not in parts:
        return parts
    rows = parts["train"]
    inner = _drawn(_rows_of(raw, rows), y[rows], [digests[i] for i in rows], left, options.seed)
    parts |= {name: rows[numbers] for name, numbers in inner.items()}
    return {name: parts[name] for name in SPLITS if name in parts}


def _drawn(
    raw: RawData, y: np.ndarray, digests: list[bytes], shares: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    if raw.time is not None:
        return split_by_time(raw.time, shares)
    if raw.group is not None:
        return split_rows(raw.group.tolist(), np.zeros(len(y)), shares, seed)
    return split_rows(digests, y, shares, seed)


def _rows_of(raw: RawData, rows: np.ndarray) -> RawData:
    """These rows alone."""
    beside = {
        name: None if (given := getattr(raw, name)) is None else given[rows]
        for name in ("target", "group", "time", "weight", "split")
    }
    return replace(raw, columns=_Rows(raw.columns, rows), **beside)


def _too_few(material: Material) -> list[str]:
    """Every split must have rows of both classes."""
    mistakes = []
    wanted = [*SEARCHED, *(["test"] if "test" in material.splits else [])]
    total = sum(material.sizes.values())
    for name in wanted:
        rows = material.splits.get(name, np.array([], np.int64))
        found = {material.labels[int(each)] for each in np.unique(material.y[rows])}
        if len(rows) and (missing := [quoted(x) for x in material.labels if x not in found]):
            mistakes.append(
                f"data: the {name} split has {len(rows):,} of {total:,} rows, and none with the "
                f"label {' or '.join(missing)}"
            )
        elif not len(rows):
            different = len(set(material.digests))  # equal ones stay together
            mistakes.append(
                f"data: the {name} split has none of the {total:,} rows ({different:,} different)"
            )
    return mistakes


def _torn(material: Material) -> list[str]:
    """A group that was given to two splits."""
    group = material.raw.group
    if group is None:
        return []
    splits = {name: set(group[rows].tolist()) for name, rows in material.splits.items()}
    names = list(splits)
    return [
        f"data: groups stand in both {a} and {b}: {some([quoted(g) for g in torn])}"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if (torn := sorted(splits[a] & splits[b], key=str))
    ]
