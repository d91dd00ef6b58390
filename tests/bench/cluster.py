"""A Dask scheduler and workers of one thread each, as processes of their own on loopback."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import distributed
import psutil

from tests.bench.child import ROOT
from tests.bench.sleeper import MARKS, SECONDS
from tests.servers import free_port


class Cluster:
    """From `with` to its end; workers train with the engine that sleeps, and note it in `marks`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.address, self.marks = f"tcp://127.0.0.1:{free_port()}", folder / "marks"
        self._folder = folder
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT), "CAPSEARCH_CACHE": str(folder / "cache"),
            SECONDS: str(seconds), MARKS: str(self.marks),
        }  # fmt: skip
        self._processes = list[subprocess.Popen[bytes]]()

    def __enter__(self) -> Self:
        self.marks.mkdir()
        host, _, port = self.address.removeprefix("tcp://").partition(":")
        self._start("scheduler", "--host", host, "--port", port)
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()

    @property
    def workers(self) -> int:
        return len(self._processes) - 1

    def grow(self, workers: int) -> None:
        """Have so many workers, all of them known to the scheduler."""
        while self.workers < workers:
            self._start(
                "worker", self.address, "--nthreads", "1", "--no-nanny", "--memory-limit", "0",
                "--preload", "tests.bench.sleeper", "--local-directory", str(self._folder),
            )  # fmt: skip
        with distributed.Client(self.address, timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=180)

    def used(self) -> tuple[float, float]:
        """Processor seconds so far: of the scheduler, and of all workers with their children."""
        scheduler, *workers = (_used(process.pid) for process in self._processes)
        return scheduler, sum(workers)

    def forget(self) -> None:
        """Empty the marks; processes that sleep go on in new files."""
        for file in self.marks.iterdir():
            file.unlink()

    def _start(self, *command: str) -> None:
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--no-dashboard"],
                env=self._environment, cwd=self._folder,
                stdout=subprocess.DEVNULL, stderr=(self._folder / "log").open("ab"),
            )
        )  # fmt: skip


def _used(pid: int) -> float:
    """Of a process and its children, ended ones that it waited for included."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
