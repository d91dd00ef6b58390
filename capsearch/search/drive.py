"""How a plan is trained: the engine is kept busy while results are stored, told and logged."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from capsearch.records import Job, Outcome, Study, Trial
from capsearch.search.plan import Plan
from capsearch.storage import StudyStore

OnTrial = Callable[[Trial], None]
AHEAD = 2  # packs that are with the engine at once


class Trainer(Protocol):
    """What trains: `EngineProcess`, or a stand-in. Packs are collected as they were submitted."""

    name: str
    pack: int

    def submit(self, jobs: Sequence[Job]) -> None: ...
    def collect(self) -> list[Outcome]: ...


def drive(
    plan: Plan, study: Study, store: StudyStore, engine: Trainer, on_trial: OnTrial
) -> list[Trial]:
    """Train everything in the plan; returns the ended trials in the order they ended.

    A trial whose outcome is stored is not trained again. Outcomes are stored before anybody hears
    of them.
    """
    ended: list[Trial] = []

    def settle(trial: Trial, outcome: Outcome) -> None:
        ended.append(trial.ended(outcome))
        plan.tell(ended[-1])
        on_trial(ended[-1])

    def next_pack() -> list[Trial]:
        while batch := plan.take(engine.pack):
            known = [(trial, store.outcome(study, trial.job)) for trial in batch]
            for trial, outcome in known:
                if outcome is not None:
                    settle(trial, outcome)
            if pack := [trial for trial, outcome in known if outcome is None]:
                return pack
        return []

    flying = deque[list[Trial]]()
    while True:
        while len(flying) < AHEAD and (pack := next_pack()):
            engine.submit([trial.job for trial in pack])
            flying.append(pack)
        if not flying:
            return ended
        outcomes, pack = engine.collect(), flying.popleft()
        store.save(study, engine.name, [(t.job, o) for t, o in zip(pack, outcomes, strict=True)])
        for trial, outcome in zip(pack, outcomes, strict=True):
            settle(trial, outcome)
