"""What each row counts in every mean loss: in training, stopping, ranking and the test alike."""

import numpy as np

from capsearch.tasks.base import Task


def row_weights(task: Task, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
    """Of a row's own weight and its class's: 1 in the mean of these rows; None where all are alike.

    So a mean over rows of weight times loss is the weighted mean of the losses. Raises ValueError
    for weights that are no weights. Float64, (rows,). By hand, weights 1, 1 and 4: 0.5, 0.5 and 2.
    """
    if weight is None and not task.class_weights:
        return None
    counts = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if task.class_weights:
        counts = counts * np.asarray(task.class_weights, np.float64)[y.astype(np.int64)]
    if counts.shape != (len(y),) or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("row weights are finite numbers, 0 or above, one a row")
    if not counts.any():
        raise ValueError("some row must have a weight above 0")
    found: np.ndarray = counts / counts.mean()
    return found


def balanced_weights(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Class weights with which every class counts the same in all; 1 in the mean of the rows.

    By hand, three quarters and a quarter: 2/3 and 2.
    """
    return tuple(1.0 / (len(shares) * share) if share else 1.0 for share in shares)
