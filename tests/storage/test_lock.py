"""One driver at a time: a second start is told by whom the study is run, or waits for it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from capsearch.errors import BadRequest, Interrupted
from capsearch.storage import FenceLost, StudyStorage, StudyWriter, driver_lock
from tests.fakes import study_of
from tests.place import importable

STUDY = study_of()


@pytest.fixture
def storage(storage_url: str) -> Iterator[StudyStorage]:
    with closing(StudyStorage(storage_url)) as opened:
        opened.begin(STUDY, "toy")
        yield opened


def hold(stack: ExitStack, storage: StudyStorage) -> StudyWriter:
    """A driver of the study, until the stack ends."""
    stack.enter_context(driver_lock(storage, STUDY.key))
    return StudyWriter(storage, STUDY)


def test_a_second_start_is_refused_and_told_who_runs_the_study(storage: StudyStorage) -> None:
    with ExitStack() as stack:
        hold(stack, storage)
        with pytest.raises(Interrupted) as busy, driver_lock(storage, STUDY.key):
            pass
        for word in (STUDY.name, f"process {os.getpid()}", socket.gethostname()):
            assert word in str(busy.value)
    with driver_lock(storage, STUDY.key):
        pass


def test_another_study_is_another_matter(storage: StudyStorage) -> None:
    other = study_of(name="other")
    storage.begin(other, "toy")
    with driver_lock(storage, STUDY.key), driver_lock(storage, other.key):
        pass


def test_a_second_start_may_wait(storage: StudyStorage) -> None:
    told, stack = list[str](), ExitStack()
    hold(stack, storage)

    def wait(busy: str) -> None:
        told.append(busy)
        stack.close()

    with driver_lock(storage, STUDY.key, wait):
        assert len(told) == 1
        assert str(os.getpid()) in told[0]


def test_whoever_waits_may_give_up(storage: StudyStorage) -> None:
    def wait(busy: str) -> None:
        raise KeyboardInterrupt

    with ExitStack() as stack:
        hold(stack, storage)
        with pytest.raises(KeyboardInterrupt), driver_lock(storage, STUDY.key, wait):
            pass


def test_of_many_that_start_at_the_same_moment_one_runs(storage_url: str) -> None:
    count, began, got, refused = 8, threading.Barrier(8), list[int](), list[str]()
    done = threading.Event()

    def start() -> None:
        with closing(StudyStorage(storage_url)) as opened:
            opened.begin(STUDY, "toy")
            began.wait(30)
            try:
                with driver_lock(opened, STUDY.key):
                    got.append(1)
                    done.wait(30)
            except Interrupted as busy:
                refused.append(str(busy))
                if len(refused) == count - 1:
                    done.set()

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(got), len(refused)) == (1, count - 1)


HOLDER = """
import sys, time
from capsearch.storage import StudyStorage, driver_lock
storage = StudyStorage(sys.argv[1])
with driver_lock(storage, sys.argv[2]):
    print("held", flush=True)
    time.sleep(100)
"""


def test_the_lock_of_a_driver_that_was_killed_is_free_at_once(
    storage: StudyStorage, storage_url: str
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, storage_url, STUDY.key],
        env=importable(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Interrupted), driver_lock(storage, STUDY.key):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    began = time.monotonic()

    def wait(busy: str) -> None:
        assert time.monotonic() - began < 10.0, busy

    with driver_lock(storage, STUDY.key, wait):
        pass


def test_a_lock_that_was_taken_away_does_no_harm(storage: StudyStorage) -> None:
    """The file replaced, the connection ended: another starts, and the first writes no more."""
    with ExitStack() as stack:
        first = hold(stack, storage)
        if storage.database.file is not None:
            Path(f"{storage.database.file}.{STUDY.key}.lock").unlink()
        else:
            end_connections(storage)
        second = hold(stack, storage)
        with pytest.raises(FenceLost):
            first.cut("a reason")
        second.cut("a reason")
        assert storage.database.read(lambda c: c.execute(sa.text("SELECT 1")).scalar_one()) == 1


def end_connections(storage: StudyStorage) -> None:
    """As an administrator may, with `pg_terminate_backend`."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    storage.database.write(lambda c: c.execute(sa.text(ended)))


@pytest.mark.system
def test_postgresql_looks_after_the_lock_of_a_host_that_vanished(postgres: str) -> None:
    """Within a minute: its server asks the other side after 20 s, and 4 times every 5 s."""
    with closing(StudyStorage(postgres)) as storage:
        storage.begin(STUDY, "toy")
        seen = list[sa.Connection]()

        @sa.event.listens_for(sa.Engine, "engine_connect")
        def note(connection: sa.Connection) -> None:
            seen.append(connection)

        try:
            with driver_lock(storage, STUDY.key):
                (lock,) = [c for c in seen if c.engine is not storage.database.engine]
                shown = {
                    name: lock.exec_driver_sql(f"SHOW {name}").scalar_one()
                    for name in ("idle", "interval", "count")
                    for name in [f"tcp_keepalives_{name}"]
                }
        finally:
            sa.event.remove(sa.Engine, "engine_connect", note)
    assert shown == {
        "tcp_keepalives_idle": "20", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4",
    }  # fmt: skip


def test_a_sqlite_file_in_use_on_another_host_is_refused(tmp_path: Path) -> None:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        storage.begin(STUDY, "toy")
        mark = tmp_path / "s.db.host"
        mark.write_text(json.dumps({"boot": "another", "host": "far"}))
        with (
            pytest.raises(BadRequest, match=r"in use on the host far .* PostgreSQL"),
            driver_lock(storage, STUDY.key),
        ):
            pass
        assert json.loads(mark.read_text())["host"] == "far"
        os.utime(mark, (time.time() - 120, time.time() - 120))
        with driver_lock(storage, STUDY.key):
            assert json.loads(mark.read_text())["host"] == socket.gethostname()
