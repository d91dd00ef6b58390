"""One database: how it is reached, asked and changed, and what is done when it does not answer.

SQLite (WAL) is for one host, PostgreSQL for any. A database that stops answering
is asked again for a while; then StoreUnavailable is raised, and the study can go on later. So a
change may have taken effect although its reply was lost: every change handed to `write` must come
to the same when it is made twice.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.dialects import postgresql, sqlite

from capsearch import credentials
from capsearch.errors import BadRequest, StoreUnavailable

Answer = TypeVar("Answer")
Warn = Callable[[str], None]
BUSY = 60  # seconds that a writer waits for another one's lock on a SQLite file
AWAY = 60.0  # seconds that a database may be away while a study runs
STOPPED = 30.0  # seconds that PostgreSQL waits for a process that says nothing in a transaction
FIRST = 5.0  # seconds that it may be away when it is reached for the first time
UNREACHABLE = sa.exc.DBAPIError, sa.exc.TimeoutError, OSError
CREATING = 0x6361707365617263  # the advisory lock under which tables are made
REACH: dict[str, Any] = {  # PostgreSQL: notice within seconds that the other side is gone
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_READS = "capsearch_reads"  # the execution option of connections that change nothing


class Database:
    """Reads and writes of one database. Raises BadRequest for an address that can be none."""

    def __init__(self, url: str, warn: Warn | None = None) -> None:
        self.url, self.shown = url, credentials.shown(url)
        self._warn, self._away = warn or (lambda _: None), FIRST
        _make_folder(url)
        with self._translate_errors():
            self.engine = sa.create_engine(url, **engine_settings(url))
            prepare(self.engine)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(str(self.engine.url.database)) if self.is_sqlite else None

    def read(self, ask: Callable[[sa.Connection], Answer]) -> Answer:
        """What `ask` finds with one statement."""

        options: dict[str, Any] = {_READS: True}
        if not self.is_sqlite:  # one statement needs no transaction, which costs two more
            options["isolation_level"] = "AUTOCOMMIT"

        def asking() -> Answer:
            with self.engine.connect().execution_options(**options) as connection:
                return ask(connection)

        return self.retry(asking)

    def has(self, table: str) -> bool:
        """Whether there is a table of this name."""
        return self.read(lambda connection: sa.inspect(connection).has_table(table))

    def write(self, change: Callable[[sa.Connection], Answer]) -> Answer:
        """All that `change` does, in one transaction."""

        def changing() -> Answer:
            with self.engine.begin() as connection:
                return change(connection)

        return self.retry(changing)

    def add(self, table: sa.Table, *rows: Mapping[str, Any]) -> None:
        """Insert rows in a transaction of their own."""
        self.write(lambda c: self.insert(c, table, rows))

    def insert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert rows; one whose key is there already stays as it is."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        connection.execute(insert(table).on_conflict_do_nothing(), rows)

    def retry(self, call: Callable[[], Answer]) -> Answer:
        """`call` until the database answers, or was away for too long."""
        began, pause, told = time.monotonic(), 0.05, False
        while True:
            try:
                with self._translate_errors():
                    return call()
            except StoreUnavailable as error:
                if not _may_pass(error.__cause__) or time.monotonic() - began > self._away:
                    raise
                if pause > 1.0 and not told:
                    self._warn(f"{error}. Asking again for {self._away:.0f} s")
                    told = True
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def give_up_soon(self) -> None:
        """From now on, give up soon: the process has to end."""
        self._away = 1.0

    def create(self, *tables: sa.MetaData) -> None:
        """Make the tables that are not there, by one process at a time."""

        def making() -> None:
            with self.creating():
                for each in tables:
                    each.create_all(self.engine)

        self.retry(making)
        self._away = AWAY

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Hold the lock under which tables are made: two at once would stumble over each other."""
        if self.file is not None:
            with FileLock(f"{self.file}.lock"):
                yield
            return
        with self.engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATING)))
            yield

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Say whatever goes wrong in words, with no password in them."""
        try:
            yield
        except UNREACHABLE as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
            raise StoreUnavailable(
                f"study storage {self.shown}: {credentials.hide(cause[0], self.url)}. Nothing in "
                "it was changed; check that the database is there and whole, or name another one "
                "with --storage"
            ) from error


def engine_settings(url: str) -> dict[str, Any]:
    """What SQLAlchemy is told about the database of an address; the address itself goes first."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY}}
    reach = {name: value for name, value in REACH.items() if name not in parsed.query}
    return {"pool_pre_ping": True, "connect_args": reach}


def prepare(engine: sa.Engine) -> None:
    """Have connections work as those of a study must.

    SQLite: WAL lets readers and one writer work at once; NORMAL loses nothing when we die. A
    transaction that will write takes the lock when it begins: one that has read first could no
    longer get it after another's write. PostgreSQL: a process that was stopped within a transaction
    loses it, or nobody else could ever write.
    """
    if engine.dialect.name != "sqlite":

        @sa.event.listens_for(engine, "connect")
        def set_timeout(connection: Any, _: Any) -> None:
            connection.execute(f"SET idle_in_transaction_session_timeout = {1000 * STOPPED:.0f}")
            connection.commit()

        return

    @sa.event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(_READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def exists(url: str) -> bool:
    """False for a SQLite file that is not there yet: asking it would make it.

    Raises BadRequest for an address that can be none.
    """
    parsed = _checked(url)
    return parsed.get_backend_name() != "sqlite" or Path(str(parsed.database)).is_file()


def _may_pass(error: BaseException | None) -> bool:
    """Whether waiting may help: a server that restarts, a network that is away, a busy file."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    text = str(error.orig)
    if "sqlite" in type(error.orig).__module__:
        return "locked" in text or "busy" in text
    final = "authentication failed", "does not exist", "no password supplied", "pg_hba.conf"
    return isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)) and not any(
        word in text for word in final
    )


def _make_folder(url: str) -> None:
    """Of a SQLite file. Raises BadRequest."""
    parsed = _checked(url)
    if parsed.get_backend_name() == "sqlite":
        folder = Path(str(parsed.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(f"{folder}: cannot be made or written: {error.strerror}") from error


def _checked(url: str) -> sa.URL:
    """The parts of an address. Raises BadRequest for one that can be none."""
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect()
        parsed.get_dialect().import_dbapi()
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        raise _no_database(url, credentials.hide(str(error), url)) from error
    except ImportError as error:
        raise BadRequest(
            f"--storage {credentials.shown(url)}: its driver is not installed ({error.name}). "
            "Install the extra: pip install 'capsearch[postgres]'"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise _no_database(url, f"{parsed.get_backend_name()} is not one of them")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise _no_database(url, "a study must outlive its process")
    return parsed


def _no_database(url: str, why: str) -> BadRequest:
    return BadRequest(
        f"--storage {credentials.shown(url)}: not a database that capsearch knows ({why}). Legal: "
        "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
    )
