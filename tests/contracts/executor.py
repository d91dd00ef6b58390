"""What every executor promises; `tests/executors/` runs these against each of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.data import cache
from capsearch.engines.base import Trained
from capsearch.engines.packed import PackedEngine
from capsearch.engines.registry import ENGINES
from capsearch.executors import Executor, Limits, Pack, Rows, Unusable
from capsearch.records import Candidate, Job, Outcome
from capsearch.tasks.base import CLIP
from tests.contracts.engine import SMALL
from tests.engines import fragile
from tests.engines.fragile import job
from tests.fakes import PACKED, ToySource, outcome_of, toy_data
from tests.place import importable

Start = Callable[..., Executor]
REAL = tuple(
    Job.of(
        Candidate(units, dropout=0.2 if units else 0.0, **SMALL),
        study_seed=1, replicate=replicate, epochs=4, patience=4, engine=PACKED, data="rows",
    )
    for units in ((), (4,), (8, 3), (16,))
    for replicate in (1, 2)
)  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Prepared toy rows; the child processes can import the tests' own engine."""
    monkeypatch.setenv("PYTHONPATH", importable()["PYTHONPATH"])
    monkeypatch.setitem(ENGINES, "fragile", fragile.KIND)
    prepared = cache.prepare(ToySource(), "toy", tmp_path / "cache")
    return Rows(prepared.key, prepared.folder)


def pack_of(
    jobs: Sequence[Job], rows: Rows, *, seconds: float = 30.0, memory: float = inf, **more: Any
) -> Pack:
    return Pack(jobs[0].engine, tuple(jobs), rows.key, Limits(1, seconds, memory), **more)


def result(executor: Executor, pack: Pack) -> Sequence[Trained]:
    return executor.submit(pack, 0).result(120)


def timeless(outcome: Outcome) -> tuple[Outcome, bytes]:
    """All of an outcome that must be equal wherever it was trained."""
    assert outcome.val_losses is not None
    return replace(outcome, seconds=0.0), outcome.val_losses.tobytes()


class ExecutorContract:
    """Subclass with a `start` fixture: (id of an engine, workers) -> an opened executor."""

    def test_it_has_room_for_a_pack_at_least(self, start: Start) -> None:
        assert start(fragile.ID).slots >= 1

    def test_results_come_in_the_order_of_the_jobs(self, start: Start, rows: Rows) -> None:
        jobs = [job(units) for units in (3, 1, 4, 2, 9)]
        trained = result(start(fragile.ID), pack_of(jobs, rows))
        assert [t.outcome.val_loss for t in trained] == [outcome_of(j).val_loss for j in jobs]

    def test_more_packs_than_there_is_room_for_wait(self, start: Start, rows: Rows) -> None:
        executor = start(fragile.ID)
        futures = [executor.submit(pack_of([job(n)], rows), n) for n in range(1, 10)]
        assert all(future.result(60)[0].outcome.complete for future in futures)

    @pytest.mark.parametrize("size", [1, 3, 8])
    def test_outcomes_are_equal_to_the_last_bit_in_whatever_packs(
        self, start: Start, rows: Rows, size: int
    ) -> None:
        executor = start(PACKED)
        packs = [pack_of(REAL[at : at + size], rows) for at in range(0, len(REAL), size)]
        futures = [executor.submit(pack, 0) for pack in packs]
        found = [timeless(t.outcome) for future in futures for t in future.result(120)]
        alone = PackedEngine(threads=1)
        assert found == [timeless(alone.train([j], toy_data())[0].outcome) for j in REAL]

    def test_only_what_is_to_be_kept_leaves_with_its_weights_and_outputs(
        self, start: Start, rows: Rows
    ) -> None:
        executor, y = start(PACKED), toy_data().validation.y
        for plain in result(executor, pack_of(REAL[:3], rows)):
            assert (plain.weights, plain.outputs) == ((), None)
        expected = PackedEngine(threads=1).train(REAL[:3], toy_data())
        for ours, theirs in zip(
            result(executor, pack_of(REAL[:3], rows, keep=True)), expected, strict=True
        ):
            for one, other in zip(ours.weights, theirs.weights, strict=True):
                np.testing.assert_array_equal(one, other)
            assert ours.outputs is not None
            assert ours.outcome.val_losses is not None
            assert ours.outputs.dtype == np.float32
            p = np.clip(ours.outputs.astype(np.float64), CLIP, 1 - CLIP)
            losses = -(y * np.log(p) + (1 - y) * np.log1p(-p))
            np.testing.assert_allclose(losses, ours.outcome.val_losses, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("width", "kind", "text"),
        [
            (fragile.RAISES, "crash", "crashed: ValueError: a bug"),
            (fragile.NO_MEMORY, "memory", "out of memory"),
        ],
    )
    def test_exactly_the_job_fails_that_raises(
        self, start: Start, rows: Rows, width: int, kind: str, text: str
    ) -> None:
        check_alone_fails(start(fragile.ID), rows, width, kind, text)


def check_alone_fails(executor: Executor, rows: Rows, width: int, kind: str, text: str) -> None:
    """Between two that are trained."""
    trained = result(executor, pack_of([job(1), job(width), job(2)], rows, seconds=1.0))
    failures = [t.outcome.failure for t in trained]
    assert [f.kind if f else None for f in failures] == [None, kind, None]
    assert failures[1] is not None
    assert text in failures[1].text
    assert result(executor, pack_of([job(3)], rows))[0].outcome.complete


class GuardedContract(ExecutorContract):
    """What an executor promises besides that trains in child processes."""

    @pytest.mark.parametrize(
        ("width", "kind", "text"),
        [
            (fragile.KILLED, "memory", "killed by the system"),
            (fragile.HUNG, "timeout", "timed out after 1 s"),
            (fragile.EXITS, "crash", "with exit code 3: something awful"),
        ],
    )
    def test_exactly_the_job_fails_that_brings_its_process_down(
        self, start: Start, rows: Rows, width: int, kind: str, text: str
    ) -> None:
        check_alone_fails(start(fragile.ID), rows, width, kind, text)

    def test_a_job_above_the_limit_of_memory_fails_alone_and_is_not_waited_for(
        self, start: Start, rows: Rows
    ) -> None:
        began = time.monotonic()
        jobs = [job(1), job(fragile.BOMB), job(2)]
        trained = result(start(fragile.ID), pack_of(jobs, rows, seconds=100.0, memory=4e8))
        failures = [t.outcome.failure for t in trained]
        assert [f.kind if f else None for f in failures] == [None, "memory", None]
        assert failures[1] is not None
        assert "above the limit of 0.40 GB" in failures[1].text
        assert time.monotonic() - began < 60.0

    @pytest.mark.parametrize("first", [True, False])
    def test_a_pack_beside_one_that_brings_its_process_down_is_trained_all_the_same(
        self, start: Start, rows: Rows, first: bool
    ) -> None:
        executor = start(fragile.ID)
        packs = [[job(fragile.KILLED), job(1)], [job(2), job(fragile.SLOW)]]
        order = packs if first else packs[::-1]
        futures = [executor.submit(pack_of(jobs, rows), 0) for jobs in order]
        found = [[t.outcome.complete for t in future.result(60)] for future in futures]
        assert found == ([[False, True], [True, True]] if first else [[True, True], [False, True]])

    def test_rows_that_are_damaged_can_never_be_trained_on(self, start: Start, rows: Rows) -> None:
        (rows.folder / "train-y.npy").write_bytes(b"garbage")
        with pytest.raises(Unusable, match="damaged"):
            start(PACKED).submit(pack_of(REAL[:1], rows), 0).result(60)
