"""What it costs that one driver hands a study's trainings out to the workers of a Dask cluster.

A scheduler and workers of one thread each as processes on loopback; the real executor, dispatcher,
search and storage; an engine that sleeps. Counted from the moment the driver begins, its workers
warm, until the last trials begin (two of each worker, 32 at least): which share of that time the
workers trained. Workers that wait for nothing train all of it: that is linear. What a sleep takes
beyond its seconds, because the machine is busy, counts as waiting.
"""

import argparse
import os
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

from capsearch import spec
from capsearch.data import cache
from capsearch.engines.registry import engine_id
from capsearch.executors import Limits, Rows
from capsearch.executors.dask import DaskExecutor
from capsearch.records import Trial
from capsearch.search import Dispatcher, Ladder, Listed, Plan, Question, job_of
from capsearch.session import new_study
from capsearch.spec.strategies import STRATEGIES
from capsearch.storage import StudyStorage, StudyWriter
from tests.bench import study_cost
from tests.bench.cluster import Cluster
from tests.bench.sleeper import VALIDATION, begun
from tests.fakes import ToySource, outcome_of, profile_of
from tests.servers import Postgres

LAST, LAST_OF_EACH = 32, 2  # trials that are not counted, for the last rounds keep not all busy


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    trials: int
    speed: float  # trials a second
    linear: float  # share of what so many workers could do at most, until the last trials begin
    whole: float  # the same until the last trial has ended
    driver: float  # processor cores in use
    scheduler: float
    worker: float  # by each, its child included
    load: float  # of the machine: the mean of its queue over the last minute


def question(trials: int, engine: str = "sleeper") -> Question:
    """The shipped IMDB study with so many trials, on rows that are never trained on."""
    asked = spec.read(spec.shipped()["imdb"], lambda _: [])
    asked = asked.model_copy(update={"search": asked.search.model_copy(update={"trials": trials})})
    study, asked, space = new_study(
        "imdb", asked, profile_of("imdb", 10_000), engine_id(engine, 1), sparse=True
    )
    return Question(study, asked, space, STRATEGIES[asked.search.strategy])


def independent(asked: Question, trials: int, first: int = 0) -> Listed:
    """Trainings that wait for no other one: replicates of one baseline, numbered from `first`."""
    study, (name, candidate) = asked.study, asked.spec.baselines()[0]
    size = asked.space.parameters(candidate)
    return Listed([
        Trial(f"replicate/{n}", "replicate", 0, name, job_of(study, asked.spec, candidate, n), size)
        for n in range(first, first + trials)
    ])  # fmt: skip


def measured(
    cluster: Cluster, url: str, asked: Question, plan: Plan, rows: Rows, seconds: float
) -> Row:
    """One plan by all workers of the cluster."""
    workers, study = cluster.workers, asked.study
    with ExitStack() as stack:
        executor = DaskExecutor(cluster.address, print)
        stack.callback(executor.shutdown)
        executor.open(rows)
        storage = stack.enter_context(closing(StudyStorage(url)))
        storage.begin(study, "bench")
        dispatcher = Dispatcher(
            executor=executor,
            ledger=StudyWriter(storage, study),
            engine=study.engine,
            rows=rows.key,
            limits=Limits(1),
        )
        numbers = count(1_000_000, workers)  # of trainings that only warm the workers
        while executor.slots < workers or len(begun(cluster.marks)) < workers:
            _train(dispatcher, independent(asked, workers, next(numbers)))
        cluster.forget()
        began, before = time.monotonic(), (time.process_time(), *cluster.used())
        trials = _train(dispatcher, plan)
        ended, after = time.monotonic(), (time.process_time(), *cluster.used())
    driver, scheduler, others = (a - b for a, b in zip(after, before, strict=True))
    starts, lasted = [start for each in begun(cluster.marks) for start in each], ended - began
    assert len(starts) == trials, f"{trials} trials, {len(starts)} trainings"
    return Row(
        trials=trials,
        speed=trials / lasted,
        linear=share(starts, began, workers, seconds),
        whole=trials * seconds / workers / lasted,
        driver=driver / lasted,
        scheduler=scheduler / lasted,
        worker=others / lasted / workers,
        load=os.getloadavg()[0],
    )


def _train(dispatcher: Dispatcher, plan: Plan) -> int:
    return len(dispatcher.train(plan, lambda _: None, lambda: None))


def share(starts: Sequence[float], began: float, workers: int, seconds: float) -> float:
    """The part of the time until the last trials begin in which the workers trained."""
    until = sorted(starts)[-max(LAST, LAST_OF_EACH * workers)]
    trained = sum(max(min(start + seconds, until) - start, 0.0) for start in starts)
    return trained / (until - began) / workers


def rounds_allow(asked: Question, workers: int) -> float:
    """The share of linear when coordination takes no time: a round waits for the last one's end."""
    plan, number = Ladder.of(asked), count()
    now, starts = 0.0, list[float]()
    waiting, running = deque[Trial](), list[tuple[float, int, Trial]]()
    while True:
        while fresh := plan.take():
            waiting += fresh
        while waiting and len(running) < workers:
            starts.append(now)
            heappush(running, (now + 1.0, next(number), waiting.popleft()))
        if not running:
            return share(starts, 0.0, workers, 1.0)
        now, _, trial = heappop(running)
        plan.tell(trial.ended(outcome_of(trial.job, VALIDATION)))


def main() -> None:
    """Print the tables, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--per-worker", type=int, default=40, help="independent trainings of each")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a training takes")
    parser.add_argument("--trials", type=int, default=400, help="of a study in rounds, or 0")
    parser.add_argument("--long", type=int, default=10_000, help="trials of a long study, or 0")
    parser.add_argument("--no-postgres", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capsearch-bench-")))
        cluster = stack.enter_context(Cluster(folder, given.seconds))
        prepared = cache.prepare(ToySource(), "toy", folder)
        rows, numbers = Rows(prepared.key, prepared.folder), count()
        server = None if given.no_postgres else stack.enter_context(Postgres())
        print("| trainings | storage | workers | trainings/s | share of linear | to the very end | "
              "cores: driver | scheduler | each worker | load |")  # fmt: skip
        print("| --- " * 10 + "|")

        def show(what: str, asked: Question, plan: Plan, *, on_server: bool = False) -> None:
            name = f"bench{next(numbers)}"
            url = f"sqlite:///{folder / name}.db"
            if on_server and server is not None:
                url = server.database(name)
            row = measured(cluster, url, asked, plan, rows, given.seconds)
            print(
                f"| {row.trials} {what} | {'PostgreSQL' if on_server else 'SQLite'} | "
                f"{cluster.workers} | {row.speed:.2f} | {row.linear:.1%} | {row.whole:.1%} | "
                f"{row.driver:.2f} | {row.scheduler:.2f} | {row.worker:.3f} | {row.load:.1f} |",
                flush=True,
            )

        for workers in given.workers:
            cluster.grow(workers)
            last = max(LAST, LAST_OF_EACH * workers)
            asked = question(given.trials or 96)
            plan = independent(asked, workers * given.per_worker + last)
            show("independent", asked, plan)
        if given.trials:
            asked = question(given.trials)
            for on_server in (False,) if server is None else (False, True):
                show("in rounds", asked, Ladder.of(asked), on_server=on_server)
            allowed = rounds_allow(asked, cluster.workers)
            print(f"\nRounds alone allow {allowed:.1%} of linear: when nothing took any time.")
        if given.long:
            study_cost.show("SQLite", f"sqlite:///{folder / 'long.db'}", given.long)


if __name__ == "__main__":
    main()
