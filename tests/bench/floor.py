# mypy: disable-error-code="no-untyped-call"
"""Where a packed epoch's time goes, and how far the sparse kernels are from what memory allows.

Parts are timed by running them alone, for the same networks, on as many threads as the engine has.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from capsearch.data import cache
from capsearch.engines.packed import PackedEngine
from capsearch.engines.packed.batches import Batches
from capsearch.engines.packed.kernels import (
    Inputs,
    Net,
    Plan,
    Rule,
    _first_backward,
    _first_forward,
    score,
    train_epoch,
)
from capsearch.engines.packed.network import SCORING_ROWS, head_of, network, rule_of
from capsearch.engines.packed.simd import address, load, splat, store
from capsearch.records import Candidate, Job
from tests.bench.task import BATCH_SIZE, drawn, jobs_of

COUNT, REPEATS = 32, 7
LINES = 10_000 * 16  # float32 values in a block of a first kernel: 640 KB


@dataclass
class Member:
    """A network on its own, with what the kernels need to work on it."""

    net: Net
    rule: Rule
    batches: Batches
    plan: Plan

    @classmethod
    def of(cls, job: Job, batches: Batches) -> "Member":
        plan = batches.plan(job.shuffle_seed, BATCH_SIZE, 0)
        return cls(network(job, batches.features), rule_of(job), batches, plan)

    def epoch(self, **changes: Any) -> None:
        rule = self.rule._replace(**changes)
        head = head_of(self.batches.data.task)
        train_epoch(self.batches.train, self.plan, self.net, rule, head, BATCH_SIZE, 0)

    def validation(self) -> None:
        losses = np.empty(self.batches.validation.labels.size, np.float32)
        head = head_of(self.batches.data.task)
        score(self.batches.validation, self.net, head, SCORING_ROWS, losses)

    def forward(self) -> None:
        _forward(self.batches.train, self.plan, self.net, BATCH_SIZE)

    def backward(self) -> None:
        _backward(self.plan, self.net, self.rule, BATCH_SIZE)


def profile(folder: str) -> dict[str, Any]:
    """Seconds per candidate-epoch of every part, for the mix and for 16-16 units; the floor."""
    data = cache.load(Path(folder))
    batches, threads = Batches(data), PackedEngine().threads
    mix = sorted(drawn(COUNT, 1), key=lambda candidate: -candidate.units[0])
    usual = [Candidate((16, 16), l2=1e-4, dropout=0.3)] * COUNT
    return {
        "mix": _parts(mix, batches, threads),
        "16-16": _parts(usual, batches, threads),
        "bytes": _bytes(batches),
        "bandwidth": {
            "memory": bandwidth(32 << 20, 4, threads),
            "cache": bandwidth(LINES, 2_000, threads),
        },
    }


def _parts(candidates: Sequence[Candidate], batches: Batches, threads: int) -> dict[str, float]:
    """Medians; the parts take turns, so that the machine's drift falls on all of them."""
    jobs = jobs_of(candidates, epochs=1)
    works: dict[str, Callable[[Member], None]] = {
        "epoch": Member.epoch,
        "no dropout": lambda member: member.epoch(dropout=0.0),
        "forward": Member.forward,
        "backward": Member.backward,
        "validation": Member.validation,
    }
    members = {name: [Member.of(job, batches) for job in jobs] for name in works}
    for name, work in works.items():
        work(members[name][0])  # compiles
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            taken[name].append(_on_all_threads(work, members[name], threads) / len(jobs))
    median = {name: float(np.median(seconds)) for name, seconds in taken.items()}
    sparse = median["forward"] + median["backward"]
    return {
        "first product forward": median["forward"],
        "first product backward, penalty and update": median["backward"],
        "dropout masks": median["epoch"] - median["no dropout"],
        "deeper layers, loss, their update": median["no dropout"] - sparse,
        "validation": median["validation"],
        "together": median["epoch"] + median["validation"],
    }


def _on_all_threads(work: Callable[[Any], object], items: Sequence[Any], threads: int) -> float:
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(work, items))
        return time.perf_counter() - began


def _bytes(batches: Batches) -> dict[str, float]:
    """What an epoch of 16 units must move, training and validation, Adam.

    Streamed: the kernel once a batch forward, kernel and both moments read and written backward,
    and the places of the ones (4 bytes forward, 2 backward). Gathered: 64 bytes a one each way.
    """
    assert isinstance(batches.train, Inputs)
    assert isinstance(batches.validation, Inputs)
    ones, scored = len(batches.train.indices), len(batches.validation.indices)
    kernel = batches.features * 16 * 4
    steps = -(-batches.train.labels.size // BATCH_SIZE)
    chunks = -(-batches.validation.labels.size // SCORING_ROWS)
    streamed = steps * (7 * kernel + 4 * batches.features) + chunks * kernel
    return {
        "streamed": float(streamed + ones * (4 + 2) + scored * 4),
        "gathered": float((2 * ones + scored) * 16 * 4),
    }


@njit(nogil=True)
def _forward(inputs, plan, net, size):  # type: ignore[no-untyped-def]
    """The first product of every batch of an epoch."""
    out = np.empty((size, net.widths[0]), np.float32)
    for begin in range(0, plan.order.size, size):
        rows = plan.order[begin : begin + size]
        _first_forward(inputs, rows, net, out[: rows.size])


@njit(nogil=True)
def _backward(plan, net, rule, size):  # type: ignore[no-untyped-def]
    """The gradient and update of every batch of an epoch, from deltas that are all alike."""
    delta = np.full((size, net.widths[0]), np.float32(1e-4))
    rate = np.float32(1e-3)
    for index in range(plan.starts.shape[0]):
        _first_backward(plan, index, net, rule, rate, delta)


@njit(nogil=True, fastmath=True)
def _read(values, out):  # type: ignore[no-untyped-def]
    """Add all values up, in four vectors of 16, as the kernels read theirs."""
    at = address(values)
    a = splat(np.float32(0), 16)
    b, c, d = a, a, a
    for begin in range(0, values.size, 64):
        a = a + load(at, begin, 16)
        b = b + load(at, begin + 16, 16)
        c = c + load(at, begin + 32, 16)
        d = d + load(at, begin + 48, 16)
    store(address(out), 0, (a + b) + (c + d))


def bandwidth(size: int, times: int, threads: int) -> float:
    """Bytes a second that all threads together read, each from `size` floats of its own."""
    arrays = [np.ones(size, np.float32) for _ in range(threads)]

    def read(array: np.ndarray) -> None:
        out = np.empty(16, np.float32)
        for _ in range(times):
            _read(array, out)

    read(arrays[0][:64])  # compiles
    taken = [_on_all_threads(read, arrays, threads) for _ in range(REPEATS)]
    return threads * size * 4 * times / float(np.median(taken))
