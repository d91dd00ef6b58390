"""The one worker that leads: plans the search and the replicates, and tells of every trial."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from capsearch import search
from capsearch.errors import CapsearchError
from capsearch.records import Trial
from capsearch.search import Foreman, Hand, Ladder, Pace
from capsearch.storage import Member
from capsearch.study import Opened, reasons
from capsearch.tracking import Tracker

NEARLY = 16  # trials before the end of the search: what the end needs is loaded meanwhile


class Watcher(Protocol):
    """Whoever looks on: the terminal, a log, or nobody."""

    def phase(self, name: str, total: int = 0) -> None: ...
    def trial(self, trial: Trial) -> None: ...
    def warn(self, message: str) -> None: ...
    def note(self, message: str) -> None: ...


@dataclass(frozen=True)
class Leader:
    """Has a study's trials trained by all of its workers. What is stored is not trained again."""

    opened: Opened
    member: Member
    hand: Hand
    tracker: Tracker
    watch: Watcher
    check: Callable[[], None]  # raises when there is nobody left who trains

    def train_candidates(self, nearly_done: Callable[[], None]) -> list[Trial]:
        """Baselines and candidates. While the last ones train, loads for the end can begin."""
        opened, asked = self.opened, self.opened.spec
        planned = len(asked.baseline) + asked.search.trials
        self.watch.phase("search", planned)
        row = opened.store.row(opened.study)
        ladder = Ladder.of(opened.study, asked, opened.space, opened.store)
        ladder.stopped = row is not None and row.cut is not None
        if opened.where.workers > ladder.width:
            self.watch.note(
                f"{ladder.width} trials at most are open at once while the search grows: not all "
                f"of {opened.where.workers} workers have work. A larger budget (search.trials) "
                "opens more"
            )
        pace = Pace()

        def seen(trial: Trial) -> None:
            self._seen(trial)
            left = planned - len(foreman.ended)
            if left == NEARLY or (left == 0 and planned < NEARLY):
                nearly_done()

        foreman = self._foreman(ladder, seen)

        def tick() -> None:
            self._tick()
            if not ladder.stopped and self._must_stop(foreman, pace):
                ladder.stopped = True
                opened.store.cut(
                    opened.study,
                    f"the search ended before its budget of {asked.search.trials} trials: the "
                    "deadline left time for the replicates alone",
                )

        return search.drive(foreman, self.hand, tick)

    def train_replicates(self, trials: list[Trial]) -> list[Trial]:
        """The finalists and the baselines again, from fresh seeds."""
        waiting = search.replicate_trials(self.opened.spec, trials)
        if not waiting:
            name = self.opened.study.name
            raise CapsearchError(f"every trial of {name} failed: {reasons(trials)}")
        self.watch.phase("replicates", len(waiting))
        foreman = self._foreman(search.Listed(waiting), self._seen)
        return search.drive(foreman, self.hand, self._tick)

    def _tick(self) -> None:
        self.opened.where.check()
        self.check()

    def _must_stop(self, foreman: Foreman, pace: Pace) -> bool:
        """Whether the time that is left is needed for what must follow the search."""
        if self.opened.where.deadline.seconds == inf or not foreman.ended:
            return False
        replicates = search.replicate_trials(self.opened.spec, foreman.ended)
        return self.opened.where.deadline.left < pace.needed(
            foreman.trained, foreman.open, foreman.ended, replicates
        )

    def _foreman(self, plan: search.Plan, seen: search.OnTrial) -> Foreman:
        board = self.opened.store.board(self.opened.study)
        return Foreman(plan, board, self.member, seen)

    def _seen(self, trial: Trial) -> None:
        self.tracker.log(trial)
        self.watch.trial(trial)
