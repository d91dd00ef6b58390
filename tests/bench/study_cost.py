"""What a trial costs beside its training, early and late in one long study, by one driver."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Any

from capsearch.engines.base import Trained
from capsearch.executors import Limits, Pack, Rows
from capsearch.records import Trial
from capsearch.search import Dispatcher, Ladder
from capsearch.storage import StudyStorage, StudyWriter
from tests.bench.sleeper import VALIDATION
from tests.fakes import outcome_of

AROUND = 512  # trials whose mean stands for the one in the middle: a round of every rung
PARTS = ("ask", "add", "start", "end", "tell", "take")


class Instant:
    """An executor whose trainings take no time."""

    slots = 1

    def open(self, rows: Rows) -> None:
        pass

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        done = Future[Sequence[Trained]]()
        done.set_result([Trained(outcome_of(job, VALIDATION), ()) for job in pack.jobs])
        return done

    def shutdown(self) -> None:
        pass


class Clock:
    """Processor seconds spent in each part; a part within another one counts as its own alone."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def watch(self, thing: Any, method: str, part: str) -> None:
        whole: Callable[..., Any] = getattr(thing, method)

        def timed(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            self._within.append(0.0)
            try:
                return whole(*args, **named)
            finally:
                took = time.thread_time() - began
                self.spent[part] += took - self._within.pop()
                if self._within:
                    self._within[-1] += took

        setattr(thing, method, timed)


def show(name: str, url: str, trials: int) -> None:
    """Run a study of more than so many trials, and open it again; print ms a trial by part."""
    from tests.bench.coordination import question

    asked = question(trials + AROUND)
    clock, marks = Clock(), dict[int, dict[str, float]]()
    wanted = (100, 1_000, trials)

    def seen(_: Trial) -> None:
        marks[len(marks) + 1] = dict(clock.spent)

    with closing(StudyStorage(url)) as storage:
        storage.begin(asked.study, "bench")
        writer, plan = StudyWriter(storage, asked.study), Ladder.of(asked)
        for thing, part in (
            *((writer, part) for part in ("add", "start", "end")),
            *((plan, part) for part in ("tell", "take")),
            *((rung, "ask") for rung in plan.rungs),
        ):
            clock.watch(thing, part, part)
        began = time.perf_counter()
        dispatcher = Dispatcher(Instant(), writer, asked.study.engine, "rows", Limits(1))
        dispatcher.train(plan, seen, lambda: None)
        lasted = time.perf_counter() - began
        print(f"\n## A trial on {name}, ms of processor; {len(marks):,} trials, {lasted:,.0f} s\n")
        print(f"| around trial | {' | '.join(PARTS)} | together |")
        print("| --- " * (len(PARTS) + 2) + "|")
        for at in wanted:
            few = min(AROUND // 2, at // 2)
            first, last = marks[at - few], marks[at + few]
            each = [1e3 * (last.get(p, 0) - first.get(p, 0)) / (2 * few) for p in PARTS]
            print(f"| {at:,} | {' | '.join(f'{ms:.1f}' for ms in each)} | {sum(each):.1f} |")
        began = time.perf_counter()
        stored = storage.trials(asked.study.key)
        read = time.perf_counter() - began
        Ladder.of(asked, stored).take()
        again = time.perf_counter() - began
    print(f"\nOpened again: {again:.1f} s until the search goes on, {read:.1f} s of it reading.")
