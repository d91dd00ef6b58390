"""What a dense network gives, and how well that fits labels, with intervals. Pure."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from scipy import sparse

Z95 = 1.959964  # the 97.5% point of the standard normal distribution
CLIP = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras' own cross-entropy


def summary(probabilities: np.ndarray, y: np.ndarray) -> dict[str, float | int]:
    """Loss and accuracy with 95% intervals: normal for a mean loss, Wilson (1927) for accuracy."""
    from scipy.stats import binomtest  # half a second, and only a score needs it

    p = np.clip(probabilities.astype(np.float64), CLIP, 1.0 - CLIP)
    losses = -(y * np.log(p) + (1.0 - y) * np.log1p(-p))
    rows, loss = len(y), float(losses.mean())
    reach = Z95 * float(losses.std(ddof=1)) / sqrt(rows)
    hits = int(((p > 0.5) == (y > 0.5)).sum())
    share = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    return {
        "loss": loss,
        "loss_low": loss - reach,
        "loss_high": loss + reach,
        "accuracy": hits / rows,
        "accuracy_low": float(share.low),
        "accuracy_high": float(share.high),
        "rows": rows,
    }


def probabilities(weights: Sequence[np.ndarray], x: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """What a dense network gives for rows, dropout off: float32, shape (rows,).

    `weights`: kernel, bias, kernel, bias ...; rectified linear units, a sigmoid at the end.
    """
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    values: Any = x
    for number, (kernel, bias) in enumerate(layers, 1):
        values = np.asarray(values @ kernel + bias)
        if number < len(layers):
            values = np.maximum(values, 0.0)
    logits = np.asarray(values).ravel().astype(np.float64)
    found: np.ndarray = np.exp(-np.logaddexp(0.0, -logits)).astype(np.float32)
    return found
