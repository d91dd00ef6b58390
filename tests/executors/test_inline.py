"""The inline executor keeps the contract in this very process."""

import numpy as np
import pytest

from capsearch.executors import Executor, InlineExecutor, Rows, train
from capsearch.randomness import some_rows
from tests.contracts.executor import ExecutorContract, Start, pack_of, result, rows
from tests.engines.fragile import job
from tests.fakes import FakeEngine

__all__ = ["rows"]
pytestmark = pytest.mark.integration


class TestInline(ExecutorContract):
    @pytest.fixture
    def start(self, rows: Rows) -> Start:
        def starting(engine: str) -> Executor:
            executor = InlineExecutor()
            executor.open(rows)
            return executor

        return starting


def test_the_engine_may_be_given(rows: Rows) -> None:
    engine = FakeEngine(fail=["2"])
    executor = InlineExecutor(engine)
    executor.open(rows)
    trained = result(executor, pack_of([job(1), job(2)], rows))
    assert [t.outcome.complete for t in trained] == [True, False]
    assert engine.trained == [job(1), job(2)]


def test_outputs_are_kept_of_so_many_rows_which_are_the_same_for_all(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 at most, so that a storage holds them; here of 10 of 100 rows."""
    executor = InlineExecutor(FakeEngine())
    executor.open(rows)
    jobs = [job(1), job(2)]
    whole = [t.outputs for t in result(executor, pack_of(jobs, rows, keep=True))]
    monkeypatch.setattr(train, "OUTPUT_ROWS", 10)
    some = [t.outputs for t in result(executor, pack_of(jobs, rows, keep=True))]
    chosen = some_rows(100, 10)
    assert len(set(chosen)) == 10
    assert sorted(chosen) == list(chosen)
    for ours, theirs in zip(some, whole, strict=True):
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(ours, theirs[chosen])
