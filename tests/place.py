"""One small study on real reviews, run by the command people type in a folder of its own."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
ENDED = "SELECT job FROM capsearch_job WHERE outcome IS NOT NULL"


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

    def environment(self) -> dict[str, str]:
        environment = os.environ | {"CAPSEARCH_CACHE": str(self.cache), "COLUMNS": "80"}
        for name in ("MLFLOW_TRACKING_URI", "CAPSEARCH_STORAGE", "CAPSEARCH_ROOT"):
            environment.pop(name, None)
        return environment

    def workers(self) -> list[int]:
        """The processes of this machine that work on the study in this folder."""
        marks = {"capsearch", "worker", str(self.folder / "mlruns")}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if marks <= set(command):
                    found.append(int(entry.name))
        return found

    def trained(self, count: int) -> bool:
        """Whether so many jobs have ended."""
        found = self.rows("studies.db", f"SELECT count(*) FROM ({ENDED})")
        return bool(found) and found[0][0] >= count

    def study(self, *arguments: str) -> tuple[dict[str, Any], str]:
        process = self.start("study", "mine", "--json", *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.loads(out), err

    def rows(self, database: str, query: str) -> list[Any]:
        path = self.folder / "mlruns" / database
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:  # the tables are not there yet
                return []


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    """What must be equal in every run of one study, however often it was cut."""
    kept = {k: v for k, v in document.items() if k not in ("tracking", "report", "seconds")}
    return kept | {"test": {k: v for k, v in kept["test"].items() if k != "opened_at"}}


def check_whole(place: Place) -> None:
    """Nothing is left running or doubled, and MLflow has what the storage has."""
    assert place.rows("studies.db", "SELECT count(*) FROM capsearch_opening") == [(1,)]
    states = place.rows("studies.db", "SELECT state, count(*) FROM trials GROUP BY state")
    assert states == [("COMPLETE", 12)]
    jobs = place.rows("studies.db", ENDED)
    assert len(jobs) == len(set(jobs)) >= 2 + 12 + 9
    query = (
        "SELECT t.value, count(*) FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
        "AND t.key = 'capsearch.trial' WHERE r.lifecycle_stage = 'active' "
        "AND r.status = 'FINISHED' GROUP BY t.value"
    )
    runs = place.rows("mlflow.db", query)
    assert len(runs) == len(jobs)
    assert {count for _, count in runs} == {1}
    running = "SELECT name FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'"
    assert place.rows("mlflow.db", running) == []  # nor is there one when MLflow was not begun


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for it to be true; it is an error when that takes longer."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
