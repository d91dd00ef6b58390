"""The contract of an executor: packs of jobs in, results out; whose fault a loss is, it never asks.

Kept by all of them, and checked by `tests/contracts/executor.py`.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ClassVar, Protocol

from capsearch.engines.base import Trained
from capsearch.errors import CapsearchError
from capsearch.records import Job


class Lost(Exception):
    """A pack's worker or machine went away while it trained: nobody's fault, send it again."""


class Unusable(CapsearchError):
    """A worker can never train this: another version, no such engine, damaged rows."""

    exit_code = 2


@dataclass(frozen=True)
class Limits:
    """What a process that trains may use."""

    threads: int
    seconds_per_job: float = 1800.0
    memory: float = inf  # bytes


@dataclass(frozen=True)
class Rows:
    """Prepared training and validation rows: the name of their content, and where they lie here."""

    key: str
    folder: Path


@dataclass(frozen=True)
class Pack:
    """Jobs for one call of `train_pack`: plain values, which cross machines.

    `keep` asks for what only replicates need: outputs on validation rows, and weights.
    """

    engine: str  # an id of `engines.registry`
    jobs: tuple[Job, ...]
    rows: str  # the key of their rows
    limits: Limits
    keep: bool = False

    __pydantic_config__: ClassVar = {"ser_json_inf_nan": "strings"}


class Executor(Protocol):
    """Carries packs to where they are trained."""

    @property
    def slots(self) -> int:
        """How many packs can train at once now; 0 while nobody is there. It may change."""
        ...

    def open(self, rows: Rows) -> None:
        """Hear which rows the packs to come are about; called once, before the first."""
        ...

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        """Train a pack; of those that wait, lower `priority` first.

        The future's result has one entry a job, in their order; a job that failed is an outcome
        with its failure. It raises only Lost and Unusable.
        """
        ...

    def shutdown(self) -> None:
        """End everything that trains, now."""
        ...
