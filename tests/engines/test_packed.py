"""The packed engine keeps the contract, learns what Keras learns, and keeps jobs apart.

Agreement with dropout is the subject of `test_packed_dropout`.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from capsearch.data.source import Rows, SearchData
from capsearch.engines.base import Trained
from capsearch.engines.fit import FitEngine
from capsearch.engines.packed import PackedEngine
from capsearch.records import Candidate, Job
from capsearch.tasks import Multiclass
from tests.contracts.engine import SMALL, TASKS, EngineContract, job
from tests.fakes import task_data

pytestmark = pytest.mark.integration

Form = Literal["ones", "values", "dense"]


class TestPacked(EngineContract):
    @pytest.fixture
    def engine(self) -> PackedEngine:
        return PackedEngine(threads=2)


@cache
def rows_of(form: Form) -> SearchData:
    """200 and 100 rows of 60 features; sparse ones hold 10 % nonzeros, and one row none at all."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 60)).astype(np.float32)
    if form != "dense":
        x *= rng.random(x.shape) < 0.1
        x[5] = 0
    if form == "ones":
        x = (x != 0).astype(np.float32)
    logits = x @ rng.normal(size=60)
    y = (logits > np.median(logits)).astype(np.float32)
    held = x if form == "dense" else sparse.csr_matrix(x)
    return SearchData(Rows(held[:200], y[:200]), Rows(held[200:], y[200:]))


def agree(asked: Job, data: SearchData) -> None:
    (expected,) = FitEngine().train([asked], data)
    (trained,) = PackedEngine().train([asked], data)
    for series in ("loss", "val_loss"):
        ours, theirs = (getattr(t.outcome.curve, series) for t in (trained, expected))
        assert len(ours) == asked.epochs
        assert ours == pytest.approx(theirs, rel=1e-4), series
    for series in ("accuracy", "val_accuracy", "rmse", "val_rmse"):
        ours, theirs = (getattr(t.outcome.curve, series) for t in (trained, expected))
        assert ours == pytest.approx(theirs, rel=1e-4), series
    losses = [t.outcome.val_losses for t in (trained, expected)]
    assert losses[0] is not None
    assert losses[1] is not None
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3, atol=1e-4)
    assert trained.outcome.best_epoch == expected.outcome.best_epoch
    assert [w.shape for w in trained.weights] == [w.shape for w in expected.weights]
    flat = [np.concatenate([w.ravel() for w in t.weights]) for t in (trained, expected)]
    apart = np.abs(flat[0] - flat[1])
    if asked.candidate.optimizer != "adam":
        assert apart.max() <= 2e-4
        return
    # Adam divides a gradient by its own size. One whose terms cancel to less than its epsilon is
    # rounding, and moves its weight by another part of a step in every engine (and by another on
    # every processor): few weights may have met that, and none by more than a step.
    assert (apart > 2e-4).sum() <= max(1, apart.size // 1000)
    assert apart.max() <= asked.candidate.learning_rate


@pytest.mark.parametrize("units", [(), (3,), (20, 7), (6, 17, 5), (70, 6)])
@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_every_epoch_agrees_with_keras(name: str, units: tuple[int, ...]) -> None:
    candidate = Candidate(units, l1=1e-3, l2=1e-2, optimizer=name, **SMALL)
    agree(job(candidate, epochs=3), rows_of("ones"))


@pytest.mark.parametrize("units", [(), (6, 4)])
@pytest.mark.parametrize("form", ["values", "dense"])
def test_weighted_and_dense_rows_agree_with_keras_too(form: Form, units: tuple[int, ...]) -> None:
    agree(job(Candidate(units, l2=1e-2, **SMALL), epochs=3), rows_of(form))


@pytest.mark.parametrize("units", [(1,), (3,), (5, 4)])
@pytest.mark.parametrize("form", ["dense", "ones"])
def test_shifted_networks_agree_with_keras_too(form: Form, units: tuple[int, ...]) -> None:
    begun = (("initialization", "shifted"),)
    agree(job(Candidate(units, l2=1e-3, extra=begun, **SMALL), epochs=3), rows_of(form))


@pytest.mark.parametrize("units", [(), (6, 4)])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_every_task_agrees_with_keras(name: str, dense: bool, units: tuple[int, ...]) -> None:
    weighted = name in ("sigmoids", "squared", "weighted softmax")
    data = task_data(TASKS[name], dense=dense, weighted=weighted)
    agree(job(Candidate(units, l2=1e-3, **SMALL), epochs=3), data)


@pytest.mark.parametrize("units", [(), (4,), (20, 7)])
def test_many_classes_agree_with_keras(units: tuple[int, ...]) -> None:
    """More outputs than lanes: a linear model's first layer is its last one, in several blocks."""
    task = Multiclass(tuple(map(str, range(37))))
    shifted = (("initialization", "shifted"),)
    agree(job(Candidate(units, extra=shifted, **SMALL), epochs=2), task_data(task, dense=False))


POOL = tuple(
    job(candidate, replicate=replicate, epochs=3)
    for candidate in (
        Candidate((), l1=1e-3, **SMALL),
        Candidate((4,), dropout=0.5, **SMALL),
        Candidate((8, 3), l2=1e-2, optimizer="sgd", learning_rate=0.05, batch_size=64),
        Candidate((33, 5), dropout=0.2, optimizer="rmsprop", **SMALL),
        Candidate((16,), learning_rate=0.01, batch_size=150),
        Candidate((100,), l2=1e-2, **SMALL),
    )
    for replicate in (0, 1)
)


@cache
def alone(index: int, form: Form) -> Trained:
    return PackedEngine(threads=1).train([POOL[index]], rows_of(form))[0]


@pytest.mark.parametrize("form", ["ones", "dense"])
@settings(max_examples=25, deadline=None)
@given(
    chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=12),
    threads=st.sampled_from([1, 2, 3]),
)
def test_an_outcome_is_the_same_bit_for_bit_whoever_shares_its_pack(
    form: Form, chosen: list[int], threads: int
) -> None:
    together = PackedEngine(threads=threads).train([POOL[i] for i in chosen], rows_of(form))
    for index, trained in zip(chosen, together, strict=True):
        expected = alone(index, form)
        assert trained.outcome.curve == expected.outcome.curve
        np.testing.assert_array_equal(trained.outcome.val_losses, expected.outcome.val_losses)
        for ours, theirs in zip(trained.weights, expected.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


FIRST_PACK = """
from threadpoolctl import threadpool_info
from capsearch.engines.packed import PackedEngine, network
from capsearch.records import Candidate, Job
from tests.fakes import toy_data

def spy(*arguments, score=network.score):
    result = score(*arguments)
    blas = [p for p in threadpool_info() if p["user_api"] == "blas"]
    print("threads", *sorted({p["num_threads"] for p in blas}))
    return result

network.score = spy
PackedEngine(threads=1).train([Job(Candidate((16, 8)), 1, 1, 2, 2)], toy_data())
"""


def test_the_first_pack_of_a_process_multiplies_on_one_thread_like_all_others() -> None:
    """The library behind Numba's products must be there before threads are limited."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", FIRST_PACK]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert set(ended.stdout.splitlines()) == {"threads 1"}, ended.stderr


def test_more_epochs_repeat_the_first_ones_exactly() -> None:
    short = POOL[2]
    (longer,) = PackedEngine().train([short.longer(6)], rows_of("ones"))
    assert longer.outcome.curve.val_loss[:3] == alone(2, "ones").outcome.curve.val_loss
