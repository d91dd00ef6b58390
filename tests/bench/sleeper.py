"""An engine that sleeps instead of training, and the place that it needs in the registry.

A Dask worker imports this module before it trains (`--preload`); so does the driver.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from capsearch.data.source import SearchData
from capsearch.engines.base import Trained
from capsearch.engines.registry import ENGINES, EngineKind
from capsearch.records import Job
from tests.fakes import outcome_of

ENGINE = "sleeper/1/cpu"
SECONDS, MARKS = "BENCH_SECONDS", "BENCH_MARKS"  # in the environment: how long, and a folder
VALIDATION = 5_000  # rows, each with its loss in the storage, as on IMDB
ENGINES["sleeper"] = EngineKind(
    "tests.bench.sleeper:Sleeper", 1, 1, arithmetic=1, by_threads=False, keras=False
)


class Sleeper:
    """Trains one job at a time, by sleeping; each process notes when it began to, in a file."""

    pack = 1

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        with (Path(os.environ[MARKS]) / str(os.getpid())).open("a") as marks:
            marks.write(f"{time.monotonic()}\n")
        time.sleep(float(os.environ[SECONDS]) * len(jobs))
        return [Trained(outcome_of(job, VALIDATION), ()) for job in jobs]


def begun(folder: Path) -> list[list[float]]:
    """When each process began its trainings, by the clock that all on this machine share."""
    return [[float(line) for line in file.read_text().split()] for file in folder.iterdir()]
