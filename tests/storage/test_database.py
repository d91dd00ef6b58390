"""A database that is away, damaged or none is named with what to do, and never with a password."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from capsearch.errors import BadRequest, StoreUnavailable
from capsearch.storage import Database, StudyStorage, exists


class _Sqlite(Exception):
    """What the driver of SQLite raises."""

    __module__ = "sqlite3"


def failing(text: str) -> Any:
    def asking(_: sa.Connection) -> int:
        raise sa.exc.OperationalError("ask", {}, _Sqlite(text))

    return asking


def test_a_database_that_comes_back_in_time_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}", told.append)) as storage:
        fails = iter([True] * 7 + [False] * 99)
        waited: list[float] = []
        monkeypatch.setattr("capsearch.storage.database.time.sleep", waited.append)

        def asking(connection: sa.Connection) -> int:
            return int(failing("database is locked")(connection)) if next(fails) else 7

        assert storage.database.read(asking) == 7
        assert waited == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
        assert len(told) == 1
        assert "database is locked" in told[0]


def test_patience_ends(tmp_path: Path) -> None:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        storage.database.give_up_soon()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="database is locked"):
            storage.database.read(failing("database is locked"))
        assert 1.0 <= time.monotonic() - began < 10.0


def test_what_will_not_pass_is_told_at_once_with_its_cause(tmp_path: Path) -> None:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"s\.db: disk I/O error"):
            storage.database.write(failing("disk I/O error"))
        assert time.monotonic() - began < 1.0


def test_a_change_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True))
    database = Database(f"sqlite:///{tmp_path / 's.db'}")
    database.create(table.metadata)

    def change(connection: sa.Connection) -> None:
        connection.execute(table.insert().values(n=1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(change)
    assert database.read(lambda c: c.execute(sa.select(table)).all()) == []
    database.add(table, {"n": 1})
    database.add(table, {"n": 1}, {"n": 2})  # as after a reply that was lost
    assert database.read(lambda c: c.execute(sa.select(table.c.n)).scalars().all()) == [1, 2]
    database.engine.dispose()


def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    damaged = tmp_path / "s.db"
    damaged.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"s\.db.*not a database"):
        StudyStorage(f"sqlite:///{damaged}")
    assert damaged.read_bytes() == b"this is no database" * 100


@pytest.mark.integration
def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        StudyStorage("postgresql+psycopg://me:s3cret@127.0.0.1:9/none?connect_timeout=2")
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["nonsense", "mongodb://x/y", "sqlite:///{file}/below/s.db", "sqlite://", "mysql://x/y"]
)
def test_an_impossible_storage_is_a_bad_request(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest):
        StudyStorage(url.format(file=tmp_path / "file"))


@pytest.mark.parametrize("url", ["nonsense", "mongodb://x/y", "sqlite://"])
def test_an_impossible_storage_is_refused_by_whoever_asks_whether_it_is_there(url: str) -> None:
    with pytest.raises(BadRequest, match="not a database that capsearch knows"):
        exists(url)
