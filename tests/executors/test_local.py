"""The local executor keeps the contract in child processes of the driver, one or several."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

import psutil
import pytest

from capsearch.engines.registry import ENGINES
from capsearch.executors import Executor, Limits, LocalExecutor, Lost, Rows, train
from tests.contracts.executor import GuardedContract, Start, pack_of, result, rows
from tests.engines import fragile
from tests.engines.fragile import job
from tests.place import until

__all__ = ["rows"]
pytestmark = pytest.mark.integration


class LocalContract(GuardedContract):
    workers = 1

    @pytest.fixture
    def start(self, rows: Rows) -> Iterator[Start]:
        with ExitStack() as stack:

            def starting(engine: str) -> Executor:
                executor = LocalExecutor(engine, Limits(threads=2), self.workers)
                stack.callback(executor.shutdown)
                executor.open(rows)
                return executor

            yield starting


class TestOneWorker(LocalContract):
    pass


class TestTwoWorkers(LocalContract):
    workers = 2


@pytest.fixture
def executor(rows: Rows) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(fragile.ID, Limits(threads=1))
    executor.open(rows)
    yield executor
    executor.shutdown()


def children() -> set[int]:
    """Those that train: a test before may have left a server running for the whole session."""
    found = set[int]()
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("capsearch.engines.child" in word for word in child.cmdline()):
                found.add(child.pid)
    return found


def test_what_trains_when_everything_is_ended_is_lost_and_blames_nobody(
    executor: LocalExecutor, rows: Rows
) -> None:
    future = executor.submit(pack_of([job(fragile.HUNG)], rows, seconds=90.0), 0)
    waiting = executor.submit(pack_of([job(1)], rows), 0)
    time.sleep(0.5)
    executor.shutdown()
    for each in (future, waiting):
        with pytest.raises(Lost):
            each.result(10)
    until(lambda: not children(), 5.0)


def test_of_packs_that_wait_the_lowest_priority_goes_first(
    executor: LocalExecutor, rows: Rows
) -> None:
    ended, lock = list[int](), threading.Lock()

    def end(number: int, _: object) -> None:
        with lock:
            ended.append(number)

    futures = [executor.submit(pack_of([job(fragile.SLOW)], rows), 0)]
    time.sleep(0.2)
    for priority in (3, 1, 2):
        future = executor.submit(pack_of([job(priority)], rows), priority)
        future.add_done_callback(partial(end, priority))
        futures.append(future)
    for future in futures:
        future.result(30)
    assert ended == [1, 2, 3]


def test_a_process_that_was_killed_while_it_waited_is_replaced(
    executor: LocalExecutor, rows: Rows
) -> None:
    assert result(executor, pack_of([job(1)], rows))[0].outcome.complete
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    assert result(executor, pack_of([job(2)], rows))[0].outcome.complete
    assert child not in children()


def test_a_process_that_has_grown_is_replaced_when_it_is_idle(
    executor: LocalExecutor, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    result(executor, pack_of([job(4)], rows))
    before = children()
    result(executor, pack_of([job(4)], rows))
    assert children() == before
    monkeypatch.setattr(train, "MOST_MEMORY", 1)
    assert result(executor, pack_of([job(4)], rows))[0].outcome.complete
    until(lambda: children() != before, 5.0)
    assert result(executor, pack_of([job(5)], rows))[0].outcome.complete


def test_a_pack_in_flight_survives_that_its_process_has_grown(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "MOST_MEMORY", 1)
    executor = LocalExecutor(fragile.ID, Limits(threads=2))
    executor.open(rows)
    futures = [
        executor.submit(pack_of([job(units), job(fragile.SLOW)], rows), 0) for units in range(1, 5)
    ]
    assert all(t.outcome.complete for future in futures for t in future.result(60))
    executor.shutdown()


def test_the_second_pack_of_an_engine_that_wants_one_fills_the_threads_of_the_first(
    rows: Rows,
) -> None:
    for threads, slots in ((1, 1), (2, 2)):
        executor = LocalExecutor(fragile.ID, Limits(threads=threads))
        assert executor.slots == slots
        executor.shutdown()


def test_threads_that_change_the_figures_are_those_of_the_study(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "fragile", replace(fragile.KIND, by_threads=True))
    executor = LocalExecutor("fragile/1/cpu/1 threads", Limits(threads=2))
    until(lambda: len(children()) == 1, 5.0)  # until it has its own name, it has none
    (child,) = children()
    assert psutil.Process(child).environ()["OMP_NUM_THREADS"] == "1"
    assert executor.slots == 1
    executor.shutdown()
