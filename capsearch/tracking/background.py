"""A tracker that writes in a thread of its own, so that training never waits for a server."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from capsearch.errors import CapsearchError
from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import May, Tracker, always

ENDING = 3.0  # seconds that what is being written has, when the process ends


class BackgroundTracker:
    """Hands everything, in order, to the tracker that `make` returns. `finish` waits for it all.

    `make` is given the `may` that its tracker has to ask before each step.
    """

    def __init__(self, make: Callable[[May], Tracker], may: May = always) -> None:
        self._may, self._stopping = may, False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._made: Future[Tracker] = self._pool.submit(make, self._allowed)
        self._queued: list[Future[None]] = []

    @property
    def missing(self) -> int:
        self._wait()
        return self._made.result().missing

    def begin(self, study: Study) -> None:
        self._queued.append(self._pool.submit(lambda: self._made.result().begin(study)))

    def log(self, trial: Trial) -> None:
        self._queued.append(self._pool.submit(lambda: self._made.result().log(trial)))

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self._wait()
        return self._made.result().finish(record, report, figures, model)

    def close(self) -> None:
        """Drop what waits (the next run finds it missing) and close the tracker."""
        self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        if wait(self._running(), ENDING).not_done:  # it imports MLflow, or a server is deaf
            return
        self._stopping = False
        if not self._made.cancelled() and self._made.exception() is None:
            self._made.result().close()

    def _running(self) -> "list[Future[Any]]":
        calls: list[Future[Any]] = [self._made, *self._queued]
        return [call for call in calls if call.running()]

    def _allowed(self) -> bool:
        try:
            return not self._stopping and self._may()
        except CapsearchError:  # who drives finds out by itself that its storage is away
            return False

    def _wait(self) -> None:
        """For all that was handed over; raises what a tracker let through, which is a mistake."""
        while self._queued:
            self._queued.pop(0).result()
