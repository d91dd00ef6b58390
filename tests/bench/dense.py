# mypy: disable-error-code="no-untyped-call"
"""`python -m tests.bench.dense`: how fast dense rows are trained, and against what.

In every round sgemm, the memory, the packed engine at each shape and, in some, Keras' own loop take
turns on the same rows, so that a change of the machine's speed shows as spread. Prints Markdown.

A candidate-epoch is counted as these operations and no others: of a row that is trained on 2 for
every weight forward, 2 for its gradient, and 2 for every weight behind the first layer to bring the
gradient back; of a row that is scored 2 for every weight. Padding, activations, losses and steps of
the optimizer are not counted, though they are done.

Everything is timed by the clock and by the processor time of this process. On a machine with other
work the clock favours whoever has more threads; processor time does not.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from capsearch.data.source import Rows, SearchData
from capsearch.engines.packed import PackedEngine
from capsearch.records import Candidate, Job
from capsearch.tasks import Binary, Multiclass
from tests.bench.floor import bandwidth

Units = tuple[int, ...]
TABLE: tuple[Units, ...]
TABLE = ((), (1,), (4,), (8,), (16,), (64,), (256,), (16, 16), (64, 64), (12, 150, 50))
PICTURES: tuple[Units, ...] = ((16,), (64,), (64, 64))
NARROW: tuple[Units, ...] = ((16,), (64, 64))
AGAINST_KERAS = (16,), (64, 64)
VALIDATION = 0.1  # as many rows more
BATCH = 512
MATRIX = 2048
STREAM = 32 << 20  # float32 values a thread reads from memory


@dataclass
class Shape:
    """One row of the table."""

    name: str
    units: Units
    data: SearchData
    taken: list[np.ndarray] = field(default_factory=list)  # of a candidate-epoch, a round each
    keras: list[np.ndarray] = field(default_factory=list)

    @property
    def flops(self) -> float:
        rows, scored = len(self.data.train), len(self.data.validation)
        widths = [self.data.features, *self.units, self.data.task.outputs]
        weights = [a * b for a, b in pairwise(widths)]
        return 2.0 * ((2 * rows + scored) * sum(weights) + rows * sum(weights[1:]))

    @property
    def bytes(self) -> float:
        """What a candidate-epoch would read of rows if it read them alone, once each."""
        return 4.0 * self.data.features * (len(self.data.train) + len(self.data.validation))

    def jobs(self, count: int, epochs: int, seed: int) -> list[Job]:
        candidate = Candidate(self.units, l2=1e-4, learning_rate=1e-3, batch_size=BATCH)
        return [Job(candidate, 1000 * seed + n, 1, epochs, epochs) for n in range(count)]


def table() -> SearchData:
    """100,000 rows of 100 normal columns, two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(110_000, 100)).astype(np.float32)
    y = (x @ rng.normal(size=100) + rng.normal(size=len(x)) > 0).astype(np.float32)
    return _divided(x, y, 100_000, Binary())


def narrow() -> SearchData:
    """A tenth of the rows, and half of the columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(11_264, 50)).astype(np.float32)
    y = (x @ rng.normal(size=50) + rng.normal(size=len(x)) > 0).astype(np.float32)
    return _divided(x, y, 10_240, Binary())


def pictures() -> SearchData:
    """As many rows and columns as MNIST has, ten classes."""
    rng = np.random.default_rng(0)
    x = rng.random(size=(66_000, 784), dtype=np.float32)
    y = (x @ rng.normal(size=(784, 10)).astype(np.float32)).argmax(axis=1).astype(np.float32)
    return _divided(x, y, 60_000, Multiclass(tuple("0123456789")))


def _divided(x: np.ndarray, y: np.ndarray, rows: int, task: Any) -> SearchData:
    return SearchData(Rows(x[:rows], y[:rows]), Rows(x[rows:], y[rows:]), task)


def main() -> None:
    asked = _asked()
    engine = PackedEngine()
    first, small, second = table(), narrow(), pictures()
    shapes = [Shape(_name(u, "100"), u, first) for u in TABLE]
    shapes += [Shape(_name(u, "50"), u, small) for u in NARROW]
    shapes += [Shape(_name(u, "784, 10 classes"), u, second) for u in PICTURES]
    rates: list[np.ndarray] = []
    memory: list[float] = []
    for data in (first, small, second):  # compiles, and lays the rows out
        for units in (), (2,):
            engine.train(Shape("", units, data).jobs(asked.jobs, 1, 9), data)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {engine.threads} threads, {asked.jobs} jobs")
    loads = []
    # TensorFlow changes how its whole process takes memory, and capsearch trains where it is not.
    apart = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    for turn in range(asked.rounds):
        for data in (first, small, second):
            memory.append(bandwidth(STREAM, 2, engine.threads))
            for shape in (s for s in shapes if s.data is data):
                rates.append(_sgemm(engine.threads))
                epochs = asked.epochs * (10 if data is small else 1)
                _train(engine, shape, asked.jobs, epochs, turn)
                if data is first and shape.units in AGAINST_KERAS and not asked.alone:
                    shape.keras.append(apart.submit(_keras, shape.units).result())
                rates.append(_sgemm(engine.threads))
                loads.append(os.getloadavg()[0])
    apart.shutdown()
    _print(shapes, rates, memory, loads)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dense", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=32, help="of a pack")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without Keras' loop")
    return parser.parse_args()


def _name(units: Units, columns: str) -> str:
    return f"{'-'.join(map(str, units)) or 'linear'} ({columns})"


def _train(engine: PackedEngine, shape: Shape, jobs: int, epochs: int, seed: int) -> None:
    asked = shape.jobs(jobs, epochs, seed)
    shape.taken.append(_taken(lambda: engine.train(asked, shape.data)) / (jobs * epochs))


def _keras(units: Units) -> np.ndarray:
    """An epoch of the reference engine on `table` after the first one, which traces."""
    from capsearch.engines.fit import FitEngine

    shape = Shape("", units, table())

    def taken(epochs: int) -> np.ndarray:
        return _taken(lambda: FitEngine().train(shape.jobs(1, epochs, 0), shape.data))

    with threadpool_limits(None):
        once = taken(1)
        epoch: np.ndarray = (taken(3) - once) / 2
        return epoch


def _sgemm(threads: int) -> np.ndarray:
    """Operations a second of one large product on each thread, as the engine's threads work."""
    rng = np.random.default_rng(0)
    pairs = [rng.random((2, MATRIX, MATRIX), dtype=np.float32) for _ in range(threads)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        taken = _taken(lambda: list(pool.map(lambda pair: pair[0] @ pair[1], pairs)))
    rate: np.ndarray = threads * 2.0 * MATRIX**3 / taken
    return rate


def _taken(work: Callable[[], object]) -> np.ndarray:
    """Seconds by the clock and of the processor."""
    began = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - began[0], time.process_time() - began[1]])


def _print(
    shapes: Sequence[Shape],
    rates: Sequence[np.ndarray],
    memory: Sequence[float],
    loads: Sequence[float],
) -> None:
    rate, spread = np.median(rates, axis=0), np.array(rates)[:, 0] / 1e9
    speed = statistics.median(memory)
    print(f"sgemm {rate[0] / 1e9:.0f} GFLOP/s ({spread.min():.0f}-{spread.max():.0f}), ", end="")
    print(f"of a processor {rate[1] / 1e9:.0f}, memory {speed / 1e9:.0f} GB/s, ", end="")
    print(f"load {min(loads):.1f} to {max(loads):.1f}\n")
    heads = [
        "units (columns)", "ms a candidate-epoch", "processor ms", "GFLOP/s", "of sgemm",
        "by processor time", "times a reading of all rows", "Keras' loop, ms", "processor ms",
        "times Keras", "by processor time",
    ]  # fmt: skip
    print(f"| {' | '.join(heads)} |\n| {' | '.join('---' for _ in heads)} |")
    for shape in shapes:
        taken, clock = np.median(shape.taken, axis=0), np.array(shape.taken)[:, 0] * 1e3
        share = shape.flops / taken / rate
        cells = [
            shape.name,
            f"{taken[0] * 1e3:.2f} ({clock.min():.2f}-{clock.max():.2f})",
            f"{taken[1] * 1e3:.2f}",
            f"{shape.flops / taken[0] / 1e9:.0f}",
            f"{share[0]:.0%}",
            f"{share[1]:.0%}",
            f"{taken[0] / (shape.bytes / speed):.2f}",
        ]
        keras = np.median(shape.keras, axis=0) if shape.keras else None
        cells += ["", "", "", ""] if keras is None else [
            f"{keras[0] * 1e3:.0f}", f"{keras[1] * 1e3:.0f}",
            *(f"{ratio:.1f}" for ratio in keras / taken),
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
