"""The inline executor keeps the contract in this very process."""

import pytest

from capsearch.executors import Executor, InlineExecutor, Rows
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
