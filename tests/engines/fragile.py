"""An engine that trains by pretending; some widths bring its process down in their own way."""

import ctypes
import os
import signal
import time
from collections.abc import Sequence

from capsearch.data.source import SearchData
from capsearch.engines.base import Trained
from capsearch.engines.registry import EngineKind
from capsearch.initialization import initial_weights
from capsearch.records import Candidate, Job
from tests.fakes import outcome_of

KIND = EngineKind(
    "tests.engines.fragile:Fragile", 8, 2, arithmetic=1, by_threads=False, keras=False
)
ID = "fragile/1/cpu"
KILLED, HUNG, RAISES, NO_MEMORY, EXITS, BOMB, SLOW = range(13, 20)


class Fragile:
    """Kills itself for a layer of 13 units, hangs for one of 14 ..."""

    pack = 8

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        for job in jobs:
            match job.candidate.units:
                case (13,):
                    os.kill(os.getpid(), signal.SIGKILL)
                case (14,):
                    hang()
                case (15,):
                    raise ValueError("a bug\nwith two lines")
                case (16,):
                    raise MemoryError
                case (17,):
                    os.write(2, b"something awful\n")
                    os._exit(3)
                case (18,):
                    held = bytearray(400_000_000)
                    time.sleep(len(held) / 4e6)  # 100 s
                case (19,):
                    time.sleep(0.5)
        return [
            Trained(outcome_of(job), tuple(initial_weights(job.candidate, 20, job.seed)))
            for job in jobs
        ]


def hang() -> None:
    """In C, with Python's lock held: no thread of this process goes on."""
    ctypes.PyDLL(None).sleep(100)


def job(*units: int) -> Job:
    return Job.of(
        Candidate(units), study_seed=0, replicate=0, epochs=1, patience=1, engine=ID, data="rows"
    )
