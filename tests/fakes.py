"""Every stand-in of the test suite: engines and executors that pretend, a source of toy rows."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any
from unittest import mock

import numpy as np
from scipy import sparse

from capsearch.data import cache, material
from capsearch.data.fitting import fit
from capsearch.data.material import Material
from capsearch.data.options import SplitOptions
from capsearch.data.source import RawData, Rows, SearchData, SourceRef
from capsearch.engines.base import Trained
from capsearch.engines.child import lookup
from capsearch.engines.registry import ENGINES
from capsearch.executors import Executor, Limits, Lost, Pack
from capsearch.executors import Rows as RowsRef
from capsearch.families.space import count_parameters, ladder
from capsearch.initialization import initial_weights
from capsearch.records import Candidate, Curve, DataProfile, Job, Outcome, Study, Trial, digest_of
from capsearch.search import Dispatcher, Plan, Question
from capsearch.spec import StudySpec
from capsearch.spec.strategies import STRATEGIES
from capsearch.storage import StudyStorage, StudyWriter
from capsearch.tasks import Task

ROWS = 50  # of the fake validation split
PACKED = "packed/1/cpu"
CANDIDATE = Candidate((4, 4))


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
    """An engine that computes its outcomes without training, and remembers its jobs."""

    pack: int = 16
    fail: Sequence[str] = ()  # labels of candidates that diverge; '*' for all
    trained: list[Job] = field(default_factory=list)

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        self.trained += jobs
        return [self.result(job) for job in jobs]

    def result(self, job: Job) -> Trained:
        if "*" in self.fail or job.candidate.label in self.fail:
            return Trained(Outcome.failed("diverged"), ())
        return Trained(self.outcome(job), tuple(initial_weights(job.candidate, 20, job.seed)))

    def outcome(self, job: Job) -> Outcome:
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


@dataclass
class FakeExecutor:
    """Has packs trained by a fake engine: one whenever `tick` is called, in any order.

    `lose` says of a pack whether its worker goes away; after `die_after` jobs the driver dies in
    the middle of handing out another pack, as of SIGKILL: it gives nothing back.
    """

    engine: FakeEngine = field(default_factory=FakeEngine)
    slots: int = 1
    rng: Random | None = None  # which pack ends next; None: the first
    lose: Callable[[Pack], bool] = lambda _: False
    die_after: int | None = None
    packs: list[Pack] = field(default_factory=list)  # all that were submitted
    flying: list[tuple[Pack, "Future[Sequence[Trained]]"]] = field(default_factory=list)
    dead: bool = False

    def open(self, rows: RowsRef) -> None:
        pass

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        if self.die_after is not None and len(self.engine.trained) >= self.die_after:
            self.dead = True
            raise KeyboardInterrupt
        assert len(self.flying) < self.slots, "more packs are submitted than can train"
        self.packs.append(pack)
        future = Future[Sequence[Trained]]()
        self.flying.append((pack, future))
        return future

    def tick(self) -> None:
        """One of the packs ends."""
        if not self.flying:
            return
        pack, future = self.flying.pop(self.rng.randrange(len(self.flying)) if self.rng else 0)
        if self.lose(pack):
            future.set_exception(Lost())
            return
        found = self.engine.train(pack.jobs, toy_data())
        if pack.keep:
            found = [replace(t, outputs=np.full(ROWS, 0.5, np.float32)) for t in found]
        else:
            found = [Trained(t.outcome, ()) for t in found]
        future.set_result(found)

    def shutdown(self) -> None:
        pass


class MortalWriter(StudyWriter):
    """Of a driver that gives nothing back once its executor says that it is dead."""

    executor: Executor

    def give_back(self, jobs: Collection[str]) -> None:
        if not getattr(self.executor, "dead", False):
            super().give_back(jobs)


def dispatcher_of(study: Study, storage: StudyStorage, executor: Executor) -> Dispatcher:
    """The next driver of this study, begun now: it knows what is stored, as `run` does it."""
    storage.begin(study, "toy")
    writer, known = MortalWriter(storage, study), storage.trials(study.key)
    writer.executor = executor
    return Dispatcher(
        executor=executor,
        ledger=writer,
        engine=study.engine,
        rows="rows",
        limits=Limits(1),
        outcomes={t.job.key: t.outcome for t in known if t.outcome is not None},
        starts={t.job.key: t.starts for t in known if t.outcome is None},
    )


def driven(
    plan: Plan,
    study: Study,
    storage: StudyStorage,
    executor: FakeExecutor | None = None,
    *,
    pack: int = 16,
    keep: bool = False,
) -> list[Trial]:
    """Everything in the plan, trained by one driver in packs of at most this many jobs."""
    using = executor or FakeExecutor()
    with mock.patch.dict(ENGINES, packed=replace(ENGINES["packed"], pack=pack)):
        dispatcher = dispatcher_of(study, storage, using)
        return dispatcher.train(plan, lambda _: None, using.tick, keep=keep)


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


def study_of(spec: StudySpec | None = None, name: str = "toy", engine: str = PACKED) -> Study:
    """A study about the toy rows; nobody need know their source."""
    said = spec or spec_of()
    asked = said.for_data(profile_of(), sparse=False)
    question = asked.question | {"sampling": asdict(STRATEGIES[asked.search.strategy])}
    edges = ladder(asked.space_for(20), asked.search.rungs)
    return Study(
        name, question, profile_of(), edges, engine, digest_of((spec or spec_of()).identity)
    )


def question_of(spec: StudySpec | None = None, study: Study | None = None) -> Question:
    """All that a search needs to know of a study about the toy rows."""
    told = spec or spec_of()
    asked = told.for_data(profile_of(), sparse=True)
    space = asked.space_for(20)
    return Question(study or study_of(told), asked, space, STRATEGIES[asked.search.strategy])


def toy_rows(count: int, features: int = 20, seed: int = 0, *, dense: bool = False) -> Rows:
    """Multi-hot rows with a linear signal, as CSR or dense."""
    rng = np.random.default_rng(seed)
    x = (rng.random((count, features)) < 0.3).astype(np.float32)
    y = (x @ np.linspace(-1, 1, features) + 0.3 * rng.standard_normal(count) > 0).astype(np.float32)
    return Rows(x if dense else sparse.csr_matrix(x), y)


def targets_of(task: Task, raw: np.ndarray) -> np.ndarray:
    """What a network that gives these raw values would be right about, float32."""
    found: Any = raw[:, 0] > np.quantile(raw, 0.6)
    if task.kind == "multiclass":
        found = raw.argmax(axis=1)
    elif task.kind == "multilabel":
        found = raw > 0
    elif task.kind == "regression":
        found = raw[:, 0] / raw.std()
    y: np.ndarray = found.astype(np.float32)
    return y


def task_data(task: Task, *, dense: bool, weighted: bool = False) -> SearchData:
    """200 and 100 rows of 20 features with a signal for this task; some weights are 0."""
    rng = np.random.default_rng(11)
    x = (rng.random((300, 20)) * (rng.random((300, 20)) < 0.3)).astype(np.float32)
    raw = x @ rng.normal(size=(20, task.outputs)) + 0.2 * rng.standard_normal((300, task.outputs))
    y, held = targets_of(task, raw), x if dense else sparse.csr_matrix(x)
    weight = rng.integers(4, size=300).astype(np.float32) if weighted else None
    rows = Rows(held, y, weight)
    return SearchData(rows.take(np.arange(200)), rows.take(np.arange(200, 300)), task)


def dense_of(rows: Rows) -> np.ndarray:
    return rows.x if isinstance(rows.x, np.ndarray) else rows.x.toarray()


def toy_data(*, dense: bool = False) -> SearchData:
    return SearchData(toy_rows(200, seed=1, dense=dense), toy_rows(100, seed=2, dense=dense))


SIZES = {"train": 200, "validation": 100, "test": 30}


def toy_raw(*splits: str, dense: bool = False) -> RawData:
    """The toy rows of these splits as a source gives them; all of them without a name."""
    named = splits or tuple(SIZES)
    seeds = {"train": 1, "validation": 2, "test": 3}
    parts = [toy_rows(SIZES[name], seed=seeds[name], dense=dense) for name in named]
    x: Any = np.concatenate([dense_of(part) for part in parts])
    x = x if dense else sparse.csr_matrix(x)
    y = np.concatenate([p.y for p in parts])
    split = np.repeat(np.array(named, object), [len(p) for p in parts])
    return RawData({"x": x}, y, split=split)


class ToySource:
    """A source of toy rows, which has splits of its own; test rows lie with the others."""

    dense = False

    def __init__(self, options: object = None) -> None:
        self.reads = 0

    def identity(self) -> str:
        return digest_of("toy")

    def read(self) -> RawData:
        self.reads += 1
        return toy_raw(dense=self.dense)


class ApartSource(ToySource):
    """The same rows, those of the test split in a file: it remembers how often that was read."""

    def __init__(self, options: object = None) -> None:
        super().__init__(options)
        self.opened = 0

    def read(self) -> RawData:
        self.reads += 1
        return toy_raw("train", "validation", dense=self.dense)

    def sealed(self) -> str:
        return digest_of("a file")

    def read_sealed(self) -> RawData:
        self.opened += 1
        return replace(toy_raw("test"), split=None)


class UntestedSource(ToySource):
    """The same rows without those of the test split."""

    def read(self) -> RawData:
        return toy_raw("train", "validation")


def toy_material(*, dense: bool = False) -> Material:
    """What the house makes of the toy source."""
    source = ToySource()
    source.dense = dense
    return material.read(source, "toy", SplitOptions())


def toy_study(spec: StudySpec | None = None, name: str = "toy", engine: str = PACKED) -> Study:
    """A study about the rows of `ToySource`."""
    rows = toy_material()
    data = cache.profile_of(rows, fit(rows.part("train").columns, SplitOptions(), rows.searched()))
    return replace(study_of(spec, name, engine), data=data)


def in_this_process(ref: SourceRef, function: str, *args: Any, check: object = None) -> Any:
    """In place of `reader._in_a_child`: what a child would do, where a test can reach it."""
    return lookup(function)(*args)


class Given:
    """A source that hands this over."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def identity(self) -> str:
        return "given"

    def read(self) -> Any:
        return self.given
