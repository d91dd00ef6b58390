"""A study from its name to its result: the whole flow, and the only place that wires parts.

spec -> data -> space -> baselines and search -> replicates -> choice -> sealed test -> report.
Everything is derived from the study storage, so a run that was cut goes on where it ended.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from capsearch import search
from capsearch.engine.process import EngineProcess, Limits
from capsearch.errors import CapsearchError
from capsearch.final import FinalTask, LastLook
from capsearch.records import StudyRecord, Trial
from capsearch.report.document import document
from capsearch.report.page import ReportFiles, write
from capsearch.selection import CapacityCurve, choose, of_finalists
from capsearch.study import Circumstances, Opened, assemble, finalists, open_study, reasons
from capsearch.tracking import Tracker, open_tracker


class Watcher(Protocol):
    """Whoever looks on: the terminal, or nobody."""

    def phase(self, name: str, total: int = 0) -> None: ...
    def trial(self, trial: Trial) -> None: ...
    def warn(self, message: str) -> None: ...


@dataclass(frozen=True)
class Finished:
    """A complete study: its record, its JSON document, and whether this run did anything."""

    record: StudyRecord
    document: dict[str, Any]
    worked: bool


def run_study(name: str, where: Circumstances, watch: Watcher) -> Finished:
    """Start, resume, or find complete the study of this name."""
    watch.phase("reading the data")
    limits = Limits(where.threads, where.seconds_per_trial)
    with closing(EngineProcess(where.engine, limits)) as engine:  # it starts while we read
        opened = open_study(name, where)
        with closing(opened.store):
            return _complete(opened) or _run(opened, engine, watch)


def rebuild_report(name: str, where: Circumstances) -> ReportFiles:
    """The report of a complete study, made anew from its storage; nothing is trained."""
    opened = open_study(name, where)
    with closing(opened.store):
        record, row = assemble(opened), opened.store.row(opened.study)
        return write(record, opened.reports, row.tracking if row else None)


def _run(opened: Opened, engine: EngineProcess, watch: Watcher) -> Finished:
    """Everything that is left to do, by this process alone."""
    where = opened.where
    with (
        opened.store.alone(opened.study),
        closing(open_tracker(where.tracking, where.root, watch.warn)) as tracker,
    ):
        if (done := _complete(opened)) is not None:  # by whoever held it before
            return done
        with _timed(opened), closing(_last_look(opened)) as last_look:
            tracker.begin(opened.study)
            crew = _Crew(opened, engine, tracker, watch)
            trials = crew.train_candidates(nearly_done=partial(_get_ready, last_look))
            replicates = crew.train_replicates(trials)
            engine.close()
            _look_at_test(opened, of_finalists(trials, replicates), last_look, watch)
        return _publish(opened, tracker, watch)


def _complete(opened: Opened) -> Finished | None:
    """The study as it stands, when there is nothing left to do: no training, no opening."""
    row = opened.store.row(opened.study)
    if row is None or row.document is None or row.tracking is None:
        return None
    if not Path(row.document["report"]).is_file():
        return None
    return Finished(assemble(opened), row.document, worked=False)


@contextmanager
def _timed(opened: Opened) -> Iterator[None]:
    """Count the time spent, whatever ends it."""
    opened.store.begin(opened.study)
    began = time.monotonic()
    try:
        yield
    finally:
        opened.store.add_seconds(opened.study, time.monotonic() - began)


def _get_ready(last_look: LastLook) -> None:
    """Import what the end needs while networks train."""
    last_look.get_ready()
    import capsearch.report.figures  # noqa: F401


def _last_look(opened: Opened) -> LastLook:
    return LastLook(opened.study, opened.spec.data, opened.store, opened.where.threads)


@dataclass(frozen=True)
class _Crew:
    """Who trains, and who hears of it. What is stored is not trained again."""

    opened: Opened
    engine: EngineProcess
    tracker: Tracker
    watch: Watcher

    def __post_init__(self) -> None:
        self.engine.data = self.opened.data

    def train_candidates(self, nearly_done: Callable[[], None]) -> list[Trial]:
        """Baselines and candidates. While the last pack trains, loads for the end can begin."""
        opened, asked = self.opened, self.opened.spec
        planned = len(asked.baseline) + asked.search.trials
        self.watch.phase("search", planned)
        left = iter(range(planned - 1, -1, -1))

        def seen(trial: Trial) -> None:
            self._seen(trial)
            if next(left, 0) == self.engine.pack:
                nearly_done()

        ladder = search.Ladder.of(opened.study, asked, opened.space, opened.store)
        return self._drive(ladder, seen)

    def train_replicates(self, trials: list[Trial]) -> list[Trial]:
        """The finalists and the baselines again, from fresh seeds."""
        waiting = search.replicate_trials(self.opened.spec, trials)
        if not waiting:
            name = self.opened.study.name
            raise CapsearchError(f"every trial of {name} failed: {reasons(trials)}")
        self.watch.phase("replicates", len(waiting))
        return self._drive(search.Listed(waiting), self._seen)

    def _drive(self, plan: search.Plan, seen: search.OnTrial) -> list[Trial]:
        return search.drive(plan, self.opened.study, self.opened.store, self.engine, seen)

    def _seen(self, trial: Trial) -> None:
        self.tracker.log(trial)
        self.watch.trial(trial)


def _look_at_test(
    opened: Opened, replicates: Sequence[Trial], last_look: LastLook, watch: Watcher
) -> None:
    """Choose, then score the choice on test rows, once."""
    select, where = opened.spec.select, opened.where
    curve = CapacityCurve(finalists(replicates))
    choice = choose(curve, replicates, select.rule, select.settings)
    watch.phase("sealed test")
    task = FinalTask(
        study=opened.study,
        choice=choice,
        data=opened.data,
        storage=where.storage,
        engine=opened.store.engine_of(opened.study, choice.job),
        folder=opened.model_folder(choice.key),
    )
    last_look(task)


def _publish(opened: Opened, tracker: Tracker, watch: Watcher) -> Finished:
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
    result = document(record, tracking, files.page)
    whole = tracking if not tracker.missing else None
    opened.store.finish(opened.study, result, whole)
    return Finished(record, result, worked=True)
