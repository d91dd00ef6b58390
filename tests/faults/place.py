"""One study in a folder and a storage of its own: its processes, and what its stores say of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.place import STUDY

NAME = "mine"
QUICK = (  # seconds of training, in some rounds: what is killed shall be at work
    STUDY.replace("epochs = 8", "epochs = 16\nbatch_size = 32")
    .replace("patience = 2", "patience = 16")
    .replace("trials = 12", "trials = 18")
    .replace("replicates = 3", "replicates = 2")
    .replace("dropout = { low = 0.0, high = 0.5 }\n", "")
)
TRIALS = 20  # baselines and candidates of the study
STARTING, SEARCH, RACE, REPLICATES, DECIDED, OPENED, PUBLISHING, COMPLETE = PHASES = (
    "starting", "search", "race", "replicates", "decided", "opened", "publishing", "complete",
)  # fmt: skip
STATE = """
SELECT fence > 0, decision IS NOT NULL, document IS NOT NULL AND tracking IS NOT NULL
FROM capsearch_studies
"""
SCORED = "SELECT score IS NOT NULL FROM capsearch_opening"
ENDED = "SELECT id FROM capsearch_trials WHERE outcome IS NOT NULL"
FLYING = "SELECT id FROM capsearch_trials WHERE outcome IS NULL AND starts > 0"


@dataclass
class Place:
    """A folder with a study file; prepared data are shared through `cache`."""

    folder: Path
    cache: Path
    question: str = QUICK
    postgres: str | None = None  # the URL of an empty database; None: SQLite in the folder
    tracking: str | None = None  # the address of an MLflow server; None: SQLite in the folder
    runs_file: Path | None = None  # the store behind that server
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{NAME}.toml").write_text(self.question)
        read_only = f"sqlite:///file:{self.root / 'studies.db'}?mode=ro&uri=true"
        self._engine = sa.create_engine(self.postgres or read_only, poolclass=sa.NullPool)

    @property
    def root(self) -> Path:
        return self.folder / "mlruns"

    def with_store(self, empty: Path) -> None:
        """Give MLflow a store whose tables are there: making them takes many seconds."""
        self.root.mkdir(exist_ok=True)
        shutil.copy(empty, self.root / "mlflow.db")

    def study(self, *options: str, threads: int = 1, **more: str) -> subprocess.Popen[str]:
        """`capsearch study` with `more` in its environment; what it prints is in files."""
        number = len(self.started)
        environment = os.environ | {"CAPSEARCH_CACHE": str(self.cache), "COLUMNS": "80"}
        for name in ("MLFLOW_TRACKING_URI", "CAPSEARCH_STORAGE", "CAPSEARCH_ROOT"):
            environment.pop(name, None)
        if self.postgres:
            environment["CAPSEARCH_STORAGE"] = self.postgres
        if self.tracking:
            environment["MLFLOW_TRACKING_URI"] = self.tracking
        command = [sys.executable, "-m", "capsearch", "study", NAME, "--json"]
        with self._file(number, "out").open("w") as out, self._file(number, "err").open("w") as err:
            process = subprocess.Popen(
                [*command, "--threads", str(threads), *options],
                cwd=self.folder, env=environment | more, text=True, stdout=out, stderr=err,
            )  # fmt: skip
        self.started.append(process)
        return process

    def said(self, process: subprocess.Popen[str]) -> str:
        """What it printed on stderr."""
        return self._file(self.started.index(process), "err").read_text()

    def printed(self, process: subprocess.Popen[str]) -> str:
        """What it printed on stdout."""
        return self._file(self.started.index(process), "out").read_text()

    def completed(self, process: subprocess.Popen[str], seconds: float = 900.0) -> None:
        """It ends with 0, in words."""
        assert process.wait(seconds) == 0, self.said(process)
        assert "Traceback" not in self.said(process), self.said(process)

    def end(self) -> None:
        """Whatever still runs is killed; the folder goes."""
        self.kill()
        self._engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()

    # ---- What its stores say ---------------------------------------------------------------------

    def ask(self, query: str, **values: Any) -> Sequence[Any]:
        """Rows of the storage; none while its tables are not there."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(sa.text(query), values).all()
        except sa.exc.DBAPIError:
            return []

    def runs(self, query: str) -> Sequence[Any]:
        """Rows of MLflow's SQLite store."""
        path = f"file:{self.runs_file or self.root / 'mlflow.db'}?mode=ro&uri=true"
        with closing(sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool).connect()) as c:
            return c.execute(sa.text(query)).all()

    @property
    def ended(self) -> set[str]:
        """Ids of the trials that have ended."""
        return {id_ for (id_,) in self.ask(ENDED)}

    @property
    def flying(self) -> set[str]:
        """Ids of the trials that were started and have not ended."""
        return {id_ for (id_,) in self.ask(FLYING)}

    @property
    def driver(self) -> int | None:
        """The process that took the study over last."""
        found = self.ask("SELECT driver FROM capsearch_studies WHERE driver IS NOT NULL")
        return int(json.loads(found[0][0])["pid"]) if found else None

    def phase(self) -> str:
        """How far the study is, by its storage."""
        begun, decided, complete = (self.ask(STATE) or [(False, False, False)])[0]
        if complete:
            return COMPLETE
        if scored := self.ask(SCORED):
            return PUBLISHING if scored[0][0] else OPENED
        if decided:
            return DECIDED
        if not begun:
            return STARTING
        kinds = {kind for (kind,) in self.ask("SELECT DISTINCT kind FROM capsearch_trials")}
        return REPLICATES if "replicate" in kinds else RACE if "race" in kinds else SEARCH

    def _file(self, number: int, kind: str) -> Path:
        return self.folder / f"{number}.{kind}"


@contextmanager
def ending(place: Place) -> Iterator[Place]:
    """The place, whose processes do not outlive this; its folder stays when something is wrong."""
    try:
        yield place
    except BaseException:
        place.kill()
        raise
    place.end()


def trainers(*parents: int) -> list[int]:
    """The processes below these that train or evaluate, in order."""
    found = []
    for parent in parents:
        with suppress(psutil.Error):
            for child in psutil.Process(parent).children(recursive=True):
                with suppress(psutil.Error):
                    if any("capsearch.engines.child" in part for part in child.cmdline()):
                        found.append(child.pid)
    return sorted(found)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def until(true: Callable[[], Any], seconds: float = 600.0, pause: float = 0.05) -> bool:
    """Whether `true()` came to be in time."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(pause)
    return True
