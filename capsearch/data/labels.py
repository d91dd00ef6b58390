"""Labels as given: what they are called, and whether they fit the task. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from capsearch.data.columns.target import CLASSES, labels_line
from capsearch.data.preparation.transform import LARGEST, parse_number
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest

KINDS = {"b": "booleans", "i": "numbers", "f": "numbers", "s": "texts"}


def texts_of(target: np.ndarray, name: str = "target") -> np.ndarray:
    """Each label as text, shape (rows,): '1' for 1, 1.0 and '1'. An array of `str` objects.

    Raises BadRequest for labels that are missing, infinite, or of several kinds.
    """
    values = _values(target)
    kinds = list(map(_kind, values))
    found = sorted(set(kinds) - {"missing"})
    mistakes = []
    if not target.size or not found:
        raise BadRequest(f"data: the {name} has no label at all in {len(target):,} rows")
    if missing := [row for row, kind in enumerate(kinds) if kind == "missing"]:
        mistakes.append(_missing(target, missing, name))
    if other := [row for row, kind in enumerate(kinds) if kind == "?"]:
        mistakes.append(
            f"data: the {name} must be texts, booleans or finite numbers: {_rows(target, other)}"
        )
    elif len({KINDS[kind] for kind in found}) > 1:
        first = [kinds.index(kind) for kind in found]
        mistakes.append(
            f"data: the {name} has labels of several kinds, and one is legal: "
            f"{_rows(target, first)}"
        )
    if mistakes:
        raise BadRequest(*mistakes)
    return np.array(list(map(_text, values)), object)


def relabelled(texts: np.ndarray, read_as: Mapping[str, str]) -> np.ndarray:
    """Labels as texts, some of them read as others."""
    if not read_as:
        return texts
    return np.array([read_as.get(text, text) for text in texts.tolist()], object)


def labelled(target: np.ndarray) -> np.ndarray:
    """Numbers of the rows that have a label; of several, all of them."""
    known = np.array([_kind(value) != "missing" for value in _values(target.ravel())], bool)
    return np.flatnonzero(known.reshape(len(target), -1).all(axis=1))


def binary(
    target: np.ndarray, named: Sequence[Any] | None, name: str = "target"
) -> tuple[str, ...]:
    """What the two classes are called, the negative one first.

    Labels 0 and 1, False and True, and any two words (in the order of the alphabet) need nothing
    said. Other numbers do, for they may be meant as a quantity: `named` are the labels then.

    Raises BadRequest when the labels are not of two classes.
    """
    texts = texts_of(target, name)
    found = np.unique(texts.astype(str)).tolist()
    if named is not None:
        pair = tuple(_text(label) for label in named)
        if len(pair) != 2:
            raise BadRequest(f"data.labels: a binary task has two labels, not {len(pair)}")
        return pair
    if len(found) != 2:
        listed = some([quoted(label) for label in found])
        raise BadRequest(
            f"data: the {name} of a binary task must have two classes, not {len(found):,}: {listed}"
        )
    if all(map(_is_number, found)) and set(found) != {"0", "1"}:
        raise BadRequest(
            f"data: the {name} of a binary task must be 0 and 1, two words, or false and true, "
            f"not {quoted(found[0])} and {quoted(found[1])}. If these are two classes, write "
            f"in [data]: {labels_line(sorted(found, key=float))}  # the negative class first"
        )
    return tuple(found)


def classes(
    target: np.ndarray, named: Sequence[Any] | None, name: str = "target"
) -> tuple[str, ...]:
    """What the classes are called: as `named`, or numbers by size and words by the alphabet.

    Raises BadRequest when there is one class only, or more than can be meant.
    """
    texts = texts_of(target, name)
    if named is not None:
        return tuple(_text(label) for label in named)
    found = sorted(set(texts.tolist()), key=_place)
    if not 2 <= len(found) <= CLASSES:
        raise BadRequest(
            f"data: the {name} of a multiclass task must have 2 to {CLASSES:,} classes, not "
            f"{len(found):,}: {some([quoted(label) for label in found])}"
        )
    return tuple(found)


def numbers_of(target: np.ndarray, name: str = "target") -> np.ndarray:
    """Amounts: float64, shape (rows,). Raises BadRequest for what is no finite number."""
    found, missing, other = np.empty(len(target)), list[int](), list[int]()
    for row, value in enumerate(_values(target)):
        kind = _kind(value)
        number = parse_number(value.strip(), {}) if kind == "s" else value
        if kind == "missing":
            missing.append(row)
        elif kind in "?b" or number is None or not abs(float(number)) <= LARGEST:
            other.append(row)
        else:
            found[row] = float(number)
    mistakes = [_missing(target, missing, name)] if missing else []
    if other:
        mistakes.append(
            f"data: the {name} of a regression must be finite numbers: {_rows(target, other)}"
        )
    if mistakes:
        raise BadRequest(*mistakes)
    return found


def _missing(target: np.ndarray, rows: Sequence[int], name: str) -> str:
    return (
        f"data: the {name} is missing in {len(rows):,} of {len(target):,} rows: "
        f'{_rows(target, rows)}. To leave these out, write in [data]: unlabelled = "drop"'
    )


def _values(target: np.ndarray) -> list[Any]:
    """As Python's own values, NumPy scalars in an array of objects, too."""
    return [v.item() if isinstance(v, np.generic) else v for v in target.tolist()]


def _kind(value: Any) -> str:
    match value:
        case None | "":
            return "missing"
        case bool():
            return "b"
        case int():
            return "i"
        case float():
            return "missing" if value != value else "f" if abs(value) != np.inf else "?"  # noqa: PLR0124
        case str():
            return "s" if value.strip() else "missing"
    return "?"


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _place(label: str) -> tuple[int, float, str]:
    """Numbers by their size, then words by the alphabet."""
    return (0, float(label), label) if _is_number(label) else (1, 0.0, label)


def _rows(target: np.ndarray, rows: Sequence[int]) -> str:
    return some([f"row {row + 1:,} has {quoted(target[row])}" for row in rows])
