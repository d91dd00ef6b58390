"""What a dense network gives, and how well that fits its targets, with intervals. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.tasks import BINARY, HALF, Task
from capsearch.tasks.intervals import mean_of
from capsearch.tasks.weights import row_weights

SHARE = "accuracy"  # the one metric that has names of its own in a stored score


def summary(
    predictions: np.ndarray,
    y: np.ndarray,
    task: Task = BINARY,
    weight: np.ndarray | None = None,
    threshold: float = HALF,
) -> dict[str, Any]:
    """Loss, accuracy (None where a task has none) and all metrics, with 95% intervals: JSON values.

    Rows count in the loss as they and their classes are weighted, and alike in all metrics.
    """
    losses, weights = task.losses(predictions, y), row_weights(task, y, weight)
    loss = mean_of(losses if weights is None else losses * weights)
    metrics = task.metrics(predictions, y, threshold)
    accuracy = metrics.get(SHARE)
    return {
        "loss": loss.value,
        "loss_low": loss.low,
        "loss_high": loss.high,
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_low": accuracy.low if accuracy else None,
        "accuracy_high": accuracy.high if accuracy else None,
        "rows": len(y),
        "metrics": {name: asdict(figure) for name, figure in metrics.items()},
    }


def predictions(
    weights: Sequence[np.ndarray], x: np.ndarray | sparse.csr_matrix, task: Task = BINARY
) -> np.ndarray:
    """What a dense network gives for rows, dropout off: float32, as `Task.predictions`.

    `weights`: kernel, bias, kernel, bias ...; rectified linear units, the task's head at the end.
    """
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    values: Any = x
    for number, (kernel, bias) in enumerate(layers, 1):
        values = np.asarray(values @ kernel + bias)
        if number < len(layers):
            values = np.maximum(values, 0.0)
    return task.predictions(np.asarray(values))
