"""Rows named by their content: what is equal, what is in two splits, and what a split holds.

A digest of a row is SHA-256 of all its values, by the names of their columns. Pure.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

CHUNK = 4096  # rows that are copied at a time
Block = Callable[[slice], np.ndarray]  # the bytes of some rows: uint8, shape (rows, bytes)
MISSING = b"\xff" * 32  # no SHA-256 that anybody will see


def row_digests(columns: Mapping[str, Any]) -> list[bytes]:
    """32 bytes for each row; equal rows have equal ones. -0.0 is 0.0, and every NaN is missing."""
    if len(columns) == 1:
        values: Any = next(iter(columns.values()))
        if isinstance(values, sparse.csr_matrix):
            return list(_of_sparse(values))
        if values.ndim == 2:
            return list(_of_blocks(len(values), [_numbers(values)]))
        if values.dtype.kind in "OUT":
            return [hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).digest()
                    for text in values]  # fmt: skip
    names = sorted(columns)
    rows = len(columns[names[0]])
    return list(_of_blocks(rows, [_block(columns[name]) for name in names]))


def text_digest(text: str, label: float) -> bytes:
    """Of a text with its label, as the first version of capsearch made it."""
    return hashlib.sha256(f"{label:g}\0{text}".encode("utf-8", "surrogatepass")).digest()


def labelled_digest(row: bytes, label: str, header: bytes = b"") -> bytes:
    """Of a row by its digest, with its label as given; a table's header counts, too."""
    return hashlib.sha256(label.encode("utf-8", "surrogatepass") + b"\0" + row + header).digest()


def header_of(columns: Mapping[str, Any]) -> bytes:
    """32 bytes of the names and kinds of a table's columns, by which it is prepared."""
    kinds = [f"{name}\0{columns[name].dtype.kind}" for name in sorted(columns)]
    return hashlib.sha256("\0".join(kinds).encode("utf-8", "surrogatepass")).digest()


def fingerprint(digests: Iterable[bytes]) -> str:
    """SHA-256 over rows, whatever their order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def in_order(digests: Iterable[bytes]) -> str:
    """SHA-256 over rows in their order."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _block(values: np.ndarray) -> Block:
    """A column: of a slice of its rows, their bytes."""
    kind = values.dtype.kind
    if kind in "biuf":
        return _numbers(values[:, None])
    if kind in "mM":
        stamps = values.astype(f"{kind}8[ns]").view("<i8")[:, None].view(np.uint8)
        return lambda rows: stamps[rows]
    unique: dict[Any, int] = {}
    plain = values if set(map(type, values)) == {str} else map(_plain, values)
    codes = np.array([unique.setdefault(v, len(unique)) for v in plain], np.int64)
    table = np.frombuffer(b"".join(map(_value_digest, unique)), np.uint8).reshape(-1, 32)
    return lambda rows: table[codes[rows]]


def _numbers(values: np.ndarray) -> Block:
    """Shape (rows, columns), as float64; large integers as int64, for that loses nothing."""

    def of(rows: slice) -> np.ndarray:
        if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
            return np.ascontiguousarray(values[rows], "<i8").view(np.uint8)
        numbers = np.ascontiguousarray(values[rows], "<f8") + 0.0  # -0.0 becomes 0.0
        numbers[np.isnan(numbers)] = np.nan
        return numbers.view(np.uint8)

    return of


def _plain(value: Any) -> Any:
    """A value that can be a key, and equals others of its type only."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN and NaT
        return None
    return (type(value).__name__, str(value))


def _value_digest(value: Any) -> bytes:
    if not value:
        return MISSING
    if isinstance(value, str):
        value = ("str", value)
    return hashlib.sha256("\0".join(value).encode("utf-8", "surrogatepass")).digest()


def _of_blocks(rows: int, blocks: Sequence[Block]) -> Iterator[bytes]:
    """Digests of rows whose values lie side by side in blocks."""
    for start in range(0, rows, CHUNK):
        parts = [block(slice(start, start + CHUNK)) for block in blocks]
        for row in np.concatenate(parts, axis=1):
            yield hashlib.sha256(row).digest()


def _of_sparse(x: sparse.csr_matrix) -> Iterator[bytes]:
    x = x.copy()
    x.sum_duplicates()
    x.eliminate_zeros()
    indices, data = x.indices.astype("<i8"), x.data.astype("<f8")
    for start, end in zip(x.indptr[:-1], x.indptr[1:], strict=True):
        yield hashlib.sha256(indices[start:end].tobytes() + data[start:end].tobytes()).digest()
