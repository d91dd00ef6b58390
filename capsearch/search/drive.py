"""How a plan is trained: the leader puts jobs up on the board, hands take and settle them.

A study that one process runs and one that forty run take the same road: the process that leads is
a hand, too. What is suggested depends on the plan alone, so it is the same for any number of hands.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from capsearch.records import Job, Outcome, Trial
from capsearch.search.plan import Plan
from capsearch.storage import Board, Member
from capsearch.storage.board import Ended

OnTrial = Callable[[Trial], None]
AHEAD = 2  # packs that are with the engine at once
EVERYTHING = 1 << 30
LOOK = 0.1  # seconds between looks at what other workers have done


class Trainer(Protocol):
    """What trains: `EngineProcess`, or a stand-in. Packs are collected as they were submitted."""

    name: str
    pack: int

    def submit(self, jobs: Sequence[Job]) -> None: ...
    def ready(self, wait: float) -> bool: ...
    def collect(self) -> list[Outcome]: ...


class Hand:
    """Trains what is on the board: takes jobs for its engine, and settles them."""

    def __init__(self, board: Board, member: Member, engine: Trainer) -> None:
        self._board, self._member, self._engine = board, member, engine
        self._flying = deque[list[Job]]()

    def step(self, wait: float = LOOK) -> None:
        """Keep the engine busy; waits so many seconds for it, or for jobs to take.

        One pack is taken at a time: others take their first before this one takes its next, so that
        rounds of several rungs end one after another, and there is always something to train.
        """
        if len(self._flying) < AHEAD and (pack := self._take()):
            self._engine.submit(pack)
            self._flying.append(pack)
        if not self._flying:
            time.sleep(wait)
        elif self._engine.ready(wait):
            outcomes, pack = self._engine.collect(), self._flying.popleft()
            self._board.settle(self._engine.name, list(zip(pack, outcomes, strict=True)))

    def _take(self) -> list[Job]:
        if not self._member.threads:
            return []
        holding = [job.key for pack in self._flying for job in pack]
        return self._board.take(self._member, self._engine.pack, holding)


class Foreman:
    """Leads one plan: puts its jobs up, and passes on what has ended."""

    def __init__(self, plan: Plan, board: Board, member: Member, on_trial: OnTrial) -> None:
        self._plan, self._board, self._member, self._on_trial = plan, board, member, on_trial
        self._open: dict[str, list[Trial]] = {}  # by the key of the job; trials may share one
        self.ended: list[Trial] = []
        self.trained = 0  # in this run: neither read back, nor another trial's job

    @property
    def done(self) -> bool:
        """Nothing is open, and the plan had nothing more to give."""
        return not self._open

    @property
    def open(self) -> int:
        """How many trainings have been put up and have not ended."""
        return len(self._open)

    def step(self) -> None:
        """Pass on what has ended, then put up what can start, then store. Raises LeadLost."""
        self._member.insist()
        for key, outcome in self._outcomes(list(self._open)).items():
            self.trained += 1
            for trial in self._open.pop(key):
                self._settle(trial, outcome)
        while fresh := self._plan.take(EVERYTHING):
            self._put_up(fresh)
        self._plan.keep()

    def _put_up(self, trials: Sequence[Trial]) -> None:
        """A trial whose job has ended, in an earlier run or for another trial, is not trained."""
        known = self._outcomes([trial.job.key for trial in trials])
        self._board.put_up([trial.job for trial in trials if trial.job.key not in known])
        for trial in trials:
            if trial.job.key not in known:
                self._open.setdefault(trial.job.key, []).append(trial)
        for trial in trials:
            if (outcome := known.get(trial.job.key)) is not None:
                self._settle(trial, outcome)

    def _outcomes(self, keys: Sequence[str]) -> Ended:
        return self._board.outcomes(keys, losses=self._plan.losses)

    def _settle(self, trial: Trial, outcome: Outcome) -> None:
        self.ended.append(trial.ended(outcome))
        self._plan.tell(self.ended[-1])
        self._on_trial(self.ended[-1])


def drive(foreman: Foreman, hand: Hand, tick: Callable[[], None] = lambda: None) -> list[Trial]:
    """Have everything in the plan trained; returns the trials in the order in which they ended.

    Outcomes are stored before anybody hears of them. `tick` is called all the while. Raises
    LeadLost.
    """
    while True:
        foreman.step()
        if foreman.done:
            return foreman.ended
        tick()
        hand.step()
