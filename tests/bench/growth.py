"""How the packed engine's cost grows, one quantity at a time, and whether its memory does."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data import cache
from capsearch.data.source import Rows, SearchData
from capsearch.engines.packed import PackedEngine
from capsearch.records import Candidate
from tests.bench.child import resident
from tests.bench.task import drawn, jobs_of

EPOCHS, REPEATS = 3, 5
USUAL = Candidate((16, 16), l2=1e-4, dropout=0.3)
PACK, PACKS = 16, 50
Cells = list[tuple[int, list[float]]]  # value, seconds per candidate-epoch of each repeat


def growth(folder: str) -> dict[str, Any]:
    """Every table. Networks of 16-16 units with dropout 0.3, in packs of 16, but where said."""
    data = cache.load(Path(folder))
    return {
        "pack size": _cells((1, 2, 4, 8, 16, 32, 64), lambda n: (data, [USUAL] * n)),
        "units of one layer": _cells(
            (1, 2, 4, 8, 16, 32, 64, 128, 256),
            lambda n: (data, [Candidate((n,), l2=1e-4, dropout=0.3)] * PACK),
        ),
        "training rows, with a third as many to validate": _cells(
            (1_000, 2_000, 4_000, 8_000, 15_000), lambda n: (_first(data, n), [USUAL] * PACK)
        ),
        "nonzeros a row, synthetic": _cells(
            (10, 30, 100, 300, 1_000), lambda n: (_synthetic(n), [USUAL] * PACK)
        ),
    }


def memory(folder: str, packs: int) -> dict[str, Any]:
    """Resident MiB after every tenth of so many packs of 32 other candidates and batch orders."""
    data, engine, seen = cache.load(Path(folder)), PackedEngine(), []
    for number in range(1, packs + 1):
        jobs = jobs_of(drawn(32, number), epochs=2, seed=number)
        engine.train(jobs, data)
        if number == 1 or number % 10 == 0:
            seen.append((number, resident()))
    return {"resident": seen}


def _cells(
    values: Sequence[int], task: Callable[[int], tuple[SearchData, list[Candidate]]]
) -> Cells:
    """Values take turns, so that the machine's drift falls on all of them."""
    timed = [_timed(*task(value)) for value in values]
    rounds = [[seconds(number) for seconds in timed] for number in range(REPEATS + 1)]
    measured = zip(*rounds[1:], strict=True)  # the first round plans the batches
    return [(value, list(taken)) for value, taken in zip(values, measured, strict=True)]


def _timed(data: SearchData, candidates: list[Candidate]) -> Callable[[int], float]:
    """Trains a pack with a new seed; returns seconds per candidate-epoch."""
    engine = PackedEngine()

    def seconds(seed: int) -> float:
        jobs = jobs_of(candidates, EPOCHS, seed)
        began = time.perf_counter()
        engine.train(jobs, data)
        return (time.perf_counter() - began) / len(jobs) / EPOCHS

    return seconds


def _first(data: SearchData, rows: int) -> SearchData:
    t, v, third = data.train, data.validation, rows // 3
    return SearchData(Rows(t.x[:rows], t.y[:rows]), Rows(v.x[:third], v.y[:third]))


def _synthetic(nonzeros: int, features: int = 10_000) -> SearchData:
    """15,000 and 5,000 rows; columns are equally likely, unlike words."""
    rng = np.random.default_rng(nonzeros)

    def rows(count: int) -> Rows:
        indices = rng.integers(features, size=count * nonzeros, dtype=np.int32)
        starts = np.arange(count + 1) * nonzeros
        ones = np.ones(len(indices), np.float32)
        x = sparse.csr_matrix((ones, indices, starts), shape=(count, features))
        return Rows(x, (rng.random(count) < 0.5).astype(np.float32))

    return SearchData(rows(15_000), rows(5_000))
