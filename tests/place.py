"""One small study on real reviews, run by the command people type in a folder of its own."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
STUDY = """
[data]
source = "rotten_tomatoes"
vocabulary = 1000
[space]
layers = { low = 0, high = 2 }
units = { low = 1, high = 16, log = true }
dropout = { low = 0.0, high = 0.5 }
learning_rate = { low = 3e-3, high = 3e-2, log = true }
[training]
epochs = 8
patience = 2
[search]
trials = 12
rungs = 3
[select]
replicates = 3
[[baseline]]
name = "original"
units = [16, 16]
[[baseline]]
name = "smaller"
units = [4, 4]
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: `err` is what it printed on stderr, in one line."""

    code: int
    out: str
    err: str
    raw: str


@dataclass(frozen=True)
class Place:
    """A folder of its own with one study in it, sharing the prepared data of the session."""

    folder: Path
    cache: Path

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`capsearch` with these arguments, and `more` in its environment."""
        command = [sys.executable, "-m", "capsearch", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment() | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, seconds: float = 120.0, **more: str) -> Ended:
        """`start`, to its end."""
        process = self.start(*arguments, **more)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Ended(process.returncode, out, " ".join(err.split()), err)

    def study(self, *arguments: str) -> tuple[dict[str, Any], str]:
        """The document of the study, run to its end, and what was printed beside it."""
        ended = self.run("study", "mine", "--json", *arguments, seconds=300)
        assert ended.code == 0, ended.raw
        return json.loads(ended.out), ended.raw

    def environment(self) -> dict[str, str]:
        environment = os.environ | {"CAPSEARCH_CACHE": str(self.cache), "COLUMNS": "80"}
        for name in ("MLFLOW_TRACKING_URI", "CAPSEARCH_STORAGE", "CAPSEARCH_ROOT"):
            environment.pop(name, None)
        return environment

    # ---- What its stores say ---------------------------------------------------------------------

    def rows(self, database: str, query: str) -> list[Any]:
        """Rows of one of its SQLite stores; none while it, or a table, is not there."""
        path = self.folder / "mlruns" / database
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:  # the tables are not there yet
                return []

    def ended(self) -> list[tuple[str, str]]:
        """Id and job of every trial that has ended."""
        return self.rows(
            "studies.db", "SELECT id, job_key FROM capsearch_trials WHERE outcome IS NOT NULL"
        )

    def trained(self, count: int) -> bool:
        """Whether so many trials have ended."""
        return len(self.ended()) >= count

    def column(self, name: str) -> Any:
        """Of the one study in its storage; None while there is none."""
        found = self.rows("studies.db", f"SELECT {name} FROM capsearch_studies")
        return found[0][0] if found else None

    def opening(self) -> tuple[str, str | None] | None:
        """Choice and score of the one opening."""
        found = self.rows("studies.db", "SELECT choice, score FROM capsearch_opening")
        assert len(found) < 2
        return found[0] if found else None

    def runs(self) -> dict[str, int]:
        """How many runs MLflow has of each trial; those that are not finished are an error."""
        shown = (
            "SELECT t.value, r.status, count(*) FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
            "AND t.key = 'capsearch.trial' WHERE r.lifecycle_stage = 'active' GROUP BY 1, 2"
        )
        found = self.rows("mlflow.db", shown)
        assert {status for _, status, _ in found} <= {"FINISHED", "FAILED"}
        return {trial: count for trial, _, count in found}

    def running(self) -> list[Any]:
        """Runs of MLflow that were never ended."""
        return self.rows(
            "mlflow.db",
            "SELECT name FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'",
        )

    def children(self, process: subprocess.Popen[str]) -> list[int]:
        """The processes that this one has started to train, and to evaluate."""
        return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    """What must be equal in every run of one study, however often it was cut."""
    passing = ("tracking", "report", "model", "seconds", "decided_at")
    kept = {key: value for key, value in document.items() if key not in passing}
    return kept | {"test": {k: v for k, v in kept["test"].items() if k != "opened_at"}}


def check_whole(place: Place, trials: int = 14) -> None:
    """Nothing is left running or doubled, and MLflow has what the storage has."""
    opening = place.opening()
    assert opening is not None
    assert opening[1] is not None
    ended = place.ended()
    every = place.rows("studies.db", "SELECT id FROM capsearch_trials")
    assert {id_ for id_, _ in ended} == {id_ for (id_,) in every}
    assert len([id_ for id_, _ in ended if id_.startswith(("baseline/", "search/"))]) == trials
    assert place.runs() == dict.fromkeys([id_ for id_, _ in ended], 1)
    assert place.running() == []


def importable() -> dict[str, str]:
    """An environment in which other processes can import these tests, too."""
    found = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return os.environ | {"PYTHONPATH": os.pathsep.join(found)}


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for it to be true; it is an error when that takes longer."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
