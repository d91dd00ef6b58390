"""The compiled engine: many small dense networks side by side, without TensorFlow."""

from capsearch.engines.packed.engine import PackedEngine

__all__ = ["PackedEngine"]
