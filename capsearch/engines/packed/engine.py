"""The packed engine: many networks trained side by side, in compiled code, without TensorFlow.

Each epoch's batches are planned once and shared by all networks. On sparse rows a thread takes one
network through its own epochs, first to last, so that its parameters stay in the cache. On dense
rows it takes a group of those that see the same batches, which read each row together. Nothing else
is shared: an outcome cannot depend on its neighbours, and a network that stops costs nothing more.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from threading import Lock

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - Numba's np.dot: only what is loaded can be limited
from threadpoolctl import threadpool_limits

from capsearch.data.source import SearchData
from capsearch.engines.base import Trained, curve_of, diverged, outcome_of, undivided
from capsearch.engines.packed.batches import Batches
from capsearch.engines.packed.network import Figures, Weights
from capsearch.records import Candidate, Job
from capsearch.tasks import Task

GROUP = 16  # dense networks that share their rows: what sharing costs is then a hundredth
UNITS = 512  # in the first layers of a group: their outputs of 64 rows are 128 KB


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
        batches, outputs = self._begin(orders, undivided(data)), data.task.outputs
        groups = _groups(jobs, outputs, self.threads, stacked=not batches.is_sparse)
        running = [self._pool.submit(_train, [jobs[i] for i in group], batches) for group in groups]
        trained: dict[int, Trained] = {}
        try:
            for group, ended in zip(groups, running, strict=True):
                trained |= zip(group, ended.result(), strict=True)
            return [trained[i] for i in range(len(jobs))]
        finally:
            for left in running:
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


def _groups(jobs: Sequence[Job], outputs: int, threads: int, *, stacked: bool) -> list[list[int]]:
    """Places of the jobs that one thread trains together, those with most work first.

    Groups of the same batches are alike: small enough for every thread to have some.
    """
    longest_first = sorted(range(len(jobs)), key=lambda i: -_cost(jobs[i].candidate, outputs))
    if not stacked:
        return [[i] for i in longest_first]
    alike: dict[object, list[int]] = {}
    for i in longest_first:
        key = jobs[i].shuffle_seed, jobs[i].candidate.batch_size, jobs[i].stop_on
        alike.setdefault(key, []).append(i)
    groups = []
    for members in alike.values():
        units = sum((*jobs[i].candidate.units, outputs)[0] for i in members)
        most = min(GROUP, -(-len(jobs) // threads))
        count = max(-(-len(members) // most), min(len(members), -(-units // UNITS)))
        groups += [members[begin::count] for begin in range(count)]
    return groups


def _cost(candidate: Candidate, outputs: int) -> int:
    """Rough work of an epoch per row: sparse products, then products between layers."""
    widths = [*candidate.units, outputs]
    return 300 * widths[0] + sum(a * b for a, b in pairwise(widths))


class _Course:
    """One job's epochs as they come, and its best one."""

    def __init__(self, job: Job, task: Task) -> None:
        self.job, self._task = job, task
        self.cost = _cost(job.candidate, task.outputs)
        self.epochs: list[tuple[float, float, float, float]] = []
        self.seconds, self.ended = 0.0, False
        self._best, self._best_loss, self._finite = 0, math.inf, True
        self._weights: Callable[[], Weights] = tuple
        self._losses = np.empty(0, np.float32)

    def add(
        self,
        learned: Figures,
        judged: Figures,
        stop: float,
        losses: np.ndarray,
        weights: Callable[[], Callable[[], Weights]],
    ) -> None:
        """An epoch: figures of training and of validation, and the loss that stops training."""
        self.epochs.append((*learned, *judged))
        epoch = len(self.epochs) - 1
        self._finite = math.isfinite(learned[0]) and math.isfinite(judged[0] + stop)
        if self._finite and (stop < self._best_loss or self.job.stop_on == "never"):
            self._best, self._best_loss = epoch, stop
            self._weights, self._losses = weights(), losses
        patient = epoch - self._best < self.job.patience
        self.ended = not self._finite or not patient or epoch + 1 == self.job.epochs

    def trained(self) -> Trained:
        task, best = self._task, self._best
        curve = curve_of(task, self.epochs)
        if not self._finite:
            return Trained(diverged(len(self.epochs), curve, self.seconds), ())
        val_loss = self.epochs[best][2]
        outcome = outcome_of(task, curve, best, val_loss, self.seconds, self._losses)
        return Trained(outcome, self._weights())


def _train(jobs: Sequence[Job], batches: Batches) -> list[Trained]:
    """Jobs that share order and size of their batches, and the rows that stop them."""
    began, task = time.perf_counter(), batches.data.task
    courses = [_Course(job, task) for job in jobs]
    size, rows = jobs[0].candidate.batch_size, len(batches.data.train)
    networks = batches.networks(jobs)
    stopping, judging = batches.look(jobs[0].stop_on)
    going, epoch = courses, 0
    while going:
        plan = batches.plan(jobs[0].shuffle_seed, size, epoch)
        steps = epoch * -(-rows // size)
        learned = networks.train_epoch(batches.train, plan, min(size, rows), steps)
        judged, losses = networks.score(judging)
        stops = judged if stopping is judging else networks.score(stopping)[0]
        ended, together = time.perf_counter(), sum(course.cost for course in going)
        for number, course in enumerate(going):
            snapshot = partial(networks.snapshot, number)
            course.add(learned[number], judged[number], stops[number][0], losses[number], snapshot)
            course.seconds += (ended - began) * course.cost / together
        left = [number for number, course in enumerate(going) if not course.ended]
        going, epoch, began = [going[number] for number in left], epoch + 1, ended
        if left:
            networks.keep(left)
    return [course.trained() for course in courses]
