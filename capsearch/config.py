"""Where results live, what may be used, and until when: nothing of it is part of the question."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from capsearch import signals
from capsearch.deadline import Deadline
from capsearch.engines.registry import DEFAULT, engine_id, engine_of
from capsearch.errors import BadRequest
from capsearch.executors.base import Limits
from capsearch.storage import StudyRow


@dataclass(frozen=True)
class RunConfig:
    """The circumstances of one start of a study."""

    root: Path  # reports and models, and the default stores
    storage: str  # address of the study storage
    tracking: str  # address of MLflow
    cache: Path  # prepared data
    engine: str | None = None  # a name; None: the stored one, or the default
    threads: int = 0  # processor cores to train on, of each worker; 0: all that are usable
    limits: Limits = field(default_factory=lambda: Limits(usable_cores()))
    workers: int = 1  # processes on this machine that train; 0: this one
    dask: str | None = None  # a scheduler's address or file, whose workers train instead
    worker_timeout: float = 60.0  # seconds without any worker after which the command ends
    deadline: Deadline = field(default_factory=Deadline)
    wait: bool = False  # for another start of the study, instead of leaving it alone
    hold_test: bool = False  # stop before the test split is opened
    add_trials: int = 0  # beyond what the study was given so far
    add_replicates: int = 0

    def check(self) -> None:
        """Raise Stopped or Interrupted when this run has to end."""
        signals.check()
        self.deadline.check()


def usable_cores() -> int:
    """The processors that this process may run on, and its container's share of them."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(min(most, int(quota) // int(period)), 1)
    except (OSError, ValueError):  # no container, or one without a quota ('max')
        return most


def engine_for(row: StudyRow | None, config: RunConfig) -> str:
    """The id of the engine that trains: the stored one for good. Raises BadRequest."""
    if row is None:
        threads = config.threads or (1 if config.dask else usable_cores())
        return engine_id(config.engine or DEFAULT, threads)
    _, fixed = engine_of(row.engine)
    stored = row.engine.partition("/")[0]
    if config.engine is not None and config.engine != stored:
        raise BadRequest(
            f"--engine {config.engine}: {row.name} was begun with the engine {stored}, and the "
            "figures of two engines must not stand in one study. Leave --engine out to go on, or "
            "ask again under another name"
        )
    if config.threads and fixed not in (None, config.threads):
        raise BadRequest(
            f"--threads {config.threads}: {row.name} was begun with {fixed} threads, and the "
            f"figures of the engine {stored} depend on them. Leave --threads out to go on"
        )
    return row.engine
