"""The randomness that every engine shares: given one job, all start alike and see the same batches.

Numbers come from NumPy's PCG64 streams, keyed by the seeds of the job: equal on every machine.
"""

from itertools import pairwise

import numpy as np

from capsearch.records import Candidate


def initial_weights(candidate: Candidate, features: int, seed: int) -> list[np.ndarray]:
    """Kernel and bias of every layer, in order: Glorot-uniform kernels, zero biases, float32.

    A kernel of shape (i, o) is uniform on +-sqrt(6 / (i + o)): Glorot and Bengio (2010), eq. 16.
    """
    rng = np.random.default_rng([seed, 0])
    weights = []
    for inputs, outputs in pairwise([features, *candidate.units, 1]):
        limit = np.float32(np.sqrt(6.0 / (inputs + outputs)))
        kernel = rng.random((inputs, outputs), dtype=np.float32) * (2 * limit) - limit
        weights += [kernel, np.zeros(outputs, np.float32)]
    return weights


def row_order(order: int, epoch: int, rows: int) -> np.ndarray:
    """The order of the training rows in an epoch (0-based), an int64 permutation of `rows`."""
    return np.random.default_rng([order, 1, epoch]).permutation(rows)


def halves(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of two random halves, sorted: the same for all jobs, so that rows can be paired.

    Of an odd number the second half has one more.
    """
    order = np.random.default_rng([rows, 3]).permutation(rows)
    return np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])


def some_rows(rows: int, most: int) -> np.ndarray:
    """Row numbers, sorted: all of them, or `most` at random, the same for all jobs."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng([rows, 4]).permutation(rows)[:most])
