"""Rows in the form the kernels read, and the plan of every epoch's batches.

The one place that chooses between the kernels for sparse and for dense rows.
"""

from collections.abc import Collection, Sequence
from threading import Lock

import numpy as np
from scipy import sparse

from capsearch.data.source import Rows, SearchData
from capsearch.engines.base import looks
from capsearch.engines.packed.dense import DenseRows, Tiles
from capsearch.engines.packed.kernels import Inputs, Plan, by_columns
from capsearch.engines.packed.network import Networks, SparseNetworks
from capsearch.engines.packed.stack import DenseNetworks, tiles_of
from capsearch.randomness import row_order
from capsearch.records import Job, Stopping
from capsearch.tasks import Task
from capsearch.tasks.weights import row_weights

SPARSE_BELOW = 0.5  # share of nonzeros under which the sparse product is as fast, at 4 to 64 units
Scored = Inputs | Tiles
PLAN_BYTES = 300 << 20  # what plans may keep; IMDB takes 5 MB an epoch


def _labels(rows: Rows, task: Task) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels (rows, 1 or labels) and the rows' weights, if any."""
    y = np.ascontiguousarray(rows.y, np.float32)
    counts = row_weights(task, rows.y, rows.weight)
    return y.reshape(len(rows), -1), None if counts is None else counts.astype(np.float32)


def sparse_inputs(rows: Rows, task: Task) -> Inputs:
    """Rows for the sparse kernels, whatever form they have."""
    held = sparse.csr_matrix(rows.x)
    ones = np.asarray(held.data, np.float32)
    values = None if (ones == 1.0).all() else ones
    indptr, indices = np.asarray(held.indptr, np.int64), np.asarray(held.indices, np.int32)
    return Inputs(indptr, indices, values, *_labels(rows, task))


def dense_rows(rows: Rows, task: Task) -> DenseRows:
    """Rows for the dense kernels, whatever form they have."""
    x = rows.x.toarray() if sparse.issparse(rows.x) else rows.x
    return DenseRows(np.ascontiguousarray(x, np.float32), *_labels(rows, task))


def pays_sparse(rows: Rows) -> bool:
    """Whether the rows are sparse enough, however they are stored."""
    ones = rows.x.nnz if sparse.issparse(rows.x) else np.count_nonzero(rows.x)
    return bool(ones < SPARSE_BELOW * rows.x.shape[0] * rows.x.shape[1])


class Batches:
    """Training and validation inputs of a data set, and its epochs, each planned once.

    All jobs begin at epoch 0 and many end early, so the first epochs are the ones worth keeping:
    once `PLAN_BYTES` is full, later epochs are planned anew whenever they are asked for.
    """

    def __init__(self, data: SearchData) -> None:
        self.data, self.features = data, data.features
        self.is_sparse = pays_sparse(data.train)
        self.train: Inputs | DenseRows
        self.train = (sparse_inputs if self.is_sparse else dense_rows)(data.train, data.task)
        self.validation = self._scored(data.validation)
        self._looks: dict[Stopping, tuple[Scored, Scored]]
        self._looks = dict.fromkeys(("all", "never"), (self.validation, self.validation))
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._lock = Lock()

    def plan(self, order: int, size: int, epoch: int) -> Plan:
        """The batches of `size` rows of an epoch (0-based); safe to call from many threads."""
        with self._lock:
            key = (order, size, epoch)
            plan = self._plans.get(key) or self._planned(*key)
            if sum(map(_bytes, self._plans.values())) + _bytes(plan) <= PLAN_BYTES:
                self._plans[key] = plan
            return plan

    def look(self, stop_on: Stopping) -> tuple[Scored, Scored]:
        """The rows that stop training and those that figures are of; one object but for "half"."""
        with self._lock:
            if stop_on not in self._looks:
                stopping, judging = looks(self.data.validation, stop_on)
                self._looks[stop_on] = self._scored(stopping), self._scored(judging)
            return self._looks[stop_on]

    def keep_only(self, orders: Collection[int]) -> None:
        """Drop the plans of all other orders: replicates do not come back to an old one."""
        with self._lock:
            self._plans = {key: plan for key, plan in self._plans.items() if key[0] in orders}

    def networks(self, jobs: Sequence[Job]) -> Networks:
        """Untrained ones of jobs that share order and size of their batches."""
        of = jobs, self.features, self.data.task
        return SparseNetworks(*of) if self.is_sparse else DenseNetworks(*of)

    def _scored(self, rows: Rows) -> Scored:
        if self.is_sparse:
            return sparse_inputs(rows, self.data.task)
        return tiles_of(dense_rows(rows, self.data.task))

    def _planned(self, order: int, size: int, epoch: int) -> Plan:
        rows, x = row_order(order, epoch, len(self.data.train)), self.train
        if isinstance(x, DenseRows):
            return Plan(rows, np.empty((0, 0), np.int32), np.empty(0, np.uint16), None)
        starts = np.empty((-(-len(rows) // size), self.features + 1), np.int32)
        members = np.empty(len(x.indices), np.uint16 if size <= 1 << 16 else np.uint32)
        values = None if x.values is None else np.empty_like(x.values)
        by_columns(x.indptr, x.indices, x.values, rows, size, starts, members, values)
        return Plan(rows, starts, members, values)


def _bytes(plan: Plan) -> int:
    return sum(array.nbytes for array in plan if array is not None)
