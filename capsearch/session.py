"""A study opened for work: its question, data, storage and engine, and its record from storage.

Whatever is shown of a study is read from its stored trials, its stored decision and its one score:
no number is kept twice, and none is decided twice.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from capsearch import reader
from capsearch.config import RunConfig, engine_for
from capsearch.credentials import shown
from capsearch.data.cache import Prepared
from capsearch.data.source import SourceRef
from capsearch.errors import BadRequest
from capsearch.executors import Rows
from capsearch.families.space import Space, ladder
from capsearch.identity import (
    begun_by,
    digest_for,
    earlier_digests,
    earlier_sources,
    stored_studies,
)
from capsearch.records import (
    DataProfile,
    Group,
    Opening,
    Study,
    StudyRecord,
    TestScore,
    Trial,
)
from capsearch.report.checks import with_checks
from capsearch.search import Question, in_order
from capsearch.spec import StudySpec, find, read
from capsearch.spec.strategies import STRATEGIES, Sampling
from capsearch.storage import StudyRow, StudyStorage, exists
from capsearch.tasks import task_of


@dataclass(frozen=True)
class StudySession:
    """A study with what it needs to be worked on or shown."""

    study: Study
    spec: StudySpec
    space: Space
    sampling: Sampling
    earlier: tuple[str, ...]  # digests that earlier versions gave to this question
    source: SourceRef
    identity: str  # of the source's material
    storage: StudyStorage
    config: RunConfig
    rows: Rows | None = None  # prepared; None for a study that is only shown

    @property
    def question(self) -> Question:
        return Question(self.study, self.spec, self.space, self.sampling)

    @property
    def reports(self) -> Path:
        return self.config.root / "reports" / self.study.key

    def model_folder(self, choice: str) -> Path:
        return self.config.root / "models" / self.study.key / choice

    def as_stored(self) -> "StudySession":
        """The same study as it stands now: another start may have begun it meanwhile.

        Raises BadRequest when that one began it with another engine.
        """
        if (row := self.row()) is None:
            return self
        engine_for(row, self.config)
        return _session(
            row, self.earlier, self.source, self.identity, self.storage, self.config, self.rows
        )

    def with_rows(self) -> "StudySession":
        """The same session with its rows prepared. Raises BadRequest when they are others now."""
        if self.rows is not None:
            return self
        found = reader.prepare(self.source, self.config.cache, self.config.check)
        if found.profile.fingerprints != self.study.data.fingerprints:
            raise _other_rows(self.source.name, self.study.name)
        return replace(self, rows=Rows(found.key, found.folder))

    def row(self) -> StudyRow | None:
        return self.storage.row(self.study.key)

    def begun(self) -> StudyRow:
        """The row of a study that has begun."""
        row = self.row()
        assert row is not None
        return row

    @property
    def folder(self) -> Path:
        """Of the prepared rows of a study that is worked on."""
        assert self.rows is not None
        return self.rows.folder

    def opening(self) -> Opening | None:
        """This question's opening of the test split, by this version or an earlier one."""
        found = self.storage.opening(self.study, [self.study.digest, *self.earlier])
        if found is None or found.digest == self.study.digest:
            return found
        row = self.storage.row(found.study)
        return found if row is None or begun_by(row, self.spec) else None

    def record(self) -> StudyRecord:
        """The record of a study that is decided. Raises BadRequest when it is not."""
        row = self.row()
        if row is None or row.decision is None:
            raise BadRequest(
                f"{self.study.name} has no choice yet in {self.storage.shown}. Run `capsearch "
                f"study {self.study.name}` to its end first"
            )
        ended = [t for t in self.storage.trials(self.study.key) if t.outcome is not None]
        opening, score = self.opening(), None
        if opening is not None and opening.scored(row.decision.choice.key):
            score = TestScore.of(opening, self.storage.openings(self.study))
        record = StudyRecord(
            study=self.study,
            trials=_of(ended, "baseline", "search"),
            races=_of(ended, "race"),
            replicates=_of(ended, "replicate"),
            decision=row.decision,
            test=score,
            seconds=row.document["seconds"] if row.document else round(row.seconds, 1),
            cut=row.cut,
        )
        return with_checks(record)


def open_session(
    name: str,
    spec: StudySpec,
    source: SourceRef,
    config: RunConfig,
    connect: Callable[[], StudyStorage],
    engine_known: Callable[[str], None] = lambda _: None,
) -> StudySession:
    """The study that this question is about these data, stored before or not.

    Args:
        name: the study's name.
        spec: the question.
        source: names the data.
        config: the circumstances.
        connect: opens the storage where the study lives, or will: one that is not there yet is
            made once the question and its rows are known to be good. May be called twice.
        engine_known: called with the id of the engine before the data are read.

    Raises:
        BadRequest: a bad name, bad data, or another engine than the stored study's.
    """
    check_name(name)
    stored = stored_studies(name, spec, connect()) if exists(config.storage) else []
    identity = reader.identity(source, config.check)
    known = (identity, *earlier_sources(source))
    same = [row for row in stored if row.source in known]
    if same and same[-1].document is not None:  # nothing may be left to train: no rows are read
        engine_for(same[-1], config)
        return _session(same[-1], earlier_digests(spec), source, identity, connect(), config, None)
    engine = engine_for(same[-1] if same else None, config)
    engine_known(engine)
    prepared = reader.prepare(source, config.cache, config.check)
    rows = Rows(prepared.key, prepared.folder)
    sparse, earlier = prepared.sparse, earlier_digests(spec)
    study, asked, space = new_study(name, spec, prepared.profile, engine, sparse=sparse)
    row, storage = next((row for row in stored if row.key == study.key), None), connect()
    if row is not None:
        engine_for(row, config)
        return _session(row, earlier, source, identity, storage, config, rows)
    if same:  # it gives other rows, and says that they are the same
        raise _other_rows(source.name, name)
    sampling = STRATEGIES[spec.search.strategy]
    return StudySession(
        study, asked, space, sampling, earlier, source, identity, storage, config, rows
    )


@contextmanager
def stored_session(name: str, spec: StudySpec, config: RunConfig) -> Iterator[StudySession]:
    """The latest stored study of this question, to be shown: no data are read, nothing is made.

    Raises BadRequest when there is none.
    """
    never = BadRequest(
        f"{name}: this study was never run in {shown(config.storage)}. Run `capsearch study "
        f"{name}` first"
    )
    if not exists(config.storage):
        raise never
    with closing(StudyStorage(config.storage)) as storage:
        stored = stored_studies(name, spec, storage)
        if not stored:
            raise never
        source = SourceRef(spec.data)  # which is not opened
        earlier, identity = earlier_digests(spec), stored[-1].source
        yield _session(stored[-1], earlier, source, identity, storage, config, None)


def new_study(
    name: str, spec: StudySpec, profile: DataProfile, engine: str, *, sparse: bool
) -> tuple[Study, StudySpec, Space]:
    """The study that a question is about these data, the question in full, and its space.

    What the file leaves to the data is stored as decided, and is no part of the digest.
    """
    asked = spec.for_data(profile, sparse=sparse)
    space = asked.space_for(profile.features, task_of(profile.task).outputs)
    sampling = asdict(STRATEGIES[spec.search.strategy])
    question = asked.question | {"sampling": sampling}
    edges = ladder(space, spec.search.rungs)
    digest = digest_for(spec, profile.folds)
    return Study(name, question, profile, edges, engine, digest), asked, space


def read_study(name: str, said: Sequence[str] | None = None) -> tuple[Path, StudySpec]:
    """The file of a study, and the question in it. Raises BadRequest with every mistake.

    Args:
        name: of the study, or the path of its file.
        said: 'table.key=value' each, as if written in the file.
    """
    path = find(name)
    check_name(path.stem)

    def mistakes(table: Mapping[str, Any]) -> Sequence[str]:
        return reader.mistakes(SourceRef(table, path.parent))

    return path, read(path, mistakes, said or ())


def source_of(path: Path, spec: StudySpec) -> SourceRef:
    """The source that a study file names; relative paths in it begin where the file is."""
    return SourceRef(spec.data, path.parent)


def prepared(source: SourceRef, config_cache: Path) -> Prepared:
    """The prepared data of a study, with its profile. Raises BadRequest."""
    return reader.prepare(source, config_cache)


def _other_rows(source: str, study: str) -> BadRequest:
    return BadRequest(
        f"the rows of {source} are no longer those that {study} was run on. Put the data back, or "
        "ask again under another name"
    )


def _of(trials: Iterable[Trial], *groups: Group) -> tuple[Trial, ...]:
    """Those of some groups, in the order in which they were planned."""
    return tuple(sorted((t for t in trials if t.group in groups), key=in_order))


def check_name(name: str) -> None:
    """A study's name becomes that of folders, wherever it comes from. Raises BadRequest."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}", name):
        raise BadRequest(
            f"study {name!r}: a study is named by its file: up to 60 letters, digits, '_', '-' "
            "and '.'"
        )


def _session(
    row: StudyRow,
    earlier: tuple[str, ...],
    source: SourceRef,
    identity: str,
    storage: StudyStorage,
    config: RunConfig,
    rows: Rows | None,
) -> StudySession:
    """A stored study goes on with the defaults it was begun with."""
    asked = {key: value for key, value in row.question.items() if key != "sampling"}
    spec = StudySpec.from_question(asked)
    sampling = Sampling(**row.question["sampling"])
    study = Study(row.name, row.question, row.profile, row.ladder, row.engine, row.digest)
    space = spec.space_for(row.profile.features, task_of(row.profile.task).outputs)
    return StudySession(
        study, spec, space, sampling, earlier, source, identity, storage, config, rows
    )
