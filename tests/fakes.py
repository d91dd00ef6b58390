"""Every stand-in of the test suite: an engine that computes its outcomes, a source of toy rows."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.data.source import Rows, SearchData
from capsearch.families.space import count_parameters, ladder
from capsearch.records import Candidate, Curve, DataProfile, Job, Outcome, Study, Trial, digest_of
from capsearch.search import Foreman, Hand, Plan, drive
from capsearch.spec import StudySpec
from capsearch.storage import StudyStore

ROWS = 50  # of the fake validation split


def outcome_of(job: Job, rows: int = ROWS) -> Outcome:
    """A plausible outcome: larger networks do better up to a point, seeds add noise."""
    rng = np.random.default_rng(job.seed)
    size = sum(job.candidate.units) + 1
    level = 0.28 + 0.4 / size + 0.01 * rng.standard_normal()
    losses = np.abs(level + 0.2 * np.random.default_rng(7).standard_normal(rows)).astype(np.float32)
    mean = float(losses.mean(dtype=np.float64))
    curve = Curve(
        (0.6, 0.3, 0.2), (0.7, 0.8, 0.9), (mean + 0.1, mean, mean + 0.05), (0.7, 0.8, 0.8)
    )
    return Outcome(curve, 2, mean, 0.8, 0.01, None, losses)


class Dice:
    """Suggests at random and remembers what it was asked."""

    def __init__(self, seed: int) -> None:
        self.rng, self.asked = Random(seed), dict[str, Any]()

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.asked[name] = (low, high)
        return self.rng.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked[name] = (low, high)
        return self.rng.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = tuple(choices)
        return self.rng.choice(choices)


@dataclass
class FakeEngine:
    """Keeps the contract of `EngineProcess` without a process; counts what it trains."""

    name: str = "fake"
    pack: int = 1
    fail: Sequence[str] = ()  # labels of candidates that diverge; '*' for all
    die_after: int | None = None  # raise KeyboardInterrupt instead of collecting the nth time
    trained: list[Job] = field(default_factory=list)
    _flying: deque[Sequence[Job]] = field(default_factory=deque)

    def submit(self, jobs: Sequence[Job]) -> None:
        assert 0 < len(jobs) <= self.pack
        assert len(self._flying) < 2, "more packs are submitted than can train"
        self._flying.append(jobs)

    def ready(self, wait: float) -> bool:
        return True

    def collect(self) -> list[Outcome]:
        if self.die_after is not None and len(self.trained) >= self.die_after:
            raise KeyboardInterrupt
        jobs = self._flying.popleft()
        self.trained += jobs
        return [self.outcome(job) for job in jobs]

    def close(self) -> None:
        pass

    def outcome(self, job: Job) -> Outcome:
        if "*" in self.fail or job.candidate.label in self.fail:
            return Outcome.failed("diverged: loss became NaN or infinite at epoch 1")
        return outcome_of(job)


@dataclass
class LevelEngine(FakeEngine):
    """Networks are better the larger they are, up to `enough` parameters; then equal."""

    enough: int = 0

    def outcome(self, job: Job) -> Outcome:
        parameters = count_parameters(job.candidate.units, features=20)
        level = 0.3 + 1.0 / min(parameters, self.enough)
        noise = np.random.default_rng(job.seed).normal(0.0, 1e-3, ROWS)
        losses = (level + noise - noise.mean()).astype(np.float32)
        curve = Curve((0.5,), (0.8,), (level,), (0.8,))
        return Outcome(curve, 1, level, 0.8, 0.01, None, losses)


def driven(plan: Plan, study: Study, store: StudyStore, engine: FakeEngine) -> list[Trial]:
    """Everything in the plan, trained by one process that leads itself."""
    store.begin(study)
    board = store.board(study)
    with store.member(study, "study", threads=1) as member:
        assert member.lead()
        foreman = Foreman(plan, board, member, lambda _: None)
        return drive(foreman, Hand(board, member, engine))


def spec_of(**changes: Any) -> StudySpec:
    """A small study: 12 trials on 3 rungs, one baseline, 2 replicates."""
    table: dict[str, Any] = {
        "data": {"source": "toy"},
        "space": {
            "layers": {"low": 0, "high": 2},
            "units": {"low": 1, "high": 8, "log": True},
            "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        },
        "training": {"epochs": 3, "patience": 2, "batch_size": 16},
        "search": {"trials": 12, "rungs": 3},
        "select": {"replicates": 2},
        "baseline": [{"name": "original", "units": [4, 4]}],
    }
    return StudySpec.model_validate(table | changes)


def profile_of(name: str = "toy", features: int = 20) -> DataProfile:
    splits = ("train", "validation", "test")
    return DataProfile(
        source=name,
        features=features,
        sizes={"train": 60, "validation": ROWS, "test": 30},
        balance=dict.fromkeys(splits, 0.5),
        duplicates={"train/validation": 0, "train/test": 0, "validation/test": 0},
        fingerprints={split: digest_of([name, split]) for split in splits},
    )


def study_of(spec: StudySpec | None = None, name: str = "toy") -> Study:
    asked = spec or spec_of()
    profile = profile_of()
    edges = ladder(asked.space_for(profile.features), asked.search.rungs)
    return Study(name, asked.question, profile, edges)


def toy_rows(count: int, features: int = 20, seed: int = 0, *, dense: bool = False) -> Rows:
    """Multi-hot rows with a linear signal, as CSR or dense."""
    rng = np.random.default_rng(seed)
    x = (rng.random((count, features)) < 0.3).astype(np.float32)
    y = (x @ np.linspace(-1, 1, features) + 0.3 * rng.standard_normal(count) > 0).astype(np.float32)
    return Rows(x if dense else sparse.csr_matrix(x), y)


def dense_of(rows: Rows) -> np.ndarray:
    return rows.x if isinstance(rows.x, np.ndarray) else rows.x.toarray()


def toy_data(*, dense: bool = False) -> SearchData:
    return SearchData(toy_rows(200, seed=1, dense=dense), toy_rows(100, seed=2, dense=dense))


class ToySource:
    """A source with a test split that remembers whether it was asked for."""

    def __init__(self, options: object = None) -> None:
        self.opened = 0

    def identity(self) -> str:
        return digest_of("toy")

    def search_data(self) -> SearchData:
        return toy_data()

    def test_data(self) -> Rows:
        self.opened += 1
        return toy_rows(30, seed=3)

    def profile(self) -> DataProfile:
        return profile_of()


CANDIDATE = Candidate((4, 4))
