"""Packs and results as bytes, for machines that only believe what they can read: no pickle."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from capsearch.codec import decode, encode, pack_arrays, unpack_arrays
from capsearch.engines.base import Trained
from capsearch.records import Outcome


def trained_to_bytes(trained: Sequence[Trained]) -> bytes:
    """Results with all of their arrays."""
    arrays, header = list[np.ndarray](), list[dict[str, object]]()
    for each in trained:
        given = {"losses": each.outcome.val_losses, "outputs": each.outputs}
        present = {name: array for name, array in given.items() if array is not None}
        header.append(
            {
                "outcome": encode(each.outcome),
                "arrays": list(present),
                "weights": len(each.weights),
            }
        )
        arrays += [*present.values(), *each.weights]
    return pack_arrays(arrays, header)


def trained_from_bytes(data: bytes) -> list[Trained]:
    """The results behind `trained_to_bytes`."""
    header, arrays = unpack_arrays(data)
    left, found = iter(arrays), list[Trained]()
    for each in header:
        given = {name: next(left) for name in each["arrays"]}
        outcome = replace(decode(Outcome, each["outcome"]), val_losses=given.get("losses"))
        weights = tuple(next(left) for _ in range(each["weights"]))
        found.append(Trained(outcome, weights, given.get("outputs")))
    return found
