"""A whole crew in threads of this process, on a real database, with engines that only pretend."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

import sqlalchemy as sa

from capsearch import search
from capsearch.records import Outcome, Trial
from capsearch.storage import LeadLost, StudyStore
from capsearch.storage.tables import jobs
from tests.fakes import FakeEngine, spec_of, study_of

SPEC = spec_of()
STUDY = study_of(SPEC)
SPACE = SPEC.space_for(20)
BUDGET = 4  # trials of each of the three rungs


@dataclass
class Slow(FakeEngine):
    """Takes a moment for every pack."""

    seconds: float = 0.05

    def ready(self, wait: float) -> bool:
        time.sleep(self.seconds)
        return True


@dataclass
class Crew:
    """So many workers on one study, until one of them has led it to its end."""

    url: str
    size: int = 3
    lease: float = 30.0
    ended: list[Trial] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Sequence[threading.Thread]:
        with closing(StudyStore(self.url)) as store:
            store.begin(STUDY)
        crew = [threading.Thread(target=self._work) for _ in range(self.size)]
        for thread in crew:
            thread.start()
        return crew

    def run(self) -> list[Trial]:
        """The trials of the study, once the crew has ended; raises what ended a worker."""
        return self.wait(self.start())

    def wait(self, crew: Sequence[threading.Thread]) -> list[Trial]:
        for thread in crew:
            thread.join(300)
        if self.errors:
            raise self.errors[0]
        return sorted(self.ended, key=lambda t: t.id)

    def _work(self) -> None:
        try:
            with (
                closing(StudyStore(self.url)) as store,
                store.member(STUDY, "worker", 1, self.lease) as member,
            ):
                board = store.board(STUDY)
                hand = search.Hand(board, member, Slow(pack=2))
                while not self.done.is_set():
                    if member.lead():
                        with suppress(LeadLost):
                            plan = search.Ladder.of(STUDY, SPEC, SPACE, store)
                            foreman = search.Foreman(plan, board, member, lambda _: None)
                            self.ended = search.drive(foreman, hand)
                            self.done.set()
                    hand.step(0.02)
        except BaseException as error:
            self.errors.append(error)
            self.done.set()


def trained(store: StudyStore) -> int:
    """How many jobs have ended."""
    count = sa.select(sa.func.count()).where(jobs.c.outcome.is_not(None))
    return store.database.read(lambda c: c.execute(count).scalar_one())


def check_counted_once(store: StudyStore) -> dict[str, Outcome]:
    """Every rung has its budget in Optuna, and every job that is no longer open one outcome."""
    for rung in range(3):
        drawn = store.optuna_trials(f"{STUDY.key}/rung-{rung}", 1)
        assert len(drawn) == BUDGET
        assert {t.state.name for t in drawn} <= {"COMPLETE", "FAIL"}
    left = sa.select(jobs.c.job).where(jobs.c.outcome.is_(None) | jobs.c.worker.is_not(None))
    assert store.database.read(lambda c: c.execute(left).all()) == []
    outcomes = dict(store.board(STUDY).outcomes())
    lost = sa.select(jobs.c.job).where(jobs.c.lost >= 2)
    failed = {key for key, outcome in outcomes.items() if not outcome.complete}
    assert failed == set(store.database.read(lambda c: c.execute(lost).scalars().all()))
    return outcomes
