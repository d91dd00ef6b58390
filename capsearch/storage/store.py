"""The studies of one database: state and result, workers and jobs, and their Optuna studies.

`capsearch_study` has a row a study, `capsearch_worker` one for each process at work, and
`capsearch_job` one for each training, under the key of the job, so that equal work is never done
twice. Optuna's own tables are the sampler's memory. An outcome is stored before anybody hears of
it: whatever moment a process dies at, the next one finds the outcome, or a job to train.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import FrozenTrial

from capsearch.records import Study, Tracking
from capsearch.storage.board import Board
from capsearch.storage.database import Database, Warn, begin_at_once, engine_settings
from capsearch.storage.member import LEASE, Member, Role
from capsearch.storage.tables import metadata, studies, workers

PLACE = "place"  # an attribute of Optuna's trials: how many were asked for before


@dataclass(frozen=True)
class StudyRow:
    """What the storage says of one study."""

    key: str
    name: str
    digest: str
    question: dict[str, Any]
    started_at: str
    seconds: float
    cut: str | None
    document: dict[str, Any] | None
    tracking: Tracking | None  # None while MLflow does not have all of it


class StudyStore:
    """One database. Every method raises StoreUnavailable when it cannot be reached or read."""

    def __init__(self, url: str, warn: Warn | None = None) -> None:
        self.database = Database(url, warn)
        self.shown = self.database.shown
        self._studies: dict[str, optuna.Study] = {}
        self.database.create(metadata)

    def close(self) -> None:
        """Give every connection back."""
        self.database.engine.dispose()
        if "_optuna" in self.__dict__:
            self._optuna.remove_session()
            self._optuna.engine.dispose()

    def begin(self, study: Study) -> None:
        """Register the study; does nothing when it is there already."""
        row = {
            "key": study.key,
            "name": study.name,
            "digest": study.digest,
            "question": json.dumps(study.question),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
        }
        self.database.add(studies, row)

    def member(self, study: Study, role: Role, threads: int, lease: float = LEASE) -> Member:
        """This process as one of the study's workers."""
        return Member(self.database, study.key, role, threads, lease)

    def board(self, study: Study) -> Board:
        """The jobs of the study."""
        return Board(self.database, study.key)

    def rows(self) -> tuple[StudyRow, ...]:
        """Every study in this storage, oldest first."""
        oldest_first = _with_time().order_by(studies.c.started_at)
        return tuple(map(_row, self.database.read(lambda c: c.execute(oldest_first).all())))

    def row(self, study: Study) -> StudyRow | None:
        own = _with_time().where(studies.c.key == study.key)
        found = self.database.read(lambda c: c.execute(own).first())
        return None if found is None else _row(found)

    def cut(self, study: Study, why: str) -> None:
        """Note that the search ended before its budget; the first reason stays."""
        own = (studies.c.key == study.key) & studies.c.cut.is_(None)
        self.database.write(lambda c: c.execute(studies.update().where(own).values(cut=why)))

    def finish(self, study: Study, document: Mapping[str, Any], tracking: Tracking | None) -> None:
        """Mark the study complete, with its result; `tracking` once MLflow has all of it."""
        where = None if tracking is None else json.dumps(asdict(tracking))
        changed = {"document": json.dumps(document), "tracking": where}
        own = studies.c.key == study.key
        self.database.write(lambda c: c.execute(studies.update().where(own).values(changed)))

    def optuna_trials(self, name: str, objectives: int) -> list[FrozenTrial]:
        """The trials of Optuna's study of this name, which is made when it is not there."""
        return self.database.patiently(lambda: self._places(name, objectives))

    def keep_trials(self, name: str, objectives: int, trials: Sequence[FrozenTrial]) -> None:
        """Store those of Optuna's study that are not there yet; each knows its place there."""

        def change() -> None:
            kept = len(self._places(name, objectives))
            self._optuna_study(name, objectives).add_trials(trials[kept:])

        self.database.patiently(change)

    def _places(self, name: str, objectives: int) -> list[FrozenTrial]:
        """One trial for each place: a leader that slept may have stored its last round again."""
        found = self._optuna_study(name, objectives).get_trials(deepcopy=False)
        return list({trial.user_attrs[PLACE]: trial for trial in found}.values())

    def _optuna_study(self, name: str, objectives: int) -> optuna.Study:
        """Lower values are better. Kept, for it remembers the trials that it has read."""
        if name not in self._studies:
            self._studies[name] = optuna.create_study(
                storage=self._optuna,
                study_name=name,
                load_if_exists=True,
                directions=["minimize"] * objectives,
            )
        return self._studies[name]

    @cached_property
    def _optuna(self) -> optuna.storages.RDBStorage:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        url = self.database.url
        with self.database.creating():
            storage = optuna.storages.RDBStorage(url, engine_kwargs=engine_settings(url))
        begin_at_once(storage.engine)
        return storage


def _with_time() -> sa.Select[Any]:
    """The studies, with the time that those who are at work now have led."""
    led = sa.func.coalesce(sa.func.sum(workers.c.seconds), 0.0)
    now = sa.select(led).where(workers.c.study == studies.c.key).scalar_subquery()
    return sa.select(studies, now.label("now"))


def _row(row: Any) -> StudyRow:
    return StudyRow(
        key=row.key,
        name=row.name,
        digest=row.digest,
        question=json.loads(row.question),
        started_at=row.started_at,
        seconds=row.seconds + row.now,
        cut=row.cut,
        document=None if row.document is None else json.loads(row.document),
        tracking=None if row.tracking is None else Tracking(**json.loads(row.tracking)),
    )
