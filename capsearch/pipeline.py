"""A study from its name to its result: the whole flow, and the only place that wires parts.

spec -> data -> space -> baselines and search -> replicates -> choice -> sealed test -> report.
Everything is derived from the study storage, so a run that was cut goes on where it ended.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from capsearch import search
from capsearch.crew import crew_of
from capsearch.engines.process import EngineProcess
from capsearch.errors import Interrupted
from capsearch.final import FinalTask, LastLook
from capsearch.leader import Leader, Watcher
from capsearch.records import StudyRecord, Trial
from capsearch.report.document import document
from capsearch.report.page import ReportFiles, write
from capsearch.selection import CapacityCurve, choose, of_finalists
from capsearch.storage import LeadLost, Member, Role, StudyRow
from capsearch.study import Circumstances, Opened, assemble, finalists, join_study, open_study
from capsearch.tracking import Tracker, open_tracker


@dataclass(frozen=True)
class Finished:
    """A complete study: its record, its JSON document, and whether this run did anything."""

    record: StudyRecord
    document: dict[str, Any]
    worked: bool


def run_study(name: str, where: Circumstances, watch: Watcher) -> Finished:
    """Start, resume, or find complete the study of this name."""
    watch.phase("reading the data")
    with closing(EngineProcess(where.engine, where.limits)) as engine:  # it starts while we read
        opened = open_study(name, where, watch.warn)
        with closing(opened.store):
            if _published(opened):
                return _finished(opened, worked=False)
            opened.store.begin(opened.study)
            with (
                _joined(opened, "study", watch) as member,
                crew_of(opened.study.key, where) as check,
            ):
                _work(opened, member, engine, watch, until=_published, check=check)
            return _finished(opened, worked=True)


def join(name: str, where: Circumstances, watch: Watcher) -> StudyRow:
    """Work on a study beside others, from any machine, until it is complete."""
    watch.phase("reading the data")
    with closing(EngineProcess(where.engine, where.limits)) as engine:
        opened = join_study(name, where, watch.warn)
        with closing(opened.store):
            opened.store.begin(opened.study)
            if not _ended(opened):
                with _joined(opened, "worker", watch) as member:
                    _work(opened, member, engine, watch, until=_ended)
            return _row(opened)


def unchanged(name: str, where: Circumstances) -> StudyRow | None:
    """The study's row when it is complete for this very file and these very data."""
    opened = open_study(name, where)
    with closing(opened.store):
        row = opened.store.row(opened.study)
    return row if row is not None and row.document is not None else None


def rebuild_report(name: str, where: Circumstances) -> ReportFiles:
    """The report of a complete study, made anew from its storage; nothing is trained."""
    opened = open_study(name, where)
    with closing(opened.store):
        record, row = assemble(opened), opened.store.row(opened.study)
        return write(record, opened.reports, row.tracking if row else None)


@contextmanager
def _joined(opened: Opened, role: Role, watch: Watcher) -> Iterator[Member]:
    """This process as a worker; a second `study` command waits its turn if it was asked to."""
    where, told = opened.where, False
    threads = 0 if where.dask and role == "study" else where.limits.threads
    with ExitStack() as joined:
        while True:
            try:
                member = opened.store.member(opened.study, role, threads, where.lease)
                joined.enter_context(member)
                break
            except Interrupted as busy:
                if not where.wait:
                    raise
                if not told:
                    watch.note(f"waiting: {busy}")
                told = True
            where.check()
            time.sleep(1.0)
        yield member


def _work(
    opened: Opened,
    member: Member,
    engine: EngineProcess,
    watch: Watcher,
    *,
    until: Callable[[Opened], bool],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Train what another one leads, or lead, `until` there is nothing left to do.

    `check` raises when there is nobody left who trains.
    """
    engine.data = opened.data
    hand = search.Hand(opened.store.board(opened.study), member, engine)
    look = 0.0
    while True:
        if time.monotonic() > look:
            if until(opened):
                return
            look = time.monotonic() + 0.5
        if member.lead():
            with suppress(LeadLost):
                _lead(opened, member, hand, watch, check)
                return
        opened.where.check()
        check()
        hand.step()


def _lead(
    opened: Opened,
    member: Member,
    hand: search.Hand,
    watch: Watcher,
    check: Callable[[], None],
) -> None:
    """Everything that is left to plan, to choose and to publish, by this process alone."""
    where = opened.where
    with (
        closing(
            open_tracker(where.tracking, where.root, watch.warn, lambda: member.leading)
        ) as tracker,
        closing(_last_look(opened)) as last_look,
    ):
        tracker.begin(opened.study)
        leader = Leader(opened, member, hand, tracker, watch, check)
        try:
            trials = leader.train_candidates(nearly_done=partial(_get_ready, last_look))
            replicates = leader.train_replicates(trials)
            member.insist()
            _look_at_test(opened, of_finalists(trials, replicates), last_look, watch)
            member.renew()
            member.insist()
            _publish(opened, tracker, watch)
        except LeadLost:
            raise  # it goes on as a hand
        except BaseException:
            member.give_back()  # before the tracker: a server that hangs may outlast our time
            raise


def _row(opened: Opened) -> StudyRow:
    row = opened.store.row(opened.study)
    assert row is not None  # callers have begun the study
    return row


def _ended(opened: Opened) -> bool:
    """Whether the study has its result, wherever its report lies."""
    row = opened.store.row(opened.study)
    return row is not None and row.document is not None


def _published(opened: Opened) -> bool:
    """Whether there is nothing left to do here: MLflow has all of it, and the report is there."""
    row = opened.store.row(opened.study)
    if row is None or row.document is None or row.tracking is None:
        return False
    return Path(row.document["report"]).is_file()


def _finished(opened: Opened, *, worked: bool) -> Finished:
    document = _row(opened).document
    assert document is not None  # callers have seen it published
    return Finished(assemble(opened), document, worked)


def _get_ready(last_look: LastLook) -> None:
    """Import what the end needs while networks train."""
    last_look.get_ready()
    import capsearch.report.figures  # noqa: F401


def _last_look(opened: Opened) -> LastLook:
    where = opened.where
    return LastLook(opened.study, opened.spec.data, opened.store, where.limits, where.deadline)


def _look_at_test(
    opened: Opened, replicates: Sequence[Trial], last_look: LastLook, watch: Watcher
) -> None:
    """Choose, then score the choice on test rows, once."""
    select = opened.spec.select
    curve = CapacityCurve(finalists(replicates))
    choice = choose(curve, replicates, select.rule, select.settings)
    watch.phase("sealed test")
    task = FinalTask(
        study=opened.study,
        choice=choice,
        data=opened.data,
        engine=opened.store.board(opened.study).engine_of(choice.job),
        folder=opened.model_folder(choice.key),
    )
    last_look(task)


def _publish(opened: Opened, tracker: Tracker, watch: Watcher) -> None:
    """Report, MLflow, and the mark that the study is complete."""
    watch.phase("report")
    record = assemble(opened)
    files = write(record, opened.reports, None)
    model = opened.model_folder(record.choice.key) / "mlflow"
    tracking = tracker.finish(record, files.page, files.figures, model)
    files = write(record, opened.reports, tracking)
    if tracking is None or tracker.missing:
        watch.warn(
            "not everything could be written to MLflow; run the same command again when it is back"
        )
    whole = tracking if not tracker.missing else None
    opened.store.finish(opened.study, document(record, tracking, files.page), whole)
