"""One driver of a study at a time, as a courtesy: the guarantee is the fencing number (`writer`).

A second start finds the lock held and is told by whom. A process that is stopped keeps its lock,
and a lock file can be removed: neither can do harm.
"""

import hashlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from capsearch.errors import BadRequest, Interrupted
from capsearch.storage.database import REACH, Database
from capsearch.storage.studies import StudyStorage

BEAT = 20.0  # seconds between marks of a host that uses a SQLite file
IDLE = 60.0  # seconds without one after which another host may use it
KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4}


@contextmanager
def driver_lock(
    storage: StudyStorage, key: str, wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock of the study with this key.

    Args:
        storage: where the study lives.
        key: the study's.
        wait: called with the reason, about once a second, while another driver holds the lock;
            it may raise. None: do not wait.

    Raises:
        Interrupted: another driver holds it, and nobody waits.
        BadRequest: a SQLite file that another host used within the last minute.
    """
    hold = _file_lock if storage.database.is_sqlite else _advisory_lock
    with ExitStack() as held:
        while (lock := hold(storage.database, key)) is None:
            busy = _busy(storage, key)
            if wait is None:
                raise Interrupted(busy)
            wait(busy)
            time.sleep(1.0)
        held.enter_context(lock)
        if storage.database.file is not None:
            held.enter_context(_host_mark(storage.database.file, storage.shown))
        yield


def _busy(storage: StudyStorage, key: str) -> str:
    row = storage.row(key)
    by = row.driver if row else None
    who = f"process {by['pid']} on {by['host']}, since {by['since']}" if by else "another process"
    return f"{row.name if row else key} is being run by {who}"


def _file_lock(database: Database, key: str) -> ExitStack | None:
    stack = ExitStack()
    lock = FileLock(f"{database.file}.{key}.lock", is_singleton=False)

    def acquire() -> bool:
        with suppress(Timeout):
            lock.acquire(timeout=0)
        return lock.is_locked

    if not database.retry(acquire):
        return None
    stack.callback(lock.release)
    return stack


def _advisory_lock(database: Database, key: str) -> ExitStack | None:
    """On a connection of its own: PostgreSQL frees the lock when it ends, however it ends."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)
    engine = sa.create_engine(
        database.url,
        poolclass=sa.pool.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": REACH["connect_timeout"]} | KEEPALIVE,
    )
    stack = ExitStack()

    def connect() -> sa.Connection:
        return engine.connect()

    connection = database.retry(connect)
    stack.callback(_close_quietly, connection)
    idle, interval, count = KEEPALIVE.values()
    for setting, value in (
        ("tcp_keepalives_idle", idle), ("tcp_keepalives_interval", interval),
        ("tcp_keepalives_count", count), ("idle_session_timeout", 0),
    ):  # fmt: skip
        connection.exec_driver_sql(f"SET {setting} = {value}")
    if connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one():
        return stack
    stack.close()
    return None


def _close_quietly(connection: sa.Connection) -> None:
    with suppress(sa.exc.DBAPIError):  # it may have been ended from outside
        connection.close()


@contextmanager
def _host_mark(file: Path, shown: str) -> Iterator[None]:
    """A SQLite file on a network share looks whole to two hosts, until it is not."""
    mark, mine = (
        file.with_name(f"{file.name}.host"),
        {"boot": _boot(), "host": socket.gethostname()},
    )
    try:
        other, before = json.loads(mark.read_text()), mark.stat().st_mtime
    except (OSError, ValueError):
        other, before = mine, 0.0
    mark.write_text(json.dumps(mine))
    idle = mark.stat().st_mtime - before  # both by the clock of the share
    if other.get("boot") != mine["boot"] and idle < IDLE:
        mark.write_text(json.dumps(other))
        raise BadRequest(
            f"--storage {shown}: in use on the host {other.get('host')} {idle:.0f} s ago. A SQLite "
            "file is for the processes of one host; for several, name a PostgreSQL database. (If "
            "this host was just restarted, wait a minute)"
        )
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            with suppress(OSError):
                mark.write_text(json.dumps(mine))

    threading.Thread(target=beat, name="host mark", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _boot() -> str:
    """Names one boot of one kernel; all containers on a host share it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return f"{uuid.getnode():x}"
