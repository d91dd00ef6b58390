"""A table in files: which column is what, and which file holds which rows.

Rows of `path` are split by the house; those of `validation_path` are validation rows, and those of
`test_path` test rows, which are not read before the opening.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from capsearch.data.columns import Declared, columns_of
from capsearch.data.columns.declared import EVERY
from capsearch.data.options import check, question_of
from capsearch.data.preparation import transform
from capsearch.data.source import RawData
from capsearch.data.sources.files import checked, sha256_of
from capsearch.data.table_options import TableOptions
from capsearch.data.tables import names_in, read_table
from capsearch.data.tables.read import Form
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest
from capsearch.records import digest_of

Table = dict[str, np.ndarray]
BESIDE = ("group", "time", "weight", "split")  # columns that no network sees


class TableFile:
    """The rows of one file, or of several with the same columns."""

    Options = TableOptions
    form: ClassVar[Form]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = check(TableOptions, options)

    def identity(self) -> str:
        options = self._options
        files = [sha256_of(checked(p)) for p in (options.path, options.validation_path)]
        return digest_of([self.form, question_of(options), *files, self.sealed()])

    def read(self) -> RawData:
        options = self._options
        table, split = self._table(checked(options.path)), None
        if options.validation_path:
            more = self._table(checked(options.validation_path))
            rows = [len(next(iter(each.values()))) for each in (table, more)]
            split = np.repeat(np.array(["train", "validation"], object), rows)
            table = _joined(table, more, str(options.validation_path[0]))
        self._check_names_of_test_rows(list(table))
        return self._parts(table, split)

    def sealed(self) -> str | None:
        if not self._options.test_path:
            return None
        return digest_of(sha256_of(checked(self._options.test_path)))

    def read_sealed(self) -> RawData:
        return self._parts(self._table(checked(self._options.test_path)), None, whole=False)

    def _table(self, paths: Sequence[Path]) -> Table:
        return read_table(paths, self.form, self._options.reading(), self._options.drop)

    def _check_names_of_test_rows(self, known: Sequence[str]) -> None:
        """A file that lacks a column is found now, and not when its one opening is spent.

        Line 1 of a CSV file is read, and of a Parquet file the names. Raises BadRequest.
        """
        options = self._options
        beside = [getattr(options, name) for name in BESIDE]
        needed = [*(name for name in known if name not in beside), *options.drop]
        mistakes = list[str]()
        for path in checked(options.test_path):
            names = names_in(path, self.form, options.reading(), needed)
            absent = [name for name in needed if name not in names]
            if absent and options.header is False:
                mistakes.append(
                    f"{path}: must have {len(needed)} values in a row, as the other rows have, but "
                    f"line 1 has {len(names)}"
                )
            elif absent:
                mistakes.append(f"{path}: has no column {some(list(map(quoted, absent)))}")
        if mistakes:
            raise BadRequest(*mistakes)

    def _parts(self, table: Table, split: np.ndarray | None, *, whole: bool = True) -> RawData:
        """Target, group, time and weight apart from the columns that a network sees."""
        options = self._options
        beside = {n: c for n in BESIDE if whole and (c := getattr(options, n))}
        mistakes = [
            _missing(key, name, table)
            for key, names in (*((n, (c,)) for n, c in beside.items()), ("target", options.target))
            for name in names
            if name not in table
        ]
        if mistakes:
            raise BadRequest(*mistakes)
        apart: dict[str, Any] = {name: table.pop(column) for name, column in beside.items()}
        for name in ("time", "weight"):
            if name in apart:
                apart[name] = _in_order(name, beside[name], apart[name], options.declared())
        targets = [table.pop(name) for name in options.target]
        if options.task == "regression":
            declared = options.declared()
            targets = [
                _in_order("target", n, v, declared)
                for n, v in zip(options.target, targets, strict=True)
            ]
        target = targets[0] if len(targets) == 1 else np.stack(targets, axis=1)
        null = {text for name in options.target for text in options.declared().null_of(name)}
        if null:
            target = _unlabelled(target, null)
        _endless_are_missing(table, options.declared())
        if not whole:
            known = {name: getattr(options, name) for name in BESIDE}
            left = {name: table.pop(column, None) for name, column in known.items() if column}
            apart["group"] = left.get("group")  # to count those that are searched, too
        return RawData(table, target, **({"split": split} | apart))


def _endless_are_missing(table: Table, declared: Declared) -> None:
    """Infinite and far numbers that were named as missing are so from the start."""
    for name, values in table.items():
        null = declared.null_of(name)
        if null and values.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                far = np.flatnonzero(np.abs(values) > transform.LARGEST)
            named = [row for row in far if transform.as_text(values[row]) in null]
            if named:
                table[name] = values.copy()
                table[name][named] = np.nan


def _unlabelled(target: np.ndarray, null: Collection[str]) -> np.ndarray:
    """Words that stand for a missing label are none."""
    texts = [transform.as_text(value) for value in target.ravel()]
    found = np.array(["" if text in null else text for text in texts], object)
    return found.reshape(target.shape)


def _missing(key: str, name: str, table: Table) -> str:
    near = get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    known = ", ".join(map(repr, list(table)[:20]))
    return f"data.{key}: no column {name!r}.{hint} Columns: {known}"


def _in_order(key: str, name: str, values: np.ndarray, declared: Declared) -> np.ndarray:
    """Moments or amounts as numbers, whatever text the file has. Raises BadRequest for words."""
    if values.dtype.kind in "biufM":
        return values
    ours: dict[str, Any] = {
        part.name: {n: v for n, v in getattr(declared, part.name).items() if n in (name, EVERY)}
        for part in fields(Declared)
        if part.name not in ("keep", "drop", "beside")
    }
    (column,) = columns_of({name: values}, replace(declared, keep=frozenset({name}), **ours))
    spec = {**column.as_dict(), "words": False}
    if column.kind == "date":
        return transform.dates(spec, values)
    if column.kind == "number":
        return transform.numbers(spec, values)
    legal = "dates or numbers" if key == "time" else "numbers"
    raise BadRequest(f"data.{key}: column {name!r} must hold {legal}: it is a {column.kind}")


def _joined(table: Table, more: Table, path: str) -> Table:
    """Rows of both, by the columns of the first. Raises BadRequest when they differ."""
    mistakes = [f"{path}: has no column {name!r}" for name in table if name not in more]
    mistakes += [
        f"{path}: column {name!r} holds other values ({more[name].dtype}) than in the first file "
        f"({table[name].dtype})"
        for name in table
        if name in more and (table[name].dtype.kind == "O") != (more[name].dtype.kind == "O")
    ]
    if mistakes:
        raise BadRequest(*mistakes)
    return {name: np.concatenate([values, more[name]]) for name, values in table.items()}
