"""Where a study lives: Optuna's tables and ours, behind one database URL.

Optuna keeps the search trials; `capsearch_outcome` keeps what training produced, under the key of
the job, so that equal work is never done twice; `capsearch_study` keeps what else a study knows of
itself. An outcome is written before Optuna is told: whatever moment a process dies at, the next one
finds either the outcome, or a running trial to train. SQLite (WAL) is for one host, PostgreSQL for
many.
"""

import fcntl
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from capsearch import credentials
from capsearch.errors import BadRequest, Interrupted, StoreUnavailable
from capsearch.records import Job, Outcome, Study, Tracking, digest_of

PATIENCE = 60  # seconds that a writer waits for another one's lock on a SQLite file

_tables = sa.MetaData()
_studies = sa.Table(
    "capsearch_study",
    _tables,
    sa.Column("key", sa.String(120), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("started_at", sa.String(40), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),
    sa.Column("document", sa.Text),  # the result as JSON, once the study is complete
    sa.Column("tracking", sa.Text),  # where MLflow has it, as JSON, once it has all of it
)
_outcomes = sa.Table(
    "capsearch_outcome",
    _tables,
    sa.Column("study", sa.String(120), primary_key=True),
    sa.Column("job", sa.String(24), primary_key=True),
    sa.Column("engine", sa.String(20), nullable=False),  # by which it was trained
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("val_losses", sa.LargeBinary),  # float32, one a validation row
)


@dataclass(frozen=True)
class StudyRow:
    """What the storage says of one study."""

    key: str
    name: str
    digest: str
    started_at: str
    seconds: float
    document: dict[str, Any] | None
    tracking: Tracking | None  # None while MLflow does not have all of it


class StudyStore:
    """One database. Every method raises StoreUnavailable when it cannot be reached or read."""

    def __init__(self, url: str) -> None:
        self.shown, self._url = credentials.shown(url), url
        _make_folder(url)
        with self._guarded():
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            logging.getLogger("alembic").setLevel(logging.ERROR)
            self.engine = sa.create_engine(url, **_engine_settings(url))
            _set_pragmas(self.engine)
            _tables.create_all(self.engine)
            self._optuna = optuna.storages.RDBStorage(url, engine_kwargs=_engine_settings(url))
            _set_pragmas(self._optuna.engine)

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
        self._optuna.remove_session()
        self._optuna.engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, StorageInternalError, RuntimeError) as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            cause = credentials.hide(cause, self._url)
            raise StoreUnavailable(
                f"study storage {self.shown}: {cause}. Nothing in it was changed; check that the "
                f"database is there and whole, or name another one with --storage"
            ) from error

    def begin(self, study: Study) -> None:
        """Register the study; does nothing when it is there already."""
        row = {
            "key": study.key,
            "name": study.name,
            "digest": study.digest,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
        }
        with self._guarded(), self.engine.begin() as connection:
            known = sa.select(_studies.c.key).where(_studies.c.key == study.key)
            if connection.execute(known).first() is None:
                connection.execute(_studies.insert().values(row))

    @contextmanager
    def alone(self, study: Study) -> Iterator[None]:
        """Hold the study for this process. Raises Interrupted when another one holds it.

        The lock goes with its holder, however that ends: the system drops a file's lock, and
        PostgreSQL that of a connection.
        """
        with ExitStack() as held:
            if not self._locked(study, held):
                raise Interrupted(
                    f"{study.name} is being run by another process on {self.shown}; it goes on "
                    "there. Run the same command again later to see its result"
                )
            yield

    def _locked(self, study: Study, held: ExitStack) -> bool:
        if self.engine.dialect.name == "sqlite":
            path = Path(f"{self.engine.url.database}.{study.key}.lock")
            file = held.enter_context(path.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True  # the file stays: removed, two could hold locks on two files of one name
        number = int(digest_of(study.key)[:15], 16)
        with self._guarded():
            connection = held.enter_context(self.engine.connect())
            connection.execution_options(isolation_level="AUTOCOMMIT")  # no transaction for hours
            lock, unlock = sa.func.pg_try_advisory_lock, sa.func.pg_advisory_unlock
            locked = bool(connection.execute(sa.select(lock(number))).scalar())
            if locked:
                held.callback(connection.execute, sa.select(unlock(number)))
            return locked

    def rows(self) -> tuple[StudyRow, ...]:
        """Every study in this storage, oldest first."""
        with self._guarded(), self.engine.connect() as connection:
            found = connection.execute(sa.select(_studies).order_by(_studies.c.started_at)).all()
        return tuple(map(_study_row, found))

    def row(self, study: Study) -> StudyRow | None:
        return next((r for r in self.rows() if r.key == study.key), None)

    def add_seconds(self, study: Study, seconds: float) -> None:
        changed = {"seconds": _studies.c.seconds + seconds}
        with self._guarded(), self.engine.begin() as connection:
            connection.execute(_studies.update().where(_studies.c.key == study.key).values(changed))

    def finish(self, study: Study, document: Mapping[str, Any], tracking: Tracking | None) -> None:
        """Mark the study complete, with its result; `tracking` once MLflow has all of it."""
        where = None if tracking is None else json.dumps(asdict(tracking))
        changed = {"document": json.dumps(document), "tracking": where}
        with self._guarded(), self.engine.begin() as connection:
            connection.execute(_studies.update().where(_studies.c.key == study.key).values(changed))

    def save(self, study: Study, engine: str, ended: Sequence[tuple[Job, Outcome]]) -> None:
        """Store what `engine` produced, all or none; an outcome that is there stays as it is."""
        with self._guarded(), self.engine.begin() as connection:
            for job, outcome in ended:
                if self._select(connection, study, job) is None:
                    losses = outcome.val_losses
                    connection.execute(
                        _outcomes.insert().values(
                            study=study.key,
                            job=job.key,
                            engine=engine,
                            outcome=json.dumps(outcome.as_dict()),
                            val_losses=None if losses is None else losses.tobytes(),
                        )
                    )

    def outcome(self, study: Study, job: Job) -> Outcome | None:
        """The stored outcome of a job; None when it has not been trained in this study."""
        with self._guarded(), self.engine.connect() as connection:
            row = self._select(connection, study, job)
        return None if row is None else _outcome(row)

    def engine_of(self, study: Study, job: Job) -> str:
        """The engine that trained a stored job. Engines draw their dropout masks differently."""
        with self._guarded(), self.engine.connect() as connection:
            engine: str = self._select(connection, study, job).engine
        return engine

    def outcomes(self, study: Study) -> dict[str, Outcome]:
        """Every stored outcome of a study, by the key of its job."""
        mine = sa.select(_outcomes).where(_outcomes.c.study == study.key)
        with self._guarded(), self.engine.connect() as connection:
            return {row.job: _outcome(row) for row in connection.execute(mine)}

    def optuna_study(self, name: str, objectives: int = 1) -> optuna.Study:
        """Optuna's study of this name, made when it is not there. Lower values are better."""
        with self._guarded():
            return optuna.create_study(
                storage=self._optuna,
                study_name=name,
                load_if_exists=True,
                directions=["minimize"] * objectives,
            )

    def _select(self, connection: sa.Connection, study: Study, job: Job) -> Any:
        mine = (_outcomes.c.study == study.key) & (_outcomes.c.job == job.key)
        return connection.execute(sa.select(_outcomes).where(mine)).first()


def exists(url: str) -> bool:
    """False for a SQLite file that is not there yet: asking it would make it."""
    parsed = sa.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(str(parsed.database)).is_file()


def _engine_settings(url: str) -> dict[str, Any]:
    sqlite = url.startswith("sqlite")
    return {"connect_args": {"timeout": PATIENCE}} if sqlite else {"pool_pre_ping": True}


def _set_pragmas(engine: sa.Engine) -> None:
    """WAL lets readers and one writer work at once; NORMAL loses nothing when a process dies."""
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()  # connections made before the listener have no pragmas


def _make_folder(url: str) -> None:
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect()
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise BadRequest(
            f"--storage {credentials.shown(url)}: not a database that capsearch knows "
            f"({credentials.hide(str(error), url)}). Legal: "
            "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
        ) from error
    if parsed.drivername.startswith("sqlite") and parsed.database not in (None, "", ":memory:"):
        folder = Path(str(parsed.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(f"{folder}: cannot be made or written: {error.strerror}") from error


def _outcome(row: Any) -> Outcome:
    losses = None if row.val_losses is None else np.frombuffer(row.val_losses, np.float32)
    return Outcome.from_dict(json.loads(row.outcome), losses)


def _study_row(row: Any) -> StudyRow:
    document = None if row.document is None else json.loads(row.document)
    tracking = None if row.tracking is None else Tracking(**json.loads(row.tracking))
    return StudyRow(row.key, row.name, row.digest, row.started_at, row.seconds, document, tracking)
