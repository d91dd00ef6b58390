"""The database below MLflow: can its address be used, does it answer, are its tables whole.

MLflow makes its tables one by one. A process that is killed, or a disk that fills up, in between
leaves a file that MLflow refuses for ever ("table ... already exists").
"""

import os
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa

from capsearch import credentials
from capsearch.errors import BadRequest

DATABASES, SERVERS = ("sqlite", "postgresql", "mysql"), ("http", "https")
REACH = 5  # seconds that a database server has to accept a connection


def check_address(uri: str) -> None:
    """Raise BadRequest for an address that MLflow can never use, whatever answers there."""
    scheme, mark, _ = uri.partition("://")
    kind = scheme.partition("+")[0]
    if not mark or kind not in DATABASES + SERVERS:
        raise _bad_address(uri, "MLflow cannot use this address")
    if kind in SERVERS:
        return
    try:
        url = sa.make_url(uri)
        url.get_dialect().import_dbapi()
    except ImportError as error:
        extra = "; pip install 'capsearch[postgres]'" if kind == "postgresql" else ""
        raise _bad_address(uri, f"its driver is not installed ({error}){extra}") from None
    except (sa.exc.ArgumentError, ValueError) as error:
        raise _bad_address(uri, credentials.hide(str(error), uri)) from None
    in_memory = not url.database or ":memory:" in url.database or "memory" in url.query.values()
    if kind == "sqlite" and in_memory:
        raise _bad_address(uri, "it names no file, and runs must outlive this process")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for another kind, and for SQLite's own kind of address."""
    name = str(sa.make_url(uri).database) if uri.startswith("sqlite") else "file:"
    return None if name.startswith("file:") else Path(name)


def connect_once(uri: str) -> None:
    """Raise whatever the database's own driver raises: MLflow would try ten times, for minutes.

    The driver and nothing else knows which way a database is reached. A server of MLflow's needs no
    such question: its client asks once, through the proxies of the environment.
    """
    if uri.startswith(SERVERS):
        return
    local = uri.startswith("sqlite")
    limits = {} if local or "connect_timeout" in uri else {"connect_timeout": REACH}
    engine = sa.create_engine(uri, poolclass=sa.NullPool, connect_args=limits)
    with closing(engine.connect()) as connection:
        if local:  # connecting alone reads nothing
            connection.exec_driver_sql("PRAGMA schema_version")


def make_whole(uri: str) -> None:
    """Make the SQLite store at `uri` beside its place, and put it there in one step.

    Nothing happens for another kind of store, or when the file is there; when another process makes
    it at the same moment, the first one stays.
    """
    file = sqlite_file(uri)
    if file is None or file.exists():
        return
    from mlflow import MlflowClient  # it takes seconds

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as folder:
        making = Path(folder) / "mlflow.db"
        address = str(sa.make_url(uri).set(database=str(making)))
        MlflowClient(tracking_uri=address, registry_uri=address).search_experiments(max_results=1)
        with suppress(FileExistsError):
            os.link(making, file)


def _bad_address(uri: str, why: str) -> BadRequest:
    return BadRequest(
        f"--tracking-uri {credentials.shown(uri)}: {why}. Legal: sqlite:///FILE, "
        "postgresql+psycopg://USER@HOST/DATABASE, http://HOST:PORT"
    )
