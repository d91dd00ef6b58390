"""How networks begin: Keras' way, and one in which small networks reach what they can.

With Keras' start (Glorot-uniform kernels, zero biases) a network of two units is often one of one
unit or of none: a unit is dead, or both output weights have one sign. Which of 24 seeds does well
is then luck. What the other start is worth on four data sets: `tests/bench/fair.py`.

Numbers come from NumPy's PCG64 streams, keyed by the seed of the job: equal on every machine, and
the same for every engine.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from capsearch.records import Candidate

KERAS = "keras"
SHIFT = np.float32(2.0)
"""Where hidden units begin, in the unit of their inputs: far above what random kernels add to it.

On IMDB 1, 2, 3, 4, 8 and 16 were tried: 1 is worse at most sizes, 8 and 16 from 5 units on.
"""


def initial_weights(
    candidate: Candidate, features: int, seed: int, outputs: int = 1
) -> list[np.ndarray]:
    """Kernel and bias of every layer, in order, float32: as the candidate's `initialization` says.

    A kernel of shape (i, o) is uniform on +-sqrt(6 / (i + o)): Glorot and Bengio (2010), eq. 16.
    Biases are zero, unless the initialization sets them. A linear model begins as Keras begins it.
    """
    rng = np.random.default_rng([seed, 0])
    weights = list[np.ndarray]()
    for inputs, width in pairwise([features, *candidate.units, outputs]):
        limit = np.float32(np.sqrt(6.0 / (inputs + width)))
        kernel = rng.random((inputs, width), dtype=np.float32) * (2 * limit) - limit
        weights += [kernel, np.zeros(width, np.float32)]
    if candidate.units:
        INITIALIZATIONS[candidate.setting("initialization", KERAS)](weights, seed)
    return weights


def for_rows(*, sparse: bool) -> str:
    """The initialization that suits rows of this kind, where a study file names none.

    The labels of counts and multi-hot rows (sparse) are nearly a linear function of them, and such
    rows are far from zero on average. Dense rows are centred and often need units that turn where
    the rows are: there the shift hurts networks of 16 and more units, and as many output weights of
    either sign, which helps where the truth is linear, hurts those of 2 and 3 where it is not.
    """
    return "shifted" if sparse else KERAS


def _shift(weights: list[np.ndarray], seed: int) -> None:
    """Every hidden unit begins near SHIFT and each output near zero, with as many up as down.

    All units are alive on every row and pull in both directions, so the network begins as a linear
    model and bends where that pays. By hand, one hidden unit of output weight 0.5: the output's
    bias is -2 * 0.5 = -1. Of several outputs each has other units that pull it up; a single unit
    pulls every second one up.
    """
    *hidden, last = zip(weights[::2], weights[1::2], strict=True)
    for number, (kernel, bias) in enumerate(hidden):
        bias[:] = SHIFT if number == 0 else SHIFT * (1 - kernel.sum(axis=0))
    kernel, bias = last
    rng = np.random.default_rng([seed, 5])
    first = rng.integers(2)
    up = (np.arange(len(kernel))[:, None] + first + np.arange(kernel.shape[1])) % 2 == 0
    up[:, 1:] = rng.permuted(up[:, 1:], axis=0)
    kernel[:] = np.where(up, np.abs(kernel), -np.abs(kernel))
    bias[:] = -SHIFT * kernel.sum(axis=0)


INITIALIZATIONS: dict[str, Callable[[list[np.ndarray], int], None]] = {
    KERAS: lambda *_: None,
    "shifted": _shift,
}
"""By the names of the study file; each changes Keras' weights in place."""
