"""The Dask executor keeps the contract on the workers of a cluster, which share nothing with it."""

import asyncio
import gc
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import dask
import psutil
import pytest

from capsearch.executors import Executor, Rows
from capsearch.executors import dask as executor_module
from capsearch.executors.dask import DaskExecutor
from tests.contracts.executor import GuardedContract, Start, pack_of, rows
from tests.engines import fragile
from tests.engines.fragile import job
from tests.faults.cluster import Cluster
from tests.place import importable, until

__all__ = ["rows"]
pytestmark = pytest.mark.integration
PRELOAD = """
from capsearch.engines.registry import ENGINES
from tests.engines import fragile
ENGINES["fragile"] = fragile.KIND
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that know the tests' own engine."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "preload.py").write_text(PRELOAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", importable()["PYTHONPATH"])
        cluster = Cluster(folder, workers=0)
        for _ in range(2):
            cluster.add("--preload", str(folder / "preload.py"))
        with cluster:
            yield cluster


@pytest.fixture
def start(cluster: Cluster, rows: Rows) -> Iterator[Start]:
    with ExitStack() as stack:

        def starting(_: str) -> Executor:
            executor = DaskExecutor(cluster.address, print)
            stack.callback(executor.shutdown)
            executor.open(rows)
            until(lambda: executor.slots > 2)  # both workers have been asked for their versions
            return executor

        yield starting


class TestDask(GuardedContract):
    @pytest.fixture(autouse=True)
    def empty(self, cluster: Cluster) -> None:
        """No rows of an earlier test are on the workers."""
        for number in cluster.workers:
            shutil.rmtree(cluster.cache(number), ignore_errors=True)


def test_a_pack_whose_end_is_noticed_late_costs_no_other_one(
    start: Start, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task was released by then, which Dask calls cancelled, as it calls those of a scheduler
    that has gone."""
    freed = DaskExecutor._freed

    def late(executor: DaskExecutor, task: Any) -> None:
        time.sleep(1.5)
        freed(executor, task)

    monkeypatch.setattr(DaskExecutor, "_freed", late)
    executor = start(fragile.ID)
    slow = executor.submit(pack_of([job(fragile.SLOW)] * 8, rows), 0)
    quick = executor.submit(pack_of([job(1)], rows), 1)
    assert quick.result(60)[0].outcome.complete
    assert all(trained.outcome.complete for trained in slow.result(60))


def test_a_worker_that_is_stopped_holds_up_nobody(
    cluster: Cluster, rows: Rows, start: Start
) -> None:
    """It is there for the scheduler, and does not say of which version it is."""
    start(fragile.ID)  # both have joined
    first = next(iter(cluster.workers))
    below = psutil.Process(cluster.workers[first].pid).children(recursive=True)
    for process in below:
        process.suspend()
    executor = DaskExecutor(cluster.address, print)
    try:
        executor.open(rows)
        until(lambda: executor.slots > 0, 20.0)
        assert executor.submit(pack_of([job(1)], rows), 0).result(30)[0].outcome.complete
    finally:
        for process in below:
            with suppress(psutil.NoSuchProcess):  # it may have been replaced meanwhile
                process.resume()
        executor.shutdown()


def test_no_worker_is_missed_while_the_client_refreshes_what_it_knows_of_the_cluster(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own cache has no workers in it, and it was once taken for all there are."""
    monkeypatch.setattr(executor_module, "LOOK", 0.01)
    with dask.config.set({"distributed.client.scheduler-info-interval": "1ms"}):
        executor, ends, seen = start(fragile.ID), time.monotonic() + 3.0, set[int]()
        while time.monotonic() < ends:
            seen.add(executor.slots)
            time.sleep(0.001)
    assert seen == {3}


def test_what_is_lost_in_the_loop_of_the_client_is_said_to_nobody(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Dask's own task raises there, when a worker goes away while its result is fetched."""
    executor: Any = start(fragile.ID)
    loop = executor._client.loop.asyncio_loop

    async def lost() -> None:
        raise RuntimeError("lost")

    async def left_alone() -> None:
        asyncio.ensure_future(lost())  # noqa: RUF006 -- that nobody holds it is the point
        await asyncio.sleep(0.1)
        gc.collect()

    asyncio.run_coroutine_threadsafe(left_alone(), loop).result(10)
    assert "lost" not in caplog.text
