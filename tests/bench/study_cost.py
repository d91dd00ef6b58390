"""What a trial costs beside its training, early and late in one long study, by one worker."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsearch import search
from capsearch.records import Job, Outcome, Trial
from capsearch.storage import StudyStore
from tests.fakes import outcome_of

VALIDATION = 5_000  # rows, each with its loss in the storage, as on IMDB
AROUND = 512  # trials whose mean stands for the one in the middle: a round of every rung
PARTS = ("ask", "put up", "look", "take", "settle", "tell", "keep")


@dataclass
class Instant:
    """An engine whose trials take no time."""

    name: str = "instant"
    pack: int = 1
    _flying: list[Job] = field(default_factory=list)

    def submit(self, jobs: Sequence[Job]) -> None:
        self._flying += jobs

    def ready(self, wait: float) -> bool:
        return True

    def collect(self) -> list[Outcome]:
        return [outcome_of(self._flying.pop(0), VALIDATION)]


class Clock:
    """Seconds spent in each part; a part within another one counts as its own alone."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def watch(self, thing: Any, method: str, part: str) -> None:
        whole: Callable[..., Any] = getattr(thing, method)

        def timed(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self._within.append(0.0)
            try:
                return whole(*args, **named)
            finally:
                took = time.perf_counter() - began
                self.spent[part] += took - self._within.pop()
                if self._within:
                    self._within[-1] += took

        setattr(thing, method, timed)


def show(name: str, url: str | None, trials: int) -> None:
    """Run a study of more than so many trials, and open it again; print ms a trial by part."""
    from tests.bench.coordination import question

    with tempfile.TemporaryDirectory(prefix="capsearch-bench-") as folder:
        address = url or f"sqlite:///{Path(folder) / 'studies.db'}"
        asked, study = question(trials + AROUND)
        clock, marks = Clock(), dict[int, dict[str, float]]()
        ended, wanted = 0, (100, 1_000, trials)

        def seen(_: Trial) -> None:
            nonlocal ended
            ended += 1
            marks[ended] = dict(clock.spent)

        with closing(StudyStore(address)) as store:
            store.begin(study)
            board, space = store.board(study), asked.space_for(10_000)
            with store.member(study, "study", threads=1) as member:
                assert member.lead()
                plan = search.Ladder.of(study, asked, space, store)
                for thing, method, part in (
                    (board, "put_up", "put up"), (board, "take", "take"),
                    (board, "settle", "settle"), (board, "outcomes", "look"),
                    (plan, "keep", "keep"),
                    *((rung, "ask", "ask") for rung in plan.rungs),
                    *((rung, "tell", "tell") for rung in plan.rungs),
                ):  # fmt: skip
                    clock.watch(thing, method, part)
                hand = search.Hand(board, member, Instant())
                began = time.perf_counter()
                search.drive(search.Foreman(plan, board, member, seen), hand)
                lasted = time.perf_counter() - began
        print(f"\n## A trial on {name}, ms; {len(marks):,} trials in {lasted:,.0f} s\n")
        print(f"| around trial | {' | '.join(PARTS)} | together |")
        print("| --- " * (len(PARTS) + 2) + "|")
        for at in wanted:
            few = min(AROUND // 2, at // 2)
            first, last = marks[at - few], marks[at + few]
            each = [1e3 * (last.get(p, 0) - first.get(p, 0)) / (2 * few) for p in PARTS]
            print(f"| {at:,} | {' | '.join(f'{ms:.1f}' for ms in each)} | {sum(each):.1f} |")
        again = _reopened(address, trials + AROUND)
        print(f"\nOpened again: {again:.1f} s until the search goes on.")


def _reopened(address: str, trials: int) -> float:
    from tests.bench.coordination import question

    asked, study = question(trials)
    began, ended = time.perf_counter(), 0

    def seen(_: Trial) -> None:
        nonlocal ended
        ended += 1

    with closing(StudyStore(address)) as store, store.member(study, "study", 1) as member:
        assert member.lead()
        plan = search.Ladder.of(study, asked, asked.space_for(10_000), store)
        search.Foreman(plan, store.board(study), member, seen).step()
    assert ended >= trials
    return time.perf_counter() - began
