"""A tracker that writes in a thread of its own, so that training never waits for a server."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import Tracker


class BackgroundTracker:
    """Hands everything to the tracker that `make` returns, in order. `finish` waits for it all.

    Trials are written while the process `may`, and wait otherwise: one that slept through the end
    of its lead would write what another has written meanwhile.
    """

    def __init__(self, make: Callable[[], Tracker], may: Callable[[], bool] = lambda: True) -> None:
        self._may, self._waiting = may, deque[Trial]()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._made: Future[Tracker] = self._pool.submit(make)
        self._left: list[Future[None]] = []

    @property
    def missing(self) -> int:
        self._settle(wait=True)
        return self._made.result().missing + len(self._waiting)

    def begin(self, study: Study) -> None:
        self._left.append(self._pool.submit(lambda: self._made.result().begin(study)))

    def log(self, trial: Trial) -> None:
        self._settle(wait=False)
        self._waiting.append(trial)
        self._left.append(self._pool.submit(self._write))

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self._left.append(self._pool.submit(self._write))
        self._settle(wait=True)
        return self._made.result().finish(record, report, figures, model)

    def close(self) -> None:
        """Drop what waits (the next run finds it missing) and close the tracker."""
        self._may = lambda: False
        self._pool.shutdown(wait=True, cancel_futures=True)
        if not self._made.cancelled() and self._made.exception() is None:
            self._made.result().close()

    def _write(self) -> None:
        while self._waiting and self._may():
            self._made.result().log(self._waiting[0])
            self._waiting.popleft()

    def _settle(self, *, wait: bool) -> None:
        """Raise what a write raised; a bad address is the caller's to hear of."""
        for done in [f for f in self._left if wait or f.done()]:
            self._left.remove(done)
            done.result()
