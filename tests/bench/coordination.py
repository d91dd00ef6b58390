"""What it costs that many workers share a study, on a PostgreSQL server of the bench's own.

Worker processes with the real board, leases, lead and ladder, and an engine that sleeps. Measured
from the moment all have joined until the last trials begin (two of each worker, 32 at least): which
share of that time the engines slept. Workers that wait for nothing sleep all of it: that is linear.
"""

import argparse
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

from capsearch import search, spec
from capsearch.families.space import ladder
from capsearch.records import Job, Outcome, Study
from capsearch.storage import StudyStore
from tests.bench import study_cost
from tests.fakes import outcome_of, profile_of
from tests.servers import Postgres

SERVER = "-c max_connections=300 -c shared_preload_libraries=pg_stat_statements"
LAST, LAST_OF_EACH = 32, 2  # trials that are not counted, for the last rounds keep not all busy
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Sleeper:
    """An engine that trains one job at a time, by sleeping."""

    seconds: float
    name: str = "sleeper"
    pack: int = 1
    slept: list[tuple[float, float]] = field(default_factory=list)
    _flying: deque[tuple[Job, float]] = field(default_factory=deque)  # with the time it will end

    def submit(self, jobs: Sequence[Job]) -> None:
        began = max(time.monotonic(), self._flying[-1][1] if self._flying else 0.0)
        self.slept.append((began, began + self.seconds))
        self._flying.append((jobs[0], began + self.seconds))

    def ready(self, wait: float) -> bool:
        left = self._flying[0][1] - time.monotonic()
        time.sleep(max(min(wait, left), 0.0))
        return left <= wait

    def collect(self) -> list[Outcome]:
        return [outcome_of(self._flying.popleft()[0])]


@dataclass(frozen=True)
class Seen:
    """What one worker did between the two barriers."""

    slept: list[tuple[float, float]]
    processor: float  # seconds
    led: bool


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    workers: int
    speed: float  # trials a second
    linear: float  # share of what so many workers could do at most
    server: float  # processor cores in use by the database
    leader: float
    worker: float  # by each of the others
    statements: float  # a trial


def question(trials: int) -> tuple[spec.StudySpec, Study]:
    """The shipped IMDB study with so many trials, on rows that are never trained on."""
    asked = spec.read(spec.shipped()["imdb"], lambda _: [])
    asked = asked.model_copy(update={"search": asked.search.model_copy(update={"trials": trials})})
    profile = profile_of("imdb", 10_000)
    edges = ladder(asked.space_for(profile.features), asked.search.rungs)
    return asked, Study("imdb", asked.question, profile, edges)


def work(url: str, trials: int, seconds: float, barriers: Sequence[Barrier], seen: Any) -> None:
    """One worker: as `capsearch worker`, without data, MLflow and a final."""
    asked, study = question(trials)
    engine, led = Sleeper(seconds), False
    with closing(StudyStore(url)) as store:
        store.begin(study)
        board = store.board(study)
        with store.member(study, "worker", threads=1) as member:
            hand, look = search.Hand(board, member, engine), 0.0
            barriers[0].wait()
            used = time.process_time()
            while True:
                if time.monotonic() > look:
                    row = store.row(study)
                    if row is not None and row.cut == "done":
                        break
                    look = time.monotonic() + 0.5
                if member.lead():
                    led = True
                    plan = search.Ladder.of(study, asked, asked.space_for(10_000), store)
                    search.drive(search.Foreman(plan, board, member, lambda _: None), hand)
                    store.cut(study, "done")
                    break
                hand.step()
            seen.put(Seen(engine.slept, time.process_time() - used, led))
            barriers[1].wait()


def measured(server: Postgres, workers: int, per_worker: int, seconds: float) -> Row:
    """One study by so many workers, in a database of its own."""
    last = max(LAST, LAST_OF_EACH * workers)
    trials = workers * per_worker + last
    url = server.database(f"bench_{workers}_{time.monotonic_ns()}")
    with closing(StudyStore(url)):
        pass
    context = multiprocessing.get_context("spawn")
    barriers, seen = [context.Barrier(workers + 1) for _ in range(2)], context.Queue()
    arguments = (url, trials, seconds, barriers, seen)
    team = [context.Process(target=work, args=arguments, daemon=True) for _ in range(workers)]
    for process in team:
        process.start()
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        barriers[0].wait()
        began, used = time.monotonic(), _server_seconds(connection)
        connection.execute("SELECT pg_stat_statements_reset()")
        found: list[Seen] = [seen.get() for _ in team]
        lasted, used = time.monotonic() - began, _server_seconds(connection) - used
        made = connection.execute("SELECT sum(calls) FROM pg_stat_statements").fetchone()
        if os.environ.get("STATEMENTS"):
            _print_statements(connection)
    barriers[1].wait()
    for process in team:
        process.join()
    starts = sorted(start for one in found for start, _ in one.slept)
    until = starts[-last]
    slept = sum(_overlap(s, began, until) for one in found for s in one.slept)
    others = [one.processor for one in found if not one.led]
    return Row(
        workers=workers,
        speed=slept / seconds / (until - began),
        linear=slept / (until - began) / workers,
        server=used / lasted,
        leader=next(one.processor for one in found if one.led) / lasted,
        worker=sum(others) / len(others) / lasted if others else 0.0,
        statements=float(made[0] if made else 0) / len(starts),
    )


def _overlap(span: tuple[float, float], began: float, until: float) -> float:
    return max(min(span[1], until) - max(span[0], began), 0.0)


def _server_seconds(connection: psycopg.Connection[Any]) -> float:
    """Processor seconds of the server and all that it has started."""
    row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    main = int((Path(row[0]) / "postmaster.pid").read_text().split()[0])
    return sum(_seconds_of(pid) for pid in [main, *_children(main)])


def _children(pid: int) -> Iterator[int]:
    yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _seconds_of(pid: int) -> float:
    """Its own, and those of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def _print_statements(connection: psycopg.Connection[Any]) -> None:
    query = (
        "SELECT calls, round(total_exec_time), left(query, 150) FROM pg_stat_statements "
        "ORDER BY calls DESC LIMIT 20"
    )
    for line in connection.execute(query).fetchall():
        print(*line)


def main() -> None:
    """Print both tables, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--per-worker", type=int, default=40, help="trials of each worker")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a trial takes")
    parser.add_argument("--trials", type=int, default=10_000, help="of a long study, or 0")
    given = parser.parse_args()
    with Postgres(options=SERVER) as server:
        print(f"## Workers, with trials of {given.seconds:g} s\n")
        print("| workers | trials/s | share of linear | cores: database | leader | each other "
              "| statements a trial |")  # fmt: skip
        print("| --- " * 7 + "|")
        for workers in given.workers:
            row = measured(server, workers, given.per_worker, given.seconds)
            shares = f"{row.linear:.1%} | {row.server:.2f} | {row.leader:.2f} | {row.worker:.3f}"
            line = f"| {workers} | {row.speed:.2f} | {shares} | {row.statements:.0f} |"
            print(line, flush=True)
        if given.trials:
            study_cost.show("PostgreSQL", server.database("long"), given.trials)
    if given.trials:
        study_cost.show("SQLite", None, given.trials)


if __name__ == "__main__":
    main()
