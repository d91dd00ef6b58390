"""A study opened for work, and its record rebuilt from storage alone.

Whatever is shown of a study comes from here: no number is kept twice, so the report of a study that
ended a year ago is made from the same stored outcomes as the one made when it ended.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsearch import search, signals, spec
from capsearch.data import cache
from capsearch.data.source import open_source
from capsearch.deadline import Deadline
from capsearch.engines.process import Limits
from capsearch.errors import BadRequest, CapsearchError
from capsearch.families.space import Space, ladder
from capsearch.final import stored_score
from capsearch.records import Estimate, RungEvidence, Study, StudyRecord, Trial
from capsearch.report.checks import with_checks
from capsearch.selection import CapacityCurve, doubt_of, estimate, of_finalists, verdicts
from capsearch.storage import LEASE, StudyStore, exists

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Circumstances:
    """Where results are kept and what may be used; the question is the study file's alone."""

    root: Path  # reports and models, and the default stores
    storage: str
    tracking: str
    cache: Path
    engine: str
    limits: Limits
    workers: int = 1  # processes on this machine that train
    dask: str | None = None  # a scheduler's address, whose workers train instead
    lease: float = LEASE  # seconds after which a silent worker on another machine is given up
    deadline: Deadline = field(default_factory=Deadline)
    wait: bool = False  # for another process that runs the study, instead of leaving it alone

    def check(self) -> None:
        """Raise Stopped or Interrupted when this run has to end."""
        signals.check()
        self.deadline.check()


@dataclass(frozen=True)
class Opened:
    """A study with what it needs to run: question, prepared data, space and storage."""

    spec: spec.StudySpec
    study: Study
    space: Space
    data: Path
    store: StudyStore
    where: Circumstances

    @property
    def reports(self) -> Path:
        return self.where.root / "reports" / self.study.key

    def model_folder(self, choice: str) -> Path:
        return self.where.root / "models" / self.study.key / choice


@dataclass(frozen=True)
class Stored:
    """What of a study has ended, in the order of its plan."""

    trials: tuple[Trial, ...]
    replicates: tuple[Trial, ...]
    growth: tuple[RungEvidence, ...]  # why the search grew as far as it did, if it grows


def usable_cores() -> int:
    """The processors that this process may run on, and its container's share of them."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(min(most, int(quota) // int(period)), 1)
    except (OSError, ValueError):  # no container, or one without a quota ('max')
        return most


def open_study(name: str, where: Circumstances, warn: Warn | None = None) -> Opened:
    """Read the study file, prepare the data, reach the storage. Raises BadRequest."""
    path, question = read_study(name)
    return _opened(path.stem, question, where, warn)


def join_study(name: str, where: Circumstances, warn: Warn | None = None) -> Opened:
    """The same for a worker, which may run where the file is not: the storage knows the question.

    A file that is here goes first. Of several studies with this name, the latest is joined; a
    study's key names one alone.
    """
    try:
        spec.find(name)
    except BadRequest:
        question = _stored_question(name, where.storage)
        if question is None:
            raise
        return _opened(*question, where, warn)
    return open_study(name, where, warn)


def _stored_question(name: str, storage: str) -> tuple[str, spec.StudySpec] | None:
    if not exists(storage):
        return None
    with closing(StudyStore(storage)) as store:
        rows = [row for row in store.rows() if name in (row.name, row.key)]
    if not rows:
        return None
    asked = {key: value for key, value in rows[-1].question.items() if key != "sampling"}
    return rows[-1].name, spec.StudySpec.model_validate(asked)


def _opened(name: str, question: spec.StudySpec, where: Circumstances, warn: Warn | None) -> Opened:
    _check_name(name)
    study, space, data = prepared_study(name, question, where.cache)
    return Opened(question, study, space, data, StudyStore(where.storage, warn), where)


def prepared_study(name: str, question: spec.StudySpec, root: Path) -> tuple[Study, Space, Path]:
    """The study that a question is, its space, and its data prepared below `root`."""
    prepared = _prepare(question, root)
    space = question.space_for(prepared.profile.features)
    study = Study(
        name=name,
        question=question.question | {"sampling": search.sampling(question.search)},
        data=prepared.profile,
        ladder=ladder(space, question.search.rungs),
    )
    return study, space, prepared.folder


def read_study(name: str) -> tuple[Path, spec.StudySpec]:
    """The file of a study, and the question in it. Raises BadRequest with every mistake."""
    path = spec.find(name)
    _check_name(path.stem)
    return path, spec.read(path, _data_mistakes)


def _check_name(name: str) -> None:
    """A study's name becomes that of folders, wherever it comes from."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}", name):
        raise BadRequest(
            f"study {name!r}: a study is named by its file: up to 60 letters, digits, '_', '-' "
            "and '.'"
        )


def prepare_data(name: str, root: Path) -> cache.Prepared:
    """The prepared data of a study, with its profile."""
    return _prepare(read_study(name)[1], root)


def assemble(opened: Opened) -> StudyRecord:
    """The record of a complete study. Raises BadRequest when it is not complete."""
    ended = stored(opened)
    score = stored_score(opened.study, opened.store)
    row = opened.store.row(opened.study)
    if score is None or row is None:
        raise BadRequest(
            f"{opened.study.name} is not complete in {opened.store.shown}; "
            f"run `capsearch study {opened.study.name}` first"
        )
    select = opened.spec.select
    trials, replicates = ended.trials, ended.replicates
    estimates = finalists(of_finalists(trials, replicates))
    curve = CapacityCurve(estimates)
    found = verdicts(curve, replicates, select.settings)
    choice = found[select.rule]
    record = StudyRecord(
        study=opened.study,
        trials=trials,
        replicates=replicates,
        estimates=estimates,
        choice=choice,
        doubt=doubt_of(curve, replicates, choice, select.settings),
        verdicts=found,
        test=score,
        seconds=row.document["seconds"] if row.document else row.seconds,
        growth=ended.growth,
        cut=row.cut,
    )
    return with_checks(record)


def stored(opened: Opened) -> Stored:
    """What of a study has ended."""
    store, study = opened.store, opened.study
    board = store.board(study)

    def ended(planned: Sequence[Trial], *, losses: bool) -> tuple[Trial, ...]:
        outcomes = board.outcomes([t.job.key for t in planned], losses=losses)
        return tuple(t.ended(outcomes[t.job.key]) for t in planned if t.job.key in outcomes)

    plan = search.Ladder.of(study, opened.spec, opened.space, store)
    trials = ended(plan.waiting, losses=plan.losses)
    for trial in trials:
        plan.tell(trial)
    growth = plan.evidence if plan.grow else ()
    again = search.replicate_trials(opened.spec, trials)
    return Stored(trials, ended(again, losses=True), growth)


def finalists(replicates: Sequence[Trial]) -> tuple[Estimate, ...]:
    """One estimate a finalist, smallest first; finalists that mostly failed are left out."""
    groups: dict[str, list[Trial]] = {}
    for trial in replicates:
        groups.setdefault(trial.candidate.key, []).append(trial)
    found = [e for e in map(estimate, groups.values()) if e is not None]
    if not found:
        raise CapsearchError(f"no finalist could be trained again: {reasons(replicates)}")
    return tuple(sorted(found, key=lambda e: e.parameters))


def reasons(trials: Sequence[Trial]) -> str:
    """Why trials failed, the most frequent reason first, whatever the epoch."""
    failed = [t.outcome.reason for t in trials if t.outcome and t.outcome.reason]
    kinds = [reason.split(" at epoch")[0] for reason in failed]
    counted = sorted({kind: kinds.count(kind) for kind in kinds}.items(), key=lambda k: -k[1])
    return "; ".join(f"{count} x {kind}" for kind, count in counted)


def _prepare(question: spec.StudySpec, root: Path) -> cache.Prepared:
    return cache.prepare(open_source(question.data), question.data["source"], root)


def _data_mistakes(table: Mapping[str, Any]) -> Sequence[str]:
    try:
        open_source(table)
    except BadRequest as error:
        return error.mistakes
    return ()
