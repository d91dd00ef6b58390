"""Networks of dense rows side by side, as `dense.py` works on them, and back to Keras' weights."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from capsearch.engines.packed.aligned import up, zeros
from capsearch.engines.packed.dense import (
    WHOLE,
    DenseRows,
    Stack,
    Tiles,
    fill_tiles,
    score,
    train_epoch,
)
from capsearch.engines.packed.dense_heads import TILE
from capsearch.engines.packed.kernels import Plan
from capsearch.engines.packed.network import OPTIMIZERS, Figures, Weights, head_of
from capsearch.initialization import initial_weights
from capsearch.records import Job
from capsearch.tasks import Task


def tiles_of(rows: DenseRows) -> Tiles:
    """The rows in their order, as they are scored."""
    count = -(-len(rows.x) // TILE)
    shapes = (up(rows.x.shape[1], WHOLE), TILE), (rows.labels.shape[1], TILE), (2, TILE)
    tiles = Tiles(*(zeros((count, *shape)) for shape in shapes))
    fill_tiles(tiles, rows)
    return tiles


class DenseNetworks:
    """Untrained networks of jobs that share order and size of their batches."""

    def __init__(self, jobs: Sequence[Job], features: int, task: Task) -> None:
        self._features, self._head = features, head_of(task)
        self._candidates = [job.candidate for job in jobs]
        self._seeds = [job.seed for job in jobs]
        parts = []
        for job in jobs:
            vector = _flat(initial_weights(job.candidate, features, job.seed, task.outputs))
            parts.append((vector, np.zeros_like(vector), np.zeros_like(vector)))
        self._stack(parts)

    def __len__(self) -> int:
        return len(self._candidates)

    def train_epoch(self, rows: DenseRows, plan: Plan, size: int, steps: int) -> list[Figures]:
        figures = np.empty((len(self), 2))
        train_epoch(rows, plan.order, self._held, self._head, size, steps, figures)
        return [(float(loss), float(figure)) for loss, figure in figures]

    def score(self, rows: Tiles) -> tuple[list[Figures], list[np.ndarray]]:
        count = int(rows.counts[:, 0].sum(dtype=np.float64))
        losses = np.empty((len(self), len(rows.x) * TILE), np.float32)
        figures = np.empty((len(self), 2))
        score(rows, count, self._held, self._head, losses, figures)
        means = [(float(loss), float(figure)) for loss, figure in figures]
        return means, [own[:count].copy() for own in losses]

    def snapshot(self, number: int) -> Callable[[], Weights]:
        vector, units = self._of(self._held.values, number), self._widths(number)
        return partial(_weights, vector, self._features, units)

    def keep(self, numbers: Sequence[int]) -> None:
        if len(numbers) == len(self):
            return
        held = self._held.values, self._held.slot_1, self._held.slot_2
        parts = [tuple(self._of(flat, net) for flat in held) for net in numbers]
        self._candidates = [self._candidates[net] for net in numbers]
        self._seeds = [self._seeds[net] for net in numbers]
        self._stack(parts)

    def _widths(self, net: int) -> list[int]:
        return [*self._candidates[net].units, self._head.outputs]

    def _of(self, flat: np.ndarray, net: int) -> np.ndarray:
        """What one network has in a flat vector of the stack, its first kernel before the rest."""
        wide, stack = up(self._features, WHOLE), self._held
        kernel = flat[stack.firsts[net] * wide : stack.firsts[net + 1] * wide]
        return np.concatenate([kernel, flat[stack.begins[net] : stack.begins[net + 1]]])

    def _stack(self, parts: Sequence[tuple[np.ndarray, ...]]) -> None:
        candidates, wide = self._candidates, up(self._features, WHOLE)
        depths = [len(c.units) + 1 for c in candidates]
        widths = np.zeros((len(candidates), max(depths)), np.int64)
        for net, depth in enumerate(depths):
            widths[net, :depth] = self._widths(net)
        firsts = np.cumsum([0, *widths[:, 0]])
        kernels = [int(units) * wide for units in widths[:, 0]]
        sizes = [len(own[0]) - kernel for own, kernel in zip(parts, kernels, strict=True)]
        begins = firsts[-1] * wide + np.cumsum([0, *sizes])
        flats = []
        for slot in zip(*parts, strict=True):
            flat = zeros((int(begins[-1]),))
            cut = [np.split(own, [kernel]) for own, kernel in zip(slot, kernels, strict=True)]
            np.concatenate([kernel for kernel, _ in cut] + [rest for _, rest in cut], out=flat)
            flats.append(flat)
        values, slot_1, slot_2 = flats
        self._held = Stack(
            values,
            slot_1,
            slot_2,
            zeros((int(begins[-1]),)),
            self._features,
            firsts,
            begins,
            widths,
            int(widths.max()),
            np.array(depths),
            np.array([OPTIMIZERS[c.optimizer] for c in candidates]),
            np.array([c.learning_rate for c in candidates]),
            np.array([(c.l1, c.l2) for c in candidates], np.float32),
            np.array([c.dropout for c in candidates], np.float64),
            np.array(self._seeds),
        )


def _weights(vector: np.ndarray, features: int, widths: Sequence[int]) -> Weights:
    """What `_flat` made a vector of, as Keras shapes it."""
    weights, inputs = [], features
    for units in widths:
        wide = up(inputs, WHOLE)
        kernel, vector = vector[: units * wide], vector[units * wide :]
        weights += [
            np.ascontiguousarray(kernel.reshape(units, wide)[:, :inputs].T),
            vector[:units].copy(),
        ]
        vector, inputs = vector[up(units, WHOLE) :], units
    return tuple(weights)


def _flat(weights: Sequence[np.ndarray]) -> np.ndarray:
    """Kernels (inputs, units) as (units, inputs) and biases, each padded to whole vectors."""
    parts = []
    for values in weights:
        rows = values.T if values.ndim == 2 else values[None]
        part = np.zeros((len(rows), up(rows.shape[1], WHOLE)), np.float32)
        part[:, : rows.shape[1]] = rows
        parts.append(part.ravel())
    return np.concatenate(parts)
