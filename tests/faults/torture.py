"""The long form of the fault injection: real studies killed at random, on SQLite and PostgreSQL.

    make torture ARGS="--kills 100 --races 20 --seed 1"

Every study is killed several times and then run to its end, where everything must hold that
`tests.faults.checks` asks for. What fails keeps its folder, and the seed of a study repeats it.
"""

import argparse
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random

from mlflow import MlflowClient

from tests.faults.checks import Ended, check_complete, check_tracking
from tests.faults.kills import Crew, Kill, ending
from tests.faults.outage import outage, undisturbed
from tests.faults.place import LAST_LOOK, PHASES, QUICK, REPLICATES, SEARCH, Place
from tests.faults.race import race
from tests.place import STUDY
from tests.servers import Postgres

EACH = 8  # kills in a study, at most
SLOW = 5.0  # seconds to end that are worth a word
OUTAGES = [
    (how, *when)
    for when in ((SEARCH, REPLICATES), (REPLICATES, LAST_LOOK), (LAST_LOOK, None))
    for how in (signal.SIGTERM, signal.SIGKILL)
]


@dataclass
class Torture:
    """All studies of one run, and what became of them."""

    folder: Path
    server: Postgres
    kills: list[Kill] = field(default_factory=list)
    studies: Counter[str] = field(default_factory=Counter)

    def place(self, name: str, question: str, *, postgres: bool) -> Place:
        url = self.server.database(name) if postgres else None
        return Place(self.folder / name, self.folder / "cache", question, url)

    def undisturbed(self, question: str, name: str) -> Ended:
        with ending(self.place(name, question, postgres=False)) as place:
            process = place.study()
            assert process.wait(1800) == 0, place.said(process)
            found = check_complete(place)
            check_tracking(place, found)
            return found

    def study(self, seed: int, kills: int, same: Ended) -> str:
        """One study, killed up to so many times; how it ended."""
        rng = Random(seed)
        postgres = bool(seed % 2)
        with ending(self.place(f"study-{seed}", STUDY, postgres=postgres)) as place:
            if rng.random() < 0.75:  # else MLflow's tables are made while we kill
                place.root.mkdir()
                shutil.copy(self.folder / "empty.db", place.root / "mlflow.db")
            crew = Crew(place, rng)
            crew.disturb(kills)
            self.kills += crew.kills
            crew.finish()
            found = check_complete(place, crew.losses, crew.child_deaths)
            check_tracking(place, found)
            where = "postgresql" if postgres else "sqlite"
            how = f"{len(found.failed)} trials lost twice" if found.failed else "undisturbed"
            assert found == same or found.failed, "another result, and no trial was lost"
            self.studies[f"{where}: as one with {how}"] += 1
            return f"{where}, {len(crew.kills)} kills, ended as {how}: {told(crew.kills)}"

    def show(self) -> None:
        """Kills by victim, signal and phase."""
        print("\n| victim | signal |" + "".join(f" {phase} |" for phase in PHASES[:-1]) + " all |")
        print("|---|---|" + "---:|" * len(PHASES))
        for row in sorted({(k.victim, k.signal.name) for k in self.kills}):
            own = [k.phase for k in self.kills if (k.victim, k.signal.name) == row]
            counts = [own.count(phase) for phase in PHASES[:-1]] + [len(own)]
            print(f"| {row[0]} | {row[1]} |" + "".join(f" {count} |" for count in counts))
        slowest = max(
            (k.seconds for k in self.kills if k.code is not None and k.signal != signal.SIGKILL),
            default=0.0,
        )
        print(f"\nslowest end after SIGTERM or SIGINT: {slowest:.1f} s")
        for how, count in sorted(self.studies.items()):
            print(f"{count} studies on {how}")


def told(kills: list[Kill]) -> str:
    """In order; with the time that it took when that was long."""
    slow = [f" ({k.seconds:.0f} s)" if k.seconds > SLOW else "" for k in kills]
    said = [f"{k.victim} {k.signal.name} in {k.phase}" for k in kills]
    return ", ".join(map("".join, zip(said, slow, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="torture")
    parser.add_argument("--kills", type=int, default=100, help="at least so many")
    parser.add_argument("--races", type=int, default=20, help="of 8 workers and one study command")
    parser.add_argument("--outages", type=int, default=6, help="of an MLflow server in a study")
    parser.add_argument("--workers", type=int, default=8, help="in a race")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="capsearch-torture-"))
    print(f"torture: seed {asked.seed}, in {folder}", flush=True)
    MlflowClient(f"sqlite:///{folder / 'empty.db'}").search_experiments()
    with ExitStack() as stack:
        torture = Torture(folder, stack.enter_context(Postgres()))
        seed = asked.seed
        same = torture.undisturbed(STUDY, "undisturbed") if asked.kills else None
        while len(torture.kills) < asked.kills:
            assert same is not None
            each = min(EACH, asked.kills - len(torture.kills))
            said = torture.study(seed, each, same)
            print(f"{_minutes(began)} study {seed}: {said}", flush=True)
            seed += 1
        torture.show()
        fair = torture.undisturbed(QUICK, "fair") if asked.races else None
        for number in range(asked.races):
            place = torture.place(f"race-{number}", QUICK, postgres=True)
            with ending(place):
                place.root.mkdir()
                shutil.copy(folder / "empty.db", place.root / "mlflow.db")
                assert race(place, asked.workers) == fair
            print(f"{_minutes(began)} race {number + 1}: one opening, one report", flush=True)
        stays = undisturbed(folder / "stays", folder / "cache") if asked.outages else None
        for number, (how, away, back) in zip(range(asked.outages), cycle(OUTAGES), strict=False):
            seen = outage(folder / f"outage-{number}", folder / "cache", how, away, back)
            assert seen == stays, f"MLflow holds something else after {how.name} in {away}"
            print(f"{_minutes(began)} MLflow away from {away} to {back or 'after the end'}, "
                  f"{how.name}: the same runs, metrics and files", flush=True)  # fmt: skip
    shutil.rmtree(folder)
    print(f"torture: all is well, {len(torture.kills)} kills, {asked.races} races, "
          f"{asked.outages} outages, "
          f"seed {asked.seed}, {_minutes(began)}")  # fmt: skip


def _minutes(began: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    return f"[{minutes:3d} min {seconds:02d} s]"


if __name__ == "__main__":
    main()
