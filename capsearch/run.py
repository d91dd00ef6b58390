"""A study from its question to its result: the whole flow, and the only place that wires parts.

Everything is read from the study storage, so a run that was cut goes on where it ended.
"""

from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from capsearch.config import RunConfig
from capsearch.data.source import SourceRef
from capsearch.driver import Driver
from capsearch.errors import SealBroken
from capsearch.executors import Executor, InlineExecutor, LocalExecutor
from capsearch.final import FinalEvaluation
from capsearch.kept.folder import placed
from capsearch.listeners.base import Listener
from capsearch.records import Opening, StudyRecord
from capsearch.report import PAGE
from capsearch.search import Dispatcher
from capsearch.session import StudySession, open_session
from capsearch.spec import StudySpec
from capsearch.storage import StudyStorage, StudyWriter, driver_lock
from capsearch.tracking import check_address, open_tracker
from capsearch.tracking.base import Warn


@dataclass(frozen=True)
class StudyResult:
    """What a run came to: the record, its JSON document, and whether this run did anything."""

    record: StudyRecord | None  # None for one that an earlier version of capsearch completed
    document: dict[str, Any]
    worked: bool


def run(
    name: str, spec: StudySpec, source: SourceRef, config: RunConfig, listener: Listener
) -> StudyResult:
    """Start, resume, or find complete a study.

    Args:
        name: names the study in its storage, MLflow and folders.
        spec: the question.
        source: names the data.
        config: where results live, and what may be used.
        listener: hears of progress.

    Returns:
        The result; with `config.hold_test`, or without a test split, its test score is None.

    Raises:
        CapsearchError: one of its kinds, with the exit code it stands for.
    """
    check_address(config.tracking)
    listener.phase("reading the data")
    with ExitStack() as stack:
        workers = Workers(config, stack, listener.warn)
        connect = cache(lambda: stack.enter_context(_storage(config, listener.warn)))
        session = open_session(name, spec, source, config, connect, workers.start)
        if (done := finished(session)) is not None:
            return done
        stack.enter_context(alone(session, listener))
        if (done := finished(session)) is not None:  # by the start that this one waited for
            return done
        session, storage = session.as_stored().with_rows(), connect()
        storage.begin(session.study, session.identity)
        driver = at_work(session, workers, listener, stack)
        stored = storage.trials(session.study.key)
        trials = driver.race(driver.search(stored), stored)
        decision = driver.decide(trials, driver.replicate(trials, stored))
        workers.end()  # nothing trains any more, and the test may need the memory
        if not config.hold_test or not session.study.has_test:
            driver.test(decision)
        driver.publish()
        return result_of(session, worked=True)


def _storage(config: RunConfig, warn: Warn) -> AbstractContextManager[StudyStorage]:
    return closing(StudyStorage(config.storage, warn))


@dataclass
class Workers:
    """The executor of this run, which starts as soon as the engine is known."""

    config: RunConfig
    stack: ExitStack
    warn: Warn
    engine: str = ""
    executor: Executor | None = None

    def start(self, engine: str) -> None:
        """Start the executor of this engine, unless it was started before."""
        if self.executor is None or engine != self.engine:
            self.end()
            self.engine, self.executor = engine, executor_of(self.config, engine, self.warn)
            self.stack.callback(self.end)

    def end(self) -> None:
        """End the executor, if one runs."""
        executor, self.executor = self.executor, None
        if executor is not None:
            executor.shutdown()


def executor_of(config: RunConfig, engine: str, warn: Warn) -> Executor:
    """Where this run trains."""
    if config.dask is not None:
        from capsearch.executors.dask import DaskExecutor  # an extra: only this option needs it

        return DaskExecutor(config.dask, warn)
    if not config.workers:
        return InlineExecutor()
    return LocalExecutor(engine, config.limits, config.workers)


def finished(session: StudySession) -> StudyResult | None:
    """The result of a study that leaves nothing to do here.

    Raises SealBroken for more trials after the test split was opened.
    """
    config, row, opening = session.config, session.row(), session.opening()
    if opening is not None and config.add_trials + config.add_replicates:
        raise SealBroken(
            f"{session.study.name}: its test split was opened on {opening.opened_at}. Trials that "
            "are added after that could change the choice, and a second choice is never tested"
        )
    if opening is not None and opening.digest != session.study.digest:
        return _finished_before(session, opening)
    if row is None or row.document is None or config.add_trials + config.add_replicates:
        return None
    held = row.document["test"] is None and session.study.has_test
    if (held and not config.hold_test) or (row.tracking is None and not held):
        return None
    if not (session.reports / PAGE).is_file():
        return None
    return result_of(session, worked=False)


def _finished_before(session: StudySession, opening: Opening) -> StudyResult:
    """An earlier version of capsearch opened the test split for this question: that counts."""
    document = session.storage.former_document(opening.study)
    if document is None:
        raise SealBroken(
            f"{session.study.name}: an earlier version of capsearch opened the test split for this "
            f"question on {opening.opened_at} and did not finish. Finish the study with that "
            "version, or change the study file to ask a new question"
        )
    return StudyResult(None, document, worked=False)


def result_of(session: StudySession, *, worked: bool) -> StudyResult:
    """The stored result of a study that was published, with its files where they are now."""
    document, record = session.begun().document, session.record()
    assert document is not None
    model = document.get("model")  # none of a document that an earlier version stored
    if model is not None:
        model = placed(model, session.model_folder(record.choice.key))
    document |= {"report": str(session.reports / PAGE), "model": model}
    return StudyResult(record, document, worked)


def alone(session: StudySession, listener: Listener) -> AbstractContextManager[None]:
    """The lock of the study; a second start waits for it when it was asked to."""
    told = list[str]()

    def wait(busy: str) -> None:
        session.config.check()
        if not told:
            told.append(busy)
            listener.note(f"waiting: {busy}")

    return driver_lock(session.storage, session.study.key, wait if session.config.wait else None)


def at_work(
    session: StudySession, workers: Workers, listener: Listener, stack: ExitStack
) -> Driver:
    """This process as the study's driver, with all that it works with; `stack` ends it."""
    config, study, storage = session.config, session.study, session.storage
    writer = StudyWriter(storage, study)
    if config.add_trials + config.add_replicates:
        writer.extend(config.add_trials, config.add_replicates)
    tracker = open_tracker(config.tracking, config.root, listener.warn, lambda: writer.leads)
    stack.push(closing(tracker))
    tracker.begin(study)
    final = FinalEvaluation(study, session.source, config.limits, config.deadline)
    stack.push(closing(final))
    workers.start(study.engine)
    executor, rows = workers.executor, session.rows
    assert executor is not None
    assert rows is not None
    executor.open(rows)
    known = storage.trials(study.key)
    for trial in known:
        if trial.outcome is not None:  # what MLflow has of them already is not written again
            tracker.log(trial)
    dispatcher = Dispatcher(
        executor=executor,
        ledger=writer,
        engine=study.engine,
        rows=rows.key,
        limits=config.limits,
        patience=config.worker_timeout,
        outcomes={t.job.key: t.outcome for t in known if t.outcome is not None},
        starts={t.job.key: t.starts for t in known if t.outcome is None},
    )
    stack.push(_hurry(storage))
    return Driver(session, writer, dispatcher, tracker, final, listener)


def _hurry(storage: StudyStorage) -> Any:
    """When the run ends with an error, a database that is away must not delay it."""

    def leave(kind: object, *_: object) -> None:
        if kind is not None:
            storage.database.give_up_soon()

    return leave
