"""An engine in a child process, which is replaced when it dies, hangs or grows.

The driver submits packs of jobs, the next one while the last still trains, and collects outcomes;
what it does in between overlaps with training. The jobs of a pack whose child was lost are tried
once more, one at a time, so that only the job that brings a process down is marked failed.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from capsearch.engines.child import Child, ChildFailed, lookup
from capsearch.records import Job, Outcome

RESIDENT = (
    1_200_000_000  # bytes; TensorFlow keeps a little of every graph, so its child is replaced
)
TRAIN = "capsearch.engines.process:train"


@dataclass(frozen=True)
class Kind:
    """An engine's class as 'module:name', how many jobs it takes at once, and how many packs."""

    engine: str
    pack: int
    abreast: int  # the second pack fills the threads that the first one leaves idle at its end


ENGINES = {
    "packed": Kind("capsearch.engines.packed:PackedEngine", pack=16, abreast=2),
    "fit": Kind("capsearch.engines.fit:FitEngine", pack=1, abreast=1),
}


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    threads: int
    seconds_per_job: float
    memory: float = inf  # bytes


class EngineProcess:
    """The engine of a study, in a child that is replaced when it dies, over the `data` it is given.

    The first child starts at once, and imports what it needs while the driver does.
    """

    def __init__(self, name: str, limits: Limits, data: Path | None = None) -> None:
        self.name, self._kind = name, ENGINES[name]
        self.pack = self._kind.pack
        self.data, self._limits = data, limits
        self._child: Child | None = self._start()
        self._flying = deque[Sequence[Job]]()  # packs submitted and not collected, oldest first
        self._began = 0.0  # when the oldest of them became the oldest

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start training, or have it started when the pack before leaves room; returns at once."""
        if not self._flying:
            self._began = time.monotonic()
        self._flying.append(jobs)
        self._send(jobs)

    def ready(self, wait: float) -> bool:
        """Whether `collect` would return, or replace the child; waits so many seconds for it."""
        if self._child is None or not self._flying:
            return True
        allowed = self._limits.seconds_per_job * len(self._flying[0])
        left = self._began + allowed - time.monotonic()
        done = self._child.ready(min(wait, left))
        return done or left <= wait or self._child.resident > self._limits.memory

    def collect(self) -> list[Outcome]:
        """The outcomes of the oldest pack submitted, in the order of its jobs; waits for them."""
        jobs = self._flying.popleft()
        try:
            outcomes = self._receive(len(jobs), time.monotonic() - self._began)
        except ChildFailed:
            outcomes = [self._again(job) for job in jobs]
            self._send(*self._flying)
        self._began = time.monotonic()
        if self._child is not None and self._child.resident > RESIDENT:
            self.close()
            self._send(*self._flying)
        return outcomes

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _again(self, job: Job) -> Outcome:
        """The second and last try of a job, alone in a child."""
        self._send([job])
        try:
            return self._receive(1, 0.0)[0]
        except ChildFailed as failure:
            return Outcome.failed(str(failure))

    def _send(self, *packs: Sequence[Job]) -> None:
        for jobs in packs:
            self._child = self._child or self._start()
            self._child.send(TRAIN, self._kind.engine, self.data, tuple(jobs))

    def _start(self) -> Child:
        module = self._kind.engine.partition(":")[0]
        return Child(self._limits.threads, self._kind.abreast, imports=module)

    def _receive(self, jobs: int, waited: float) -> list[Outcome]:
        assert self._child is not None  # submit comes before collect
        allowed = self._limits.seconds_per_job * jobs
        try:
            answer = self._child.receive(max(allowed - waited, 0.0), self._limits.memory)
        except ChildFailed as failure:
            self.close()
            if str(failure).startswith("timed out"):
                raise ChildFailed(f"timed out after {allowed:.0f} s") from None
            raise
        outcomes: list[Outcome] = answer
        return outcomes


# ---- What runs in the child ----------------------------------------------------------------------

_state: dict[Any, Any] = {}  # the engine and the data, made on the first call
_making = threading.Lock()


def train(engine: str, folder: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Train in this process, with the engine and the data of the calls before."""
    with _making:
        if (engine, folder) not in _state:
            from capsearch.data import cache  # the child alone needs the rows

            _state[engine, folder] = (lookup(engine)(), cache.load(folder))
    instance, data = _state[engine, folder]
    return [trained.outcome for trained in instance.train(jobs, data)]
