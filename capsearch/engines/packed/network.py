"""What the engine trains, and a candidate as the kernels for sparse rows have it."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from capsearch.engines.packed.aligned import up, zeros
from capsearch.engines.packed.kernels import (
    HEADS,
    WHOLE,
    Head,
    Inputs,
    Net,
    Plan,
    Rule,
    score,
    train_epoch,
)
from capsearch.engines.packed.steps import ADAM, RMSPROP, SGD
from capsearch.initialization import initial_weights
from capsearch.records import Candidate, Job
from capsearch.tasks import Regression, Task

Figures = tuple[float, float]  # the means of loss and figure over rows
Weights = tuple[np.ndarray, ...]  # kernel, bias, kernel, bias ... as Keras shapes them

SCORING_ROWS = 512  # a chunk whose first-layer outputs stay in the cache
OPTIMIZERS = {"adam": ADAM, "rmsprop": RMSPROP, "sgd": SGD}


class Networks(Protocol):
    """Networks that are trained together, each with a number from 0 on; of sparse rows just one.

    Rows are in the form that `Batches` holds.
    """

    def train_epoch(self, rows: Any, plan: Plan, size: int, steps: int) -> list[Figures]:
        """One epoch in batches of `size` rows, after `steps` earlier ones."""
        ...

    def score(self, rows: Any) -> tuple[list[Figures], list[np.ndarray]]:
        """With dropout off; and the losses of the rows."""
        ...

    def snapshot(self, number: int) -> Callable[[], Weights]:
        """One network's weights as they are now, to be had in Keras' form later."""
        ...

    def keep(self, numbers: Sequence[int]) -> None:
        """Go on with these alone, numbered anew."""
        ...


def rule_of(job: Job) -> Rule:
    c = job.candidate
    return Rule(OPTIMIZERS[c.optimizer], c.learning_rate, c.l1, c.l2, c.dropout, job.seed)


def head_of(task: Task) -> Head:
    delta = task.delta if isinstance(task, Regression) else 0.0
    return Head(HEADS.index(task.head), task.outputs, delta)


def lanes_for(width: int) -> int:
    """The vector for a first layer: no wider than it must be, so that 4 units cost as 4."""
    return 4 if width <= 4 else 8 if width <= 8 else WHOLE


def network(job: Job, features: int, outputs: int = 1) -> Net:
    """The untrained network of a job, its optimizer's memory empty."""
    candidate = job.candidate
    weights = initial_weights(candidate, features, job.seed, outputs)
    first = weights[0]
    lanes = lanes_for(first.shape[1])
    padded = up(first.shape[1], lanes)
    behind = [*candidate.units[1:], outputs][: len(candidate.units)]
    widths = np.array([padded, *behind], np.int64)
    kernel = _first_kernel(first, padded, lanes)
    rest, places = _flat(weights[1:], widths)
    slots = 2 if candidate.optimizer == "adam" else 1
    kernel_1, rest_1 = zeros(kernel.shape), zeros(rest.shape)
    kernel_2 = zeros(kernel.shape) if slots == 2 else zeros((0, 0, 0))
    rest_2 = zeros(rest.shape) if slots == 2 else zeros((0,))
    return Net(kernel, kernel_1, kernel_2, rest, rest_1, rest_2, widths, places)


class SparseNetworks:
    """The untrained network of one job; several at a time gain nothing."""

    def __init__(self, jobs: Sequence[Job], features: int, task: Task) -> None:
        (job,) = jobs
        self._candidate, self._outputs = job.candidate, task.outputs
        self._net, self._rule = network(job, features, task.outputs), rule_of(job)
        self._head = head_of(task)

    def __len__(self) -> int:
        return 1

    def train_epoch(self, rows: Inputs, plan: Plan, size: int, steps: int) -> list[Figures]:
        return [train_epoch(rows, plan, self._net, self._rule, self._head, size, steps)]

    def score(self, rows: Inputs) -> tuple[list[Figures], list[np.ndarray]]:
        losses = np.empty(len(rows.labels), np.float32)
        return [score(rows, self._net, self._head, SCORING_ROWS, losses)], [losses]

    def snapshot(self, number: int) -> Callable[[], Weights]:
        kernel, rest = self._net.kernel.copy(), self._net.rest.copy()
        return partial(weights_of, self._candidate, self._net, kernel, rest, self._outputs)

    def keep(self, numbers: Sequence[int]) -> None:
        """There is no other to go on with."""


def weights_of(
    candidate: Candidate, net: Net, kernel: np.ndarray, rest: np.ndarray, outputs: int = 1
) -> Weights:
    """Kernel, bias, kernel, bias ... as Keras shapes them, from a kernel and `rest` of `net`."""
    widths = [*candidate.units, outputs]
    blocks, features, lanes = kernel.shape
    first = kernel.transpose(1, 0, 2).reshape(features, blocks * lanes)[:, : widths[0]]
    weights = [np.ascontiguousarray(first), rest[: widths[0]].copy()]
    for layer, (inputs, width) in enumerate(zip(net.widths, widths[1:], strict=False), start=1):
        at, bias = net.places[2 * layer - 1], net.places[2 * layer]
        full = rest[at : at + inputs * width].reshape(inputs, width)
        weights += [full[: widths[layer - 1]].copy(), rest[bias : bias + width].copy()]
    return tuple(weights)


def _first_kernel(first: np.ndarray, padded: int, lanes: int) -> np.ndarray:
    """(features, units) as (blocks, features, lanes), the missing units zero."""
    features, units = first.shape
    kernel = zeros((padded // lanes, features, lanes))
    for unit in range(units):
        kernel[unit // lanes, :, unit % lanes] = first[:, unit]
    return kernel


def _flat(weights: Sequence[np.ndarray], widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias, kernel, bias ... in one vector, and where each begins and the last ends."""
    shapes: list[tuple[int, ...]] = [(int(widths[0]),)]
    for inputs, outputs in pairwise(widths):
        shapes += [(int(inputs), int(outputs)), (int(outputs),)]
    ends = np.cumsum([0] + [up(int(np.prod(shape)), WHOLE) for shape in shapes])
    rest = zeros((int(ends[-1]),))
    for values, shape, begin in zip(weights, shapes, ends, strict=False):
        into = rest[begin : begin + int(np.prod(shape))].reshape(shape)
        into[tuple(slice(size) for size in values.shape)] = values
    return rest, ends.astype(np.int64)
