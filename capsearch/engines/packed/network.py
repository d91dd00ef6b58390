"""A candidate as the arrays the kernels work on, and back to Keras' weights."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from capsearch.engines.packed.kernels import ADAM, HEADS, RMSPROP, SGD, WHOLE, Head, Net, Rule
from capsearch.initialization import initial_weights
from capsearch.records import Candidate, Job
from capsearch.tasks import Regression, Task

OPTIMIZERS = {"adam": ADAM, "rmsprop": RMSPROP, "sgd": SGD}
ALIGNMENT = 64  # bytes: a vector of 16 that straddles two cache lines costs two reads


def rule_of(job: Job) -> Rule:
    c = job.candidate
    return Rule(OPTIMIZERS[c.optimizer], c.learning_rate, c.l1, c.l2, c.dropout, job.seed)


def head_of(task: Task) -> Head:
    delta = task.delta if isinstance(task, Regression) else 0.0
    return Head(HEADS.index(task.head), task.outputs, delta)


def lanes_for(width: int) -> int:
    """The vector for a first layer: no wider than it must be, so that 4 units cost as 4."""
    return 4 if width <= 4 else 8 if width <= 8 else WHOLE


def network(job: Job, features: int, *, sparse: bool, outputs: int = 1) -> Net:
    """The untrained network of a job, its optimizer's memory empty."""
    candidate = job.candidate
    weights = initial_weights(candidate, features, job.seed, outputs)
    first = weights[0]
    lanes = lanes_for(first.shape[1])
    padded = _up(first.shape[1], lanes if sparse else WHOLE)
    behind = [*candidate.units[1:], outputs][: len(candidate.units)]
    widths = np.array([padded, *behind], np.int64)
    kernel = _first_kernel(first, padded, lanes if sparse else padded)
    rest, places = _flat(weights[1:], widths)
    slots = 2 if candidate.optimizer == "adam" else 1
    kernel_1, rest_1 = _zeros(kernel.shape), _zeros(rest.shape)
    kernel_2 = _zeros(kernel.shape) if slots == 2 else _zeros((0, 0, 0))
    rest_2 = _zeros(rest.shape) if slots == 2 else _zeros((0,))
    return Net(kernel, kernel_1, kernel_2, rest, rest_1, rest_2, widths, places)


def weights_of(
    candidate: Candidate, net: Net, kernel: np.ndarray, rest: np.ndarray, outputs: int = 1
) -> tuple[np.ndarray, ...]:
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
    kernel = _zeros((padded // lanes, features, lanes))
    for unit in range(units):
        kernel[unit // lanes, :, unit % lanes] = first[:, unit]
    return kernel


def _flat(weights: Sequence[np.ndarray], widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias, kernel, bias ... in one vector, and where each begins and the last ends."""
    shapes: list[tuple[int, ...]] = [(int(widths[0]),)]
    for inputs, outputs in pairwise(widths):
        shapes += [(int(inputs), int(outputs)), (int(outputs),)]
    ends = np.cumsum([0] + [_up(int(np.prod(shape)), WHOLE) for shape in shapes])
    rest = _zeros((int(ends[-1]),))
    for values, shape, begin in zip(weights, shapes, ends, strict=False):
        into = rest[begin : begin + int(np.prod(shape))].reshape(shape)
        into[tuple(slice(size) for size in values.shape)] = values
    return rest, ends.astype(np.int64)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Aligned zeros, float32."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + size].view(np.float32).reshape(shape)
