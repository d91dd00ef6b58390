"""The randomness that every engine shares: given one job, all see the same batches.

Numbers come from NumPy's PCG64 streams, keyed by the seeds of the job: equal on every machine.
"""

import numpy as np


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
