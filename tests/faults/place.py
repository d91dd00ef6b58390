"""One study in a folder and a storage of its own: its processes, and what its stores say of it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.place import STUDY

NAME = "mine"
QUICK = (
    STUDY.replace("epochs = 8", "epochs = 3")
    .replace("replicates = 3", "replicates = 2")
    .replace("dropout = { low = 0.0, high = 0.5 }\n", "")
)
STARTING, SEARCH, REPLICATES, LAST_LOOK, OPENED, PUBLISHING, COMPLETE = PHASES = (
    "starting", "search", "replicates", "last look", "opened", "publishing", "complete",
)  # fmt: skip
TRIALS = 14  # baselines and candidates of the study
SCORED = "SELECT score IS NOT NULL FROM capsearch_opening"
DONE = "SELECT document IS NOT NULL AND tracking IS NOT NULL FROM capsearch_study"
JOBS = "SELECT count(*), count(outcome) FROM capsearch_job"


@dataclass
class Place:
    """A folder with a study file; prepared data are shared through `cache`."""

    folder: Path
    cache: Path
    question: str
    postgres: str | None = None  # the URL of an empty database; None: SQLite in the folder
    tracking: str | None = None  # the address of an MLflow server; None: SQLite in the folder
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{NAME}.toml").write_text(self.question)
        file = self.root / "studies.db"
        read_only = f"sqlite:///file:{file}?mode=ro&uri=true"
        self._engine = sa.create_engine(self.postgres or read_only, poolclass=sa.NullPool)

    @property
    def root(self) -> Path:
        return self.folder / "mlruns"

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`capsearch` with these arguments; what it prints is in files, by its place in line."""
        number = len(self.started)
        environment = os.environ | {"CAPSEARCH_CACHE": str(self.cache), "COLUMNS": "80"} | more
        for name in ("MLFLOW_TRACKING_URI", "CAPSEARCH_STORAGE", "CAPSEARCH_ROOT"):
            environment.pop(name, None)
        if self.postgres:
            environment["CAPSEARCH_STORAGE"] = self.postgres
        if self.tracking:
            environment["MLFLOW_TRACKING_URI"] = self.tracking
        with self._file(number, "out").open("w") as out, self._file(number, "err").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "capsearch", *arguments],
                cwd=self.folder, env=environment, text=True, stdout=out, stderr=err,
            )  # fmt: skip
        self.started.append(process)
        return process

    def study(self, *arguments: str) -> subprocess.Popen[str]:
        return self.start("study", NAME, "--json", "--threads", "1", *arguments)

    def worker(self, *arguments: str) -> subprocess.Popen[str]:
        return self.start("worker", NAME, "--threads", "1", *arguments)

    def said(self, process: subprocess.Popen[str]) -> str:
        """What it printed on stderr."""
        return self._file(self.started.index(process), "err").read_text()

    def printed(self, process: subprocess.Popen[str]) -> str:
        """What it printed on stdout."""
        return self._file(self.started.index(process), "out").read_text()

    def end(self) -> None:
        """Whatever still runs is killed; the folder goes."""
        for process in self.started:
            process.kill()
            process.wait()
        self._engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, query: str, **values: Any) -> Sequence[Any]:
        """Rows of the storage; none while its tables are not there."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(sa.text(query), values).all()
        except sa.exc.DBAPIError:
            return []

    def change(self, query: str, **values: Any) -> None:
        """As nobody but a fault would."""
        url = self.postgres or f"sqlite:///{self.root / 'studies.db'}"
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(query), values)

    def runs(self, query: str) -> Sequence[Any]:
        """Rows of MLflow's SQLite store."""
        path = f"file:{self.root / 'mlflow.db'}?mode=ro&uri=true"
        with closing(sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool).connect()) as c:
            return c.execute(sa.text(query)).all()

    def phase(self) -> str:
        """How far the study is, by its storage."""
        if any(row[0] for row in self.ask(DONE)):
            return COMPLETE
        if scored := self.ask(SCORED):
            return PUBLISHING if scored[0][0] else OPENED
        planned, ended = (self.ask(JOBS) or [(0, 0)])[0]
        if not planned:
            return STARTING
        if ended < TRIALS:
            return SEARCH
        return LAST_LOOK if planned == ended > TRIALS else REPLICATES

    def _file(self, number: int, kind: str) -> Path:
        return self.folder / f"{number}.{kind}"


def until(true: Any, seconds: float = 600.0, pause: float = 0.05) -> bool:
    """Whether `true()` came to be in time."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(pause)
    return True
