# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Dropout's masks: hashes of (seed, layer, step, place in the batch).

So there is nothing to keep, and a mask is the same whatever was drawn elsewhere. A place is row *
width + unit.
"""

import numpy as np

from capsearch.engines.packed.compiling import compiled, inlined


@compiled
def _mix(value):
    """SplitMix64's finalizer (Steele, Lea and Flood, 2014): 64 bits in, 64 unrelated bits out."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def mask_key(seed, layer, step):
    """The two words that go into every hash of this layer at this step."""
    key = _mix(_mix(np.uint64(seed)) + np.uint64(layer) * np.uint64(1 << 32) + np.uint64(step))
    return np.uint32(key & np.uint64(0xFFFFFFFF)), np.uint32(key >> np.uint64(32))


@inlined
def hashed(place, low, high):
    """32-bit arithmetic only, so that LLVM makes vectors of a loop over places."""
    h = np.uint32(np.uint32(place) * np.uint32(0x9E3779B9) + low)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x21F0AAAD)) ^ high
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0xD35A2D97))
    return np.uint32(h ^ (h >> np.uint32(15)))
