"""Labels as given into the numbers that engines train on: checked against the task. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
        mistakes.append(
            f"data: the {name} is missing in {len(missing):,} of {len(target):,} rows: "
            f'{_rows(target, missing)}. To leave these out, write in [data]: unlabelled = "drop"'
        )
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


def labelled(target: np.ndarray) -> np.ndarray:
    """Numbers of the rows that have a label."""
    return np.flatnonzero([_kind(value) != "missing" for value in _values(target)])


def binary(
    target: np.ndarray, named: Sequence[Any] | None, name: str = "target"
) -> tuple[np.ndarray, tuple[str, str]]:
    """0 and 1 for two classes, and what these are called.

    Labels 0 and 1, False and True, and any two words (in the order of the alphabet) need nothing
    said. Other numbers do, for they may be meant as a quantity: `named` are the labels, that of the
    negative class first.

    Returns:
        float32, shape (rows,); both labels.

    Raises:
        BadRequest: the labels are not of two classes.
    """
    texts = texts_of(target, name)
    found = np.unique(texts.astype(str)).tolist()
    if named is not None:
        pair = [_text(label) for label in named]
        if others := [label for label in found if label not in pair]:
            rows = [int(np.flatnonzero(texts == label)[0]) for label in others]
            raise BadRequest(
                f"data.labels: names {quoted(pair[0])} and {quoted(pair[1])}, but the {name} has "
                f"other labels: {_rows(target, rows)}"
            )
    elif len(found) == 2:
        pair = found
        if all(map(_is_number, found)) and set(found) != {"0", "1"}:
            raise BadRequest(
                f"data: the {name} of a binary task must be 0 and 1, two words, or false and true, "
                f"not {quoted(found[0])} and {quoted(found[1])}. If these are two classes, write "
                f"in [data]: labels = [{found[0]}, {found[1]}]  # the negative class first"
            )
    else:
        listed = some([quoted(label) for label in found])
        raise BadRequest(
            f"data: the {name} of a binary task must have two classes, not {len(found):,}: {listed}"
        )
    return (texts == pair[1]).astype(np.float32), (pair[0], pair[1])


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


def _rows(target: np.ndarray, rows: Sequence[int]) -> str:
    return some([f"row {row + 1:,} has {quoted(target[row])}" for row in rows])
