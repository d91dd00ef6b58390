"""A study from its question to its result: the whole flow, and the only place that wires parts.

Everything is read from the study storage, so a run that was cut goes on where it ended.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capsearch.config import RunConfig
from capsearch.data.source import SourceRef
from capsearch.errors import CapsearchError, SealBroken
from capsearch.executors import Executor, LocalExecutor
from capsearch.final import FinalEvaluation, FinalTask
from capsearch.listeners.base import Listener
from capsearch.records import Decision, Opening, StudyRecord, Trial, failures
from capsearch.report.document import document
from capsearch.report.page import write
from capsearch.search import Dispatcher, Ladder, Listed, Pace, replicate_trials
from capsearch.search.growth import best_of
from capsearch.selection import (
    CapacityCurve,
    estimates_of,
    of_finalists,
    representatives,
    uncertainty_of,
    verdicts,
)
from capsearch.session import StudySession, in_order, open_session, versions
from capsearch.spec import StudySpec
from capsearch.storage import StudyStorage, StudyWriter, driver_lock
from capsearch.tracking import Tracker, check_address, open_tracker
from capsearch.tracking.base import Warn

NEARLY = 16  # trials before the end of the search: what the end needs is loaded meanwhile


@dataclass(frozen=True)
class StudyResult:
    """What a run came to: the record, its JSON document, and whether this run did anything."""

    record: StudyRecord | None  # None for one that an earlier version of capsearch completed
    document: dict[str, Any]
    worked: bool


@dataclass(frozen=True)
class Run:
    """One driver at work on one study."""

    session: StudySession
    writer: StudyWriter
    dispatcher: Dispatcher
    tracker: Tracker
    final: FinalEvaluation
    listener: Listener

    def search(self, stored: Sequence[Trial]) -> list[Trial]:
        """Baselines and candidates; returns all of them."""
        session = self.session
        row, asked = session.row(), session.spec.search.trials
        budget = asked + (row.more_trials if row else 0)
        plan = Ladder.of(session.question, stored, budget)
        plan.stopped = row is not None and row.cut is not None
        planned = len(session.spec.baseline) + budget
        ended = [t for t in stored if t.group != "replicate" and t.outcome is not None]
        self.listener.phase("search", planned, len(ended))
        if session.config.workers > plan.width:
            self.listener.note(
                f"At most {plan.width} trainings can run at once while the search grows: not all "
                f"of {session.config.workers} workers have work. A larger search.trials opens more"
            )
        pace = Pace()

        def on_trial(trial: Trial) -> None:
            ended.append(trial)
            self._told(trial)
            if planned - len(ended) <= NEARLY:
                self.final.prepare()

        def tick() -> None:
            session.config.check()
            if not plan.stopped and self._must_stop(ended, pace):
                plan.stopped = True
                self.writer.cut(
                    f"the search ended before its budget of {budget} trials: the deadline left "
                    "time for the fresh-seed runs alone"
                )

        self.dispatcher.train(plan, on_trial, tick)
        return sorted(ended, key=in_order)

    def replicate(self, trials: Sequence[Trial], stored: Sequence[Trial]) -> list[Trial]:
        """The finalists and the baselines again, from fresh seeds; returns all of them."""
        session = self.session
        row, spec = session.row(), session.spec
        count = spec.select.replicates + (row.more_replicates if row else 0)
        planned = replicate_trials(session.study, spec, trials, count)
        if not planned:
            raise CapsearchError(f"every trial of {session.study.name} failed: {failures(trials)}")
        known = {t.id: t for t in stored if t.outcome is not None}
        ended = [known[t.id] for t in planned if t.id in known]
        self.listener.phase("replicates", len(planned), len(ended))
        assert session.rows is not None
        if row is None or row.proof is None:
            best = best_of([t for t in trials if t.group == "search"]) or best_of(trials)
            assert best is not None  # some were planned again
            self.final.begin_proof(best.job, session.rows.folder)

        def on_trial(trial: Trial) -> None:
            ended.append(trial)
            self._told(trial)

        waiting = Listed([t for t in planned if t.id not in known])
        self.dispatcher.train(waiting, on_trial, session.config.check, keep=True)
        if (proof := self.final.proof()) is not None:
            self.writer.prove(proof)
        order = {trial.id: number for number, trial in enumerate(planned)}
        return sorted(ended, key=lambda t: order[t.id])

    def decide(self, trials: Sequence[Trial], replicates: Sequence[Trial]) -> Decision:
        """Choose, and store all of the decision; what was decided before stays."""
        session, select = self.session, self.session.spec.select
        row = session.row()
        assert row is not None
        if row.decision is not None:
            return row.decision
        curve = CapacityCurve(estimates_of(of_finalists(trials, replicates)))
        found = verdicts(curve, replicates, select.settings)
        choice = found[select.rule]
        plan = Ladder.of(session.question, trials, session.spec.search.trials + row.more_trials)
        decision = Decision(
            estimates=curve.points,
            choice=choice,
            verdicts=found,
            uncertainty=uncertainty_of(curve, replicates, choice, select.settings),
            growth=plan.evidence if plan.grow else (),
            proof=row.proof,
            versions=versions(),
            decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.writer.decide(decision, keep=representatives(curve, replicates))
        return decision

    def test(self, decision: Decision) -> None:
        """Keep the chosen model, then open the test split for it, once."""
        session = self.session
        self.listener.phase("sealed test")
        choice = decision.choice
        folder = session.model_folder(choice.key)
        weights = session.storage.weights(session.study.key, choice.key)
        assert session.rows is not None
        assert weights is not None
        self.final.keep_model(FinalTask(choice, weights, session.rows.folder, folder))
        opening = self.writer.claim(choice.key)
        if not opening.scored(choice.key):
            self.final.score(opening, folder, self.writer)

    def publish(self) -> None:
        """Report, MLflow, and the mark that the study is complete."""
        session = self.session
        self.listener.phase("report")
        record = session.record()
        files = write(record, session.reports, None)
        tracking = None
        if record.test is not None:
            model = session.model_folder(record.choice.key) / "mlflow"
            tracking = self.tracker.finish(record, files.page, files.figures, model)
            files = write(record, session.reports, tracking)
            if tracking is None or self.tracker.missing:
                self.listener.warn(
                    "not everything could be written to MLflow; the next start of this study makes "
                    "up for it"
                )
        whole = tracking if not self.tracker.missing else None
        self.writer.finish(document(record, tracking, files.page), whole)

    def _told(self, trial: Trial) -> None:
        self.tracker.log(trial)
        self.listener.trial(trial)

    def _must_stop(self, ended: Sequence[Trial], pace: Pace) -> bool:
        """Whether the time that is left is needed for what must follow the search."""
        session = self.session
        if not session.config.deadline.bounded or not ended:
            return False
        replicates = replicate_trials(session.study, session.spec, ended)
        dispatcher = self.dispatcher
        needed = pace.needed(dispatcher.trained, dispatcher.open, ended, replicates)
        left: float = session.config.deadline.left
        return left < needed


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
        The result; with `config.hold_test` its test score is None.

    Raises:
        CapsearchError: one of its kinds, with the exit code it stands for.
    """
    check_address(config.tracking)
    listener.phase("reading the data")
    with ExitStack() as stack:
        storage = stack.enter_context(closing(StudyStorage(config.storage, listener.warn)))
        workers = Workers(config, stack, listener.warn)
        session = open_session(name, spec, source, config, storage, workers.start)
        if (done := finished(session)) is not None:
            return done
        stack.enter_context(alone(session, listener))
        if (done := finished(session)) is not None:  # by the start that this one waited for
            return done
        session = session.with_rows()
        storage.begin(session.study, session.identity)
        work = at_work(session, workers, listener, stack)
        stored = storage.trials(session.study.key)
        trials = work.search(stored)
        decision = work.decide(trials, work.replicate(trials, stored))
        if not config.hold_test:
            work.test(decision)
        work.publish()
        return result_of(session, worked=True)


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
            self.engine, self.executor = engine, executor_of(self.config, engine, self.warn)
            self.stack.callback(self.executor.shutdown)


def executor_of(config: RunConfig, engine: str, warn: Warn) -> Executor:
    """Where this run trains."""
    if config.dask is not None:
        from capsearch.executors.dask import DaskExecutor  # an extra: only this option needs it

        return DaskExecutor(config.dask, warn)
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
    held = row.document["test"] is None
    if (held and not config.hold_test) or (row.tracking is None and not held):
        return None
    if not Path(row.document["report"]).is_file():
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
    """The stored result of a study that was published."""
    row = session.row()
    assert row is not None
    assert row.document is not None
    return StudyResult(session.record(), row.document, worked)


def alone(session: StudySession, listener: Listener) -> AbstractContextManager[None]:
    """The lock of the study; a second start waits for it when it was asked to."""
    told = list[str]()

    def wait(busy: str) -> None:
        session.config.check()
        if not told:
            told.append(busy)
            listener.note(f"waiting: {busy}")

    return driver_lock(session.storage, session.study.key, wait if session.config.wait else None)


def at_work(session: StudySession, workers: Workers, listener: Listener, stack: ExitStack) -> Run:
    """This process as the study's driver, with all that it works with; `stack` ends it."""
    config, study, storage = session.config, session.study, session.storage
    assert session.rows is not None  # a study that is to be worked on was read
    writer = StudyWriter(storage, study)
    if config.add_trials + config.add_replicates:
        writer.extend(config.add_trials, config.add_replicates)
    tracker = open_tracker(config.tracking, config.root, listener.warn, lambda: writer.leads)
    stack.push(closing(tracker))
    tracker.begin(study)
    final = FinalEvaluation(study, session.source, config.limits, config.deadline)
    stack.push(closing(final))
    workers.start(study.engine)
    executor = workers.executor
    assert executor is not None
    executor.open(session.rows)
    known = storage.trials(study.key)
    for trial in known:
        if trial.outcome is not None:  # what MLflow has of them already is not written again
            tracker.log(trial)
    dispatcher = Dispatcher(
        executor=executor,
        ledger=writer,
        engine=study.engine,
        rows=session.rows.key,
        limits=config.limits,
        patience=config.worker_timeout,
        outcomes={t.job.key: t.outcome for t in known if t.outcome is not None},
        starts={t.job.key: t.starts for t in known if t.outcome is None},
    )
    stack.push(_hurry(storage))
    return Run(session, writer, dispatcher, tracker, final, listener)


def _hurry(storage: StudyStorage) -> Any:
    """When the run ends with an error, a database that is away must not delay it."""

    def leave(kind: object, *_: object) -> None:
        if kind is not None:
            storage.database.give_up_soon()

    return leave
