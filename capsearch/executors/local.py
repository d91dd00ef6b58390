"""The local executor: child processes of the driver, on its own machine."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue
from typing import Any

from capsearch.engines.base import Trained
from capsearch.executors.base import Limits, Pack, Rows
from capsearch.executors.train import Guard


class LocalExecutor:
    """So many `workers`, each a process with the threads of `limits`.

    The processes start at once, and import what they need while the driver reads the data.
    """

    def __init__(self, engine: str, limits: Limits, workers: int = 1) -> None:
        self._guards = [Guard(engine, limits) for _ in range(workers)]
        self._waiting: PriorityQueue[Any] = PriorityQueue()
        self._number = count()
        self._threads = [
            threading.Thread(target=self._work, args=(guard,), name="pack", daemon=True)
            for guard in self._guards
            for _ in range(guard.abreast)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def slots(self) -> int:
        return len(self._threads)

    def open(self, rows: Rows) -> None:
        self._rows = rows

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        future = Future[Sequence[Trained]]()
        self._waiting.put((priority, next(self._number), pack, future))
        return future

    def shutdown(self) -> None:
        for guard in self._guards:
            guard.close()

    def _work(self, guard: Guard) -> None:
        """One thread of one process: a pack after another, as long as the driver lives."""
        while True:
            _, _, pack, future = self._waiting.get()
            try:
                future.set_result(guard.train_pack(pack, self._rows.folder))
            except BaseException as error:  # the driver's to hear, whatever it is
                future.set_exception(error)
