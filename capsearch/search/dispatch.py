"""How a plan is trained: packs go to an executor, outcomes into the storage, then to the plan.

What is suggested depends on the plan alone, so a study ends the same whoever trains, in whatever
packs, and however often it was cut. An outcome is stored before anybody hears of it.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

import numpy as np

from capsearch.engines.base import Trained
from capsearch.engines.registry import engine_of
from capsearch.errors import CapsearchError, Interrupted
from capsearch.executors.base import Executor, Limits, Lost, Pack
from capsearch.records import Job, Outcome, Trial
from capsearch.search.plan import Plan

LOOK = 0.1  # seconds that are waited for a pack before the next look at deadline and signals
MOST_STARTS = 6  # of one training; when the last of them is lost too, it fails
OnTrial = Callable[[Trial], None]


class Ledger(Protocol):
    """Where trials and outcomes are stored: `StudyWriter`, or a stand-in."""

    def add(self, planned: Sequence[Trial]) -> None: ...
    def start(self, jobs: Collection[str]) -> None: ...
    def give_back(self, jobs: Collection[str]) -> None: ...
    def end(
        self,
        job: str,
        outcome: Outcome,
        outputs: np.ndarray | None = None,
        weights: Sequence[np.ndarray] = (),
    ) -> None: ...


@dataclass
class Dispatcher:
    """Trains the jobs of plans, each once.

    Args:
        executor: carries packs; opened for the rows.
        ledger: the study's storage.
        engine: id of the study's engine.
        rows: key of the study's prepared rows.
        limits: of a process that trains.
        patience: seconds that no worker at all may be there.
        outcomes: those that are stored, by the key of their job.
        starts: trainings that were started and not ended, by the key of their job.
    """

    executor: Executor
    ledger: Ledger
    engine: str
    rows: str
    limits: Limits
    patience: float = 60.0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    trained: int = 0  # in this run
    _waiting: deque[Job] = field(default_factory=deque)
    _open: dict[str, list[Trial]] = field(default_factory=dict)  # trials may share a job
    _flying: dict["Future[Sequence[Trained]]", Pack] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)  # jobs whose latest start has no end yet

    @property
    def open(self) -> int:
        """How many trainings are planned and have not ended."""
        return len(self._open)

    def train(
        self, plan: Plan, on_trial: OnTrial, tick: Callable[[], None], *, keep: bool = False
    ) -> list[Trial]:
        """Have everything in the plan trained.

        Args:
            plan: what to train; it hears of every trial that ends.
            on_trial: called with every trial that ends in this call.
            tick: called all the while; what it raises ends the call.
            keep: outputs and weights as well, as a choice of replicates needs them.

        Returns:
            The trials that ended, in that order.

        Raises:
            Interrupted: there was no worker for longer than `patience`.
        """
        ended, seen = list[Trial](), time.monotonic()

        def tell(trial: Trial) -> None:
            ended.append(trial)
            plan.tell(trial)
            on_trial(trial)

        try:
            while True:
                while fresh := plan.take():
                    self._plan(fresh, tell)
                self._submit(keep)
                if not self._open:
                    return ended
                tick()
                if self.executor.slots:
                    seen = time.monotonic()
                elif time.monotonic() - seen > self.patience:
                    raise Interrupted(
                        f"no worker was there to train for {self.patience:.0f} s. Run the same "
                        "command again to continue"
                    )
                self._collect(tell)
        except BaseException:
            self._give_back()
            raise

    def _plan(self, trials: Sequence[Trial], tell: OnTrial) -> None:
        """A training that has ended, in an earlier run or for another trial, is not repeated."""
        self.ledger.add(trials)
        for trial in trials:
            key = trial.job.key
            if (known := self.outcomes.get(key)) is not None:
                self.ledger.end(key, known)
                tell(trial.ended(known))
            elif key in self._open:
                self._open[key].append(trial)
            else:
                self._open[key] = [trial]
                self._enqueue(trial.job, tell)

    def _submit(self, keep: bool) -> None:
        """Keep every slot busy. Work is spread over them; what was lost before trains alone."""
        while self._waiting and len(self._flying) < (slots := self.executor.slots):
            most = min(engine_of(self.engine)[0].pack, ceil(len(self._waiting) / slots))
            jobs = [self._waiting.popleft()]
            while self._waiting and len(jobs) < most and not self._risky(jobs[0]):
                if self._risky(self._waiting[0]):
                    break
                jobs.append(self._waiting.popleft())
            self.ledger.start([job.key for job in jobs])
            for job in jobs:
                self.starts[job.key] = self.starts.get(job.key, 0) + 1
                self._started.add(job.key)
            pack = Pack(self.engine, tuple(jobs), self.rows, self.limits, keep)
            self._flying[self.executor.submit(pack, self.trained + len(self._flying))] = pack

    def _risky(self, job: Job) -> bool:
        """Started twice and never ended: were it lost again, it should not take others along."""
        return self.starts.get(job.key, 0) > 1

    def _collect(self, tell: OnTrial) -> None:
        if not self._flying:
            time.sleep(LOOK)
        done, _ = wait(self._flying, LOOK, FIRST_COMPLETED)
        for future in done:
            pack = self._flying.pop(future)
            try:
                results = future.result()
            except Lost:
                for job in pack.jobs:
                    self._started.discard(job.key)
                    self._enqueue(job, tell)
                continue
            for job, result in zip(pack.jobs, results, strict=True):
                self._settle(job, result, tell)

    def _enqueue(self, job: Job, tell: OnTrial) -> None:
        """One that was started too often without an end fails: it takes its workers with it."""
        if self.starts.get(job.key, 0) >= MOST_STARTS:
            text = f"lost: what trained it went away {MOST_STARTS} times"
            self._settle(job, Trained(Outcome.failed("lost", text), ()), tell)
        else:
            self._waiting.append(job)

    def _settle(self, job: Job, result: Trained, tell: OnTrial) -> None:
        self.ledger.end(job.key, result.outcome, result.outputs, result.weights)
        self._started.discard(job.key)
        self.outcomes[job.key] = result.outcome
        self.trained += 1
        for trial in self._open.pop(job.key):
            tell(trial.ended(result.outcome))

    def _give_back(self) -> None:
        """Trainings that an ordered end interrupts were not lost: nobody counts them."""
        with suppress(CapsearchError):
            if self._started:
                self.ledger.give_back(self._started)
