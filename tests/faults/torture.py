"""The long form of the fault injection: real studies killed at random, on SQLite and PostgreSQL.

    make torture ARGS="--kills 120 --races 20 --seed 1"

Every study is killed several times and then run to its end, where everything must hold that
`tests.faults.checks` asks for. What fails keeps its folder, and the seed of a study repeats it.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

from mlflow import MlflowClient

from tests.faults.checks import Ended
from tests.faults.cluster import Cluster
from tests.faults.kills import Disturber, Kill
from tests.faults.outage import outage, undisturbed
from tests.faults.place import DECIDED, PHASES, REPLICATES, SEARCH, Place, ending
from tests.faults.race import check_ended_once, race, usurped
from tests.servers import MlflowServer, Postgres

EACH = 6  # kills in a study, at most
SLOW = 5.0  # seconds to end that are worth a word
KINDS = ("1 worker", "dask", "2 workers", "dask")  # of executor, by the study's number
OUTAGES = [
    (how, *when)
    for when in ((SEARCH, REPLICATES), (REPLICATES, DECIDED), (DECIDED, None))
    for how in (signal.SIGTERM, signal.SIGKILL)
]


@dataclass
class Torture:
    """All studies of one run, and what became of them."""

    folder: Path
    server: Postgres
    kills: list[Kill] = field(default_factory=list)
    studies: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    began: float = field(default_factory=time.monotonic)

    def place(self, name: str, *, postgres: bool, server: MlflowServer | None = None) -> Place:
        place = Place(
            self.folder / name, self.folder / "cache",
            postgres=self.server.database(name) if postgres else None,
            tracking=server.uri if server else None,
            runs_file=server.folder / "server.db" if server else None,
        )  # fmt: skip
        place.with_store(self.folder / "empty.db")
        return place

    def undisturbed(self) -> Ended:
        with ending(self.place("undisturbed", postgres=False)) as place:
            place.completed(place.study())
            return check_ended_once(place)

    def study(self, seed: int, same: Ended) -> None:
        """One study, killed some times; it must end as undisturbed."""
        rng, kind, postgres = Random(seed), KINDS[seed % 4], bool(seed // 4 % 2)
        with ExitStack() as stack:
            server = self._mlflow(seed, stack) if rng.random() < 0.25 else None
            place = self.place(f"study-{seed}", postgres=postgres, server=server)
            stack.enter_context(ending(place))
            cluster, options = None, ("--workers", kind[0])
            if kind == "dask":
                cluster = stack.enter_context(Cluster(self.folder / f"cluster-{seed}"))
                options = ("--dask", cluster.address)
            disturber = Disturber(place, rng, options, cluster, server)
            disturber.disturb(EACH)
            self.kills += disturber.kills
            disturber.finish()
            assert check_ended_once(place) == same, "another result"
        where = f"{'postgresql' if postgres else 'sqlite'}, {kind}"
        self.studies[where] += 1
        self.outages += disturber.outages
        away = f", MLflow away {disturber.outages} times" if disturber.outages else ""
        self.say(f"study {seed}: {where}{away}: as undisturbed after {told(disturber.kills)}")

    def race(self, number: int, same: Ended) -> None:
        """Two drivers at the same moment, on either storage; every fourth time to the end."""
        with ending(self.place(f"race-{number}", postgres=bool(number % 2))) as place:
            race(place)
            if number % 4 == 0:
                race(place, wait=True)
                assert check_ended_once(place) == same
        self.say(f"race {number + 1}: one ran, the other was told so")

    def usurped(self, number: int, same: Ended) -> None:
        postgres, late = bool(number % 2), number % 4 > 1
        with ending(self.place(f"stopped-{number}", postgres=postgres)) as place:
            assert usurped(place, late=late) == same
        self.say(f"stopped driver {number + 1}: refused, and nothing doubled")

    def outage(self, number: int, stays: object) -> None:
        how, away, back = OUTAGES[number % len(OUTAGES)]
        seen = outage(self.folder / f"outage-{number}", self.folder / "cache", how, away, back)
        assert seen == stays, f"MLflow holds something else after {how.name} in {away}"
        self.outages += 1
        self.say(f"MLflow away from {away} to {back or 'after the end'}, {how.name}: the same")

    def show(self) -> None:
        """Kills by victim, signal and phase."""
        print("\n| victim | signal |" + "".join(f" {phase} |" for phase in PHASES[:-1]) + " all |")
        print("|---|---|" + "---:|" * len(PHASES))
        for row in sorted({(k.victim, k.signal.name) for k in self.kills}):
            own = [k.phase for k in self.kills if (k.victim, k.signal.name) == row]
            counts = [own.count(phase) for phase in PHASES[:-1]] + [len(own)]
            print(f"| {row[0]} | {row[1]} |" + "".join(f" {count} |" for count in counts))
        asked = [k for k in self.kills if k.victim == "driver" and k.signal != signal.SIGKILL]
        slowest = max((k.seconds for k in asked), default=0.0)
        print(f"\nslowest end of a driver after SIGTERM or SIGINT: {slowest:.1f} s")
        for how, number in sorted(self.studies.items()):
            print(f"{number} studies on {how}")

    def say(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        print(f"[{minutes:3d} min {seconds:02d} s] {line}", flush=True)

    def _mlflow(self, seed: int, stack: ExitStack) -> MlflowServer:
        folder = self.folder / f"mlflow-{seed}"
        folder.mkdir()
        shutil.copy(self.folder / "empty.db", folder / "server.db")
        server = MlflowServer(folder)
        server.start()
        stack.callback(server.stop)
        return server


def told(kills: list[Kill]) -> str:
    """In order; with the time that it took when that was long."""
    slow = [f" ({k.seconds:.0f} s)" if k.seconds > SLOW else "" for k in kills]
    said = [f"{k.victim} {k.signal.name} in {k.phase}" for k in kills]
    return ", ".join(map("".join, zip(said, slow, strict=True))) or "no kill"


def abreast(jobs: int, work: Callable[[int], None], numbers: Iterable[int]) -> int:
    """Work on so many numbers at a time; returns how many went wrong, which the others survive."""
    waiting, taking, wrong = iter(numbers), threading.Lock(), list[int]()

    def worker() -> None:
        while True:
            with taking:
                number = next(waiting, None)
            if number is None:
                return
            try:
                work(number)
            except Exception:
                wrong.append(number)
                print(f"WRONG: {work.__name__} {number}\n{traceback.format_exc()}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        for ended in [pool.submit(worker) for _ in range(jobs)]:
            ended.result()
    return len(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="torture")
    parser.add_argument("--kills", type=int, default=120, help="at least so many")
    parser.add_argument("--races", type=int, default=20, help="of two study commands")
    parser.add_argument("--stops", type=int, default=4, help="drivers that sleep through their end")
    parser.add_argument("--outages", type=int, default=6, help="of an MLflow server in a study")
    parser.add_argument("--jobs", type=int, default=1, help="studies at a time")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="capsearch-torture-"))
    print(f"torture: seed {asked.seed}, in {folder}", flush=True)
    MlflowClient(f"sqlite:///{folder / 'empty.db'}").search_experiments()
    with ExitStack() as stack:
        torture = Torture(folder, stack.enter_context(Postgres()))
        same = torture.undisturbed()

        def more() -> Iterable[int]:
            for seed in count(asked.seed):
                if len(torture.kills) >= asked.kills:
                    return
                yield seed

        def study(seed: int) -> None:
            torture.study(seed, same)

        def races(number: int) -> None:
            torture.race(number, same)

        def stopped(number: int) -> None:
            torture.usurped(number, same)

        def away(number: int) -> None:
            torture.outage(number, stays)

        wrong = abreast(asked.jobs, study, more())
        torture.show()
        wrong += abreast(asked.jobs, races, range(asked.races))
        wrong += abreast(asked.jobs, stopped, range(asked.stops))
        stays = undisturbed(folder / "stays", folder / "cache") if asked.outages else None
        wrong += abreast(asked.jobs, away, range(asked.outages))
        spent = int(time.monotonic() - torture.began)
    if wrong:
        sys.exit(f"torture: {wrong} went wrong, seed {asked.seed}; see above, and {folder}")
    shutil.rmtree(folder)
    print(f"torture: all is well, {len(torture.kills)} kills, {asked.races} races, {asked.stops} "
          f"stopped drivers, MLflow away {torture.outages} times, seed {asked.seed}, "
          f"{spent // 60} min {spent % 60:02d} s")  # fmt: skip


if __name__ == "__main__":
    main()
