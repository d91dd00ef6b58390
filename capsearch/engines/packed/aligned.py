"""Zeros where a vector never straddles two lines of the cache, which would cost two reads."""

import numpy as np

ALIGNMENT = 64  # bytes


def up(size: int, multiple: int) -> int:
    """The next multiple that is no smaller."""
    return -(-size // multiple) * multiple


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Aligned, float32."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + size].view(np.float32).reshape(shape)
