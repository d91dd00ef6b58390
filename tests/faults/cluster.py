"""A Dask cluster as people start one: a scheduler and workers, each a command of its own.

Workers share nothing: home, cache, current folder and local folder differ. The scheduler cannot
import capsearch. Whoever ends is started again, as by systemd, unless it was `away`.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.faults.place import trainers, until
from tests.servers import free_port

SCHEDULER = (
    "import sys; sys.modules['capsearch'] = None; "
    "from distributed.cli.dask_scheduler import main; main()"
)
WORKER = "from distributed.cli.dask_worker import main; main()"
KEPT = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")  # of the environment


class Cluster:
    """Runs from `with` to its end, on a port of its own. Each worker has one thread."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder, self._port = folder, free_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.options: dict[int, tuple[str, ...]] = dict.fromkeys(range(workers), ())
        self.away: set[int] = set()  # workers that are not there, or not any more
        self.scheduler_away = False
        self._changing, self._ended = threading.Lock(), threading.Event()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mend()
        assert until(self.answers, 60.0), self.said("scheduler")
        self._keeper = threading.Thread(target=self._keep, name="cluster", daemon=True)
        self._keeper.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._ended.set()
        self._keeper.join()
        for process in (*self.workers.values(), self.scheduler):
            if process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def answers(self) -> bool:
        """Whether somebody listens at the scheduler's port."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def add(self, *options: str) -> int:
        """One more worker, from now on; its number."""
        with self._changing:
            number = len(self.options)
            self.options[number] = options
        return number

    def remove(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End a worker, which does not come back."""
        with self._changing:
            self.away.add(number)
            if (process := self.workers.pop(number, None)) is not None:
                os.killpg(process.pid, how)
                process.wait()

    def pids(self) -> list[int]:
        """Of the workers, or of the nannies that keep them."""
        with self._changing:
            return [process.pid for process in self.workers.values() if process.poll() is None]

    def trainers(self) -> list[int]:
        return trainers(*self.pids())

    def tree(self) -> list[int]:
        """Every process of the workers."""
        found = []
        for pid in self.pids():
            with suppress(psutil.Error):
                below = psutil.Process(pid).children(recursive=True)
                found += [pid, *(child.pid for child in below)]
        return found

    def cache(self, number: int) -> Path:
        return self.folder / f"worker-{number}" / "cache"

    def said(self, who: str) -> str:
        return (self.folder / f"{who}.log").read_text()

    def _keep(self) -> None:
        while not self._ended.wait(0.1):
            self._mend()

    def _mend(self) -> None:
        """Start whoever is not there."""
        with self._changing:
            scheduler = self.scheduler
            if (scheduler is None or scheduler.poll() is not None) and not self.scheduler_away:
                listen = ("--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard")
                self.scheduler = self._start("scheduler", SCHEDULER, listen, {})
            for number, options in self.options.items():
                worker = self.workers.get(number)
                if number in self.away or (worker is not None and worker.poll() is None):
                    continue
                name = f"worker-{number}"
                own = {"CAPSEARCH_CACHE": str(self.cache(number))}
                ask = (self.address, "--nthreads", "1", "--nworkers", "1", "--no-dashboard")
                local = ("--local-directory", str(self.folder / name / "dask"))
                self.workers[number] = self._start(name, WORKER, (*ask, *local, *options), own)

    def _start(
        self, name: str, code: str, options: tuple[str, ...], more: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = {key: os.environ[key] for key in KEPT if key in os.environ}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", code, *options],
                cwd=home, env=environment | {"HOME": str(home)} | more,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
