"""The packed engine: many networks trained side by side, in compiled code, without TensorFlow.

Each epoch's batches are planned once and shared by all networks; every thread then takes a network
through its own epochs, first to last, so that its parameters stay in the cache. Nothing else is
shared: an outcome cannot depend on its neighbours, and a network that stops costs nothing more.
"""

import math
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - Numba's np.dot: only what is loaded can be limited
from threadpoolctl import threadpool_limits

from capsearch.data.source import SearchData
from capsearch.engines.base import Trained, curve_of, diverged, outcome_of
from capsearch.engines.packed.batches import Batches
from capsearch.engines.packed.kernels import score, train_epoch
from capsearch.engines.packed.network import head_of, network, rule_of, weights_of
from capsearch.records import Candidate, Job

SCORING_ROWS = 512  # a chunk whose first-layer outputs stay in the cache


class PackedEngine:
    """Trains jobs on `threads` threads; the default is Numba's: NUMBA_NUM_THREADS, or all cores.

    `train` may be called again while a pack trains: the second pack's networks start as threads
    become free, so that no thread waits for the last network of a pack. From the first engine on,
    this process makes its matrix products on one thread each.
    """

    def __init__(self, pack: int = 32, threads: int | None = None) -> None:
        self.pack = pack
        self.threads = threads or numba.config.NUMBA_NUM_THREADS
        self._pool = ThreadPoolExecutor(self.threads)
        self._lock = Lock()
        self._batches: dict[int, Batches] = {}  # by the identity of the data that they hold
        self._orders = Counter[int]()  # those of the packs in training
        self._users = Counter[int]()  # packs in training, by their data
        threadpool_limits(1, user_api="blas")

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        """One result a job, in the order of the jobs. The plans of the data are kept for later."""
        orders = {job.shuffle_seed for job in jobs}
        batches, outputs = self._begin(orders, data), data.task.outputs
        longest_first = sorted(range(len(jobs)), key=lambda i: -_cost(jobs[i].candidate, outputs))
        running = {i: self._pool.submit(_train, jobs[i], batches) for i in longest_first}
        try:
            return [running[i].result() for i in range(len(jobs))]
        finally:
            for left in running.values():
                left.cancel()
            with self._lock:
                self._orders -= Counter(orders)
                self._users -= Counter([id(data)])

    def _begin(self, orders: Collection[int], data: SearchData) -> Batches:
        with self._lock:
            if id(data) not in self._batches:
                used = {key: batches for key, batches in self._batches.items() if self._users[key]}
                self._batches = used | {id(data): Batches(data)}
            self._orders += Counter(orders)
            self._users[id(data)] += 1
            batches = self._batches[id(data)]
            batches.keep_only(self._orders)
            return batches


def _cost(candidate: Candidate, outputs: int) -> int:
    """Rough work of an epoch per row: sparse products, then products between layers."""
    widths = [*candidate.units, outputs]
    return 300 * widths[0] + sum(a * b for a, b in pairwise(widths))


def _train(job: Job, batches: Batches) -> Trained:
    started = time.perf_counter()
    size, rows = job.candidate.batch_size, len(batches.data.train)
    task = batches.data.task
    net = network(job, batches.features, sparse=batches.is_sparse, outputs=task.outputs)
    rule, head = rule_of(job), head_of(task)
    epochs: list[tuple[float, float, float, float]] = []
    stopping, judging = batches.look(job.stop_on)
    losses, unread = (np.empty(len(look.labels), np.float32) for look in (judging, stopping))
    best, best_loss, kept = 0, math.inf, (net.kernel, net.rest, losses)
    for epoch in range(job.epochs):
        plan = batches.plan(job.shuffle_seed, size, epoch)
        steps = epoch * -(-rows // size)
        epochs.append(
            (
                *train_epoch(batches.train, plan, net, rule, head, min(size, rows), steps),
                *score(judging, net, head, SCORING_ROWS, losses),
            )
        )
        loss, _, val_loss, _ = epochs[-1]
        finite = math.isfinite(loss) and math.isfinite(val_loss)
        if stopping is not judging:
            val_loss = score(stopping, net, head, SCORING_ROWS, unread)[0]
        if not finite or not math.isfinite(val_loss):
            seconds = time.perf_counter() - started
            return Trained(diverged(epoch + 1, curve_of(task, epochs), seconds), ())
        if val_loss < best_loss or job.stop_on == "never":
            best, best_loss = epoch, val_loss
            kept = (net.kernel.copy(), net.rest.copy(), losses.copy())
        elif epoch - best >= job.patience:
            break
    kernel, rest, val_losses = kept
    seconds = time.perf_counter() - started
    outcome = outcome_of(task, curve_of(task, epochs), best, epochs[best][2], seconds, val_losses)
    return Trained(outcome, weights_of(job.candidate, net, kernel, rest, task.outputs))
