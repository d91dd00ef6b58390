"""Records as JSON text and arrays as bytes, and back equal. No pickle."""

import io
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter
from pydantic_core import to_json

from capsearch.records import Outcome

Record = TypeVar("Record")


_adapters: dict[Any, TypeAdapter[Any]] = {}  # they take a moment to make


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(record: object) -> str:
    """A record as JSON text; NaN and infinities are strings, arrays are left out."""
    left_out = {"val_losses"} if isinstance(record, Outcome) else None
    return to_json(record, exclude=left_out, inf_nan_mode="strings").decode()


def decode(kind: type[Record], text: str) -> Record:
    """The record that `encode` wrote."""
    record: Record = _adapter(kind).validate_json(text)
    return record


def decode_optional(kind: type[Record], text: str | None) -> Record | None:
    return None if text is None else decode(kind, text)


def floats(array: np.ndarray | None) -> bytes | None:
    """Float32 values as bytes."""
    return None if array is None else np.ascontiguousarray(array, np.float32).tobytes()


def array_of(data: bytes | None) -> np.ndarray | None:
    """The float32 values behind `floats`, shape (values,)."""
    return None if data is None else np.frombuffer(data, np.float32)


def pack_arrays(arrays: Sequence[np.ndarray], header: object = None) -> bytes:
    """Arrays in their order, behind a JSON value, as one npz file."""
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)
    with io.BytesIO() as held:
        np.savez(held, text, *arrays, allow_pickle=False)
        return held.getvalue()


def unpack_arrays(data: bytes) -> tuple[Any, tuple[np.ndarray, ...]]:
    """The JSON value and the arrays behind `pack_arrays`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        text, *arrays = (found[f"arr_{number}"] for number in range(len(found.files)))
    return json.loads(text.tobytes()), tuple(arrays)
