"""The rows of a source, checked at the border and split; test rows lie in it and are not looked at.

Only `Material.sealed_rows` gives test rows away, and the seal alone calls it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from capsearch.data import border, fingerprints, folds
from capsearch.data.enough import SEARCHED, too_few, torn_groups, wrong_folds
from capsearch.data.labels import labelled
from capsearch.data.options import DataOptions
from capsearch.data.source import RawData, Source, blamed
from capsearch.data.split import SPLITS, shared_keys, split_by_time, split_given, split_rows
from capsearch.data.table_options import TableOptions
from capsearch.data.targets import Classes, Target, read_target
from capsearch.errors import BadRequest
from capsearch.records import Folds
from capsearch.records.data import GROUPS
from capsearch.tasks import Task

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """Some of the rows: columns, targets as `Rows` holds them, and weights if they have any."""

    columns: Columns
    y: np.ndarray
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class Material:
    """A source's rows and what the house knows of them."""

    name: str
    raw: RawData
    target: Target  # how the target is read
    values: np.ndarray  # what was read of it, one row each
    splits: Mapping[str, np.ndarray]  # 'train', 'validation', 'test': row numbers, sorted
    folds: Folds | None = None  # cross-validation: then no split is for validation
    sealed: str | None = None  # hash of a file of test rows, which was not read
    digests: list[bytes] = field(default_factory=list)  # of each row, without its label

    @cached_property
    def task(self) -> Task:
        """What is predicted, as the training rows tell of it."""
        return self.target.task(self.values[self.splits["train"]])

    @cached_property
    def y(self) -> np.ndarray:
        """What engines train on: float32, one row each."""
        return self.target.y(self.values, self.task)

    def part(self, split: str) -> Part:
        """The training or validation rows."""
        assert split in SEARCHED
        return self._taken(self.splits[split])

    @cached_property
    def dealt(self) -> np.ndarray:
        """The fold of every training row, (repeats, rows); no rows without folds."""
        if self.folds is None:
            return np.empty((0, 0), np.int16)
        rows = self.splits["train"]
        group, strata = self.raw.group, self.target.strata(self.values[rows])
        if group is not None:
            return folds.deal(group[rows].tolist(), np.zeros(len(rows)), self.folds)
        return folds.deal([self.digests[i] for i in rows], strata, self.folds)

    def training_columns(self) -> Iterator[Columns]:
        """Of the training rows of each fold, repeat by repeat."""
        rows = self.splits["train"]
        for train, _ in folds.pairs(self.dealt):
            yield _Rows(self.raw.columns, rows[train])

    def searched(self) -> Columns:
        """Columns of training and validation rows together."""
        return _Rows(self.raw.columns, _searched(self.splits))

    def searched_targets(self) -> list[np.ndarray]:
        """Of the same rows, shape (rows,): labels, or amounts; of several labels, each."""
        values, kind = self.values[_searched(self.splits)], self.task.kind
        if kind == "regression":
            return [values]
        if kind == "multilabel":
            return list(values.astype(np.int64).T)
        return [np.array(self.task.labels, object)[values.astype(np.int64)]]

    def sealed_rows(self) -> Part:
        """Test rows that came with the others. For the seal alone.

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
        parts = [self._labelled[name] for name in SEARCHED if name in self._labelled]
        return fingerprints.in_order(digest for part in parts for digest in part)

    @property
    def sizes(self) -> dict[str, int]:
        """A file of test rows that was not read has none."""
        return {name: len(rows) for name, rows in self.splits.items()}

    @property
    def statistics(self) -> dict[str, tuple[float, ...]]:
        """Of each split's targets (`Task.statistics`)."""
        return {
            name: self.task.statistics(self.y[rows], self._weight(rows))
            for name, rows in self.splits.items()
        }

    @cached_property
    def duplicates(self) -> dict[str, int]:
        return shared_keys(self._digests)

    def shared_with(self, columns: Columns, group: np.ndarray | None) -> dict[str, int]:
        """Of test rows from a file of their own, read just now: what they share with other splits.

        'train/test': test rows that are training rows, too; 'groups/test': test rows whose group
        is searched. For the seal alone.
        """
        known = {name: columns[name] for name in self.raw.columns}
        found = shared_keys(self._digests | {"test": fingerprints.row_digests(known)})
        if group is not None and self.raw.group is not None:
            searched = set(self.raw.group.tolist())
            found[f"{GROUPS}/test"] = sum(each in searched for each in group.tolist())
        return {pair: count for pair, count in found.items() if pair.endswith("/test")}

    @property
    def _digests(self) -> dict[str, list[bytes]]:
        """Of each row without its target, by split."""
        return {name: [self.digests[i] for i in rows] for name, rows in self.splits.items()}

    def _taken(self, rows: np.ndarray) -> Part:
        return Part(_Rows(self.raw.columns, rows), self.y[rows], self._weight(rows))

    def _weight(self, rows: np.ndarray) -> np.ndarray | None:
        weight = self.raw.weight
        return None if weight is None else weight[rows].astype(np.float32)

    @cached_property
    def _labelled(self) -> dict[str, list[bytes]]:
        """Of each row with its target and weight, by split."""
        return {name: self._of(rows) for name, rows in self.splits.items()}

    def _of(self, rows: np.ndarray) -> list[bytes]:
        values, text, weight = self.values, self.target.text, self.raw.weight
        if border.are_texts(self.raw.columns) and self.task.kind == "binary" and weight is None:
            texts = self.raw.columns[border.TEXTS]
            return [fingerprints.text_digest(texts[i], values[i]) for i in rows]
        columns = self.raw.columns
        header = b"" if border.are_numbers(columns) else fingerprints.header_of(columns)
        beside = ["" if weight is None else f"\0{float(weight[i])!r}" for i in rows]
        return [
            fingerprints.labelled_digest(self.digests[i], text(values[i]) + more, header)
            for i, more in zip(rows, beside, strict=True)
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
    if options.unlabelled and len(kept := labelled(raw.target)) < len(raw.target):
        raw = _rows_of(raw, kept)
    target = read_target(np.asarray(raw.target), options)
    values = target.values(np.asarray(raw.target))
    digests = fingerprints.row_digests(raw.columns)
    splits = _split(raw, target.strata(values), digests, options, apart=sealed is not None)
    material = _folded(Material(name, raw, target, values, splits, None, sealed, digests), options)
    mistakes = [*too_few(material), *torn_groups(material)]
    if wrong := border.wrong_values(raw.columns, _searched(splits)):
        mistakes += wrong
        if isinstance(options, TableOptions):
            mistakes.append('data: what means a missing value is named so: null.COLUMN = ["inf"]')
    if mistakes:
        raise BadRequest(*mistakes)
    material.task.check(material.y)  # a target that teaches nothing is refused here, too
    return material


def _folded(held_out: Material, options: DataOptions) -> Material:
    """The same rows with those for validation among the training rows, if there are to be folds.

    Folds that nobody asked for are not made where a label would be unknown in one of them.
    """
    raw, splits = held_out.raw, held_out.splits
    given = raw.split is not None and bool((raw.split == "validation").any())
    rows, timed = len(splits.get("validation", ())), raw.time is not None
    asked = folds.asked_for(options, rows, given=given, in_time=timed)
    if asked is None:
        return held_out
    joined = {"train": _searched(splits)}
    joined |= {name: rows for name, rows in splits.items() if name not in SEARCHED}
    material = replace(held_out, splits=joined, folds=asked)
    unasked = not isinstance(options.validation, Folds)
    return held_out if unasked and wrong_folds(material) else material


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


def targets_like(material: Material, target: np.ndarray) -> np.ndarray:
    """`y` of rows that were read later. Raises BadRequest for targets of another kind.

    Labels that differ from a known one by capitals or a full stop at the end alone are that one:
    there is nothing else that they could be, and no way back once the test split is opened.
    """
    if isinstance(material.target, Classes):
        target = material.target.recognised(target, "target of the test rows")
    values = material.target.values(target, "target of the test rows")
    return material.target.y(values, material.task)


def _split(
    raw: RawData, strata: np.ndarray, digests: list[bytes], options: DataOptions, *, apart: bool
) -> dict[str, np.ndarray]:
    """Row numbers of each split: as given, by time, by group, or by chance."""
    shares = {n: s for n, s in options.shares.items() if n != "test" or not apart}
    if raw.split is None:
        return _drawn(raw, strata, digests, shares, options.seed)
    parts = split_given(raw.split)
    left = {name: share for name, share in shares.items() if name not in parts}
    if not left or "train" not in parts:
        return parts
    rows = parts["train"]
    mine = [digests[i] for i in rows]
    inner = _drawn(_rows_of(raw, rows), strata[rows], mine, left, options.seed)
    parts |= {name: rows[numbers] for name, numbers in inner.items()}
    return {name: parts[name] for name in SPLITS if name in parts}


def _drawn(
    raw: RawData, strata: np.ndarray, digests: list[bytes], shares: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    if raw.time is not None:
        return split_by_time(raw.time, shares)
    if raw.group is not None:
        return split_rows(raw.group.tolist(), np.zeros(len(strata)), shares, seed)
    return split_rows(digests, strata, shares, seed)


def _rows_of(raw: RawData, rows: np.ndarray) -> RawData:
    """These rows alone."""
    beside = {
        name: None if (given := getattr(raw, name)) is None else given[rows]
        for name in ("target", "group", "time", "weight", "split")
    }
    return replace(raw, columns=_Rows(raw.columns, rows), **beside)
