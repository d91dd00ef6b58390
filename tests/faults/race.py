"""Two drivers of one study: started at the same moment, or one that sleeps through its end."""

import signal
import subprocess
from contextlib import closing

import sqlalchemy as sa

from tests.faults.checks import Ended, check_complete, check_tracking
from tests.faults.place import NAME, Place, until

BUSY = 3  # the exit code of whoever finds the study being run, or taken over
END_LOCK = """
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
"""


def race(place: Place, *, wait: bool = False) -> None:
    """Two at the same moment: one runs, the other ends with 3, or waits for the same result."""
    both = [place.study(*(["--wait"] if wait else [])) for _ in range(2)]
    if wait:
        for process in both:
            place.completed(process)
        assert place.printed(both[0]) == place.printed(both[1])
        check_ended_once(place)
        return
    assert until(lambda: any(process.poll() is not None for process in both))
    other, runs = sorted(both, key=lambda process: process.poll() is None)
    assert other.returncode == BUSY, place.said(other)
    assert "is being run by" in " ".join(place.said(other).split()), place.said(other)
    assert until(lambda: place.ended or runs.poll() is not None)
    assert runs.poll() is None, place.said(runs)
    assert place.driver == runs.pid
    runs.kill()
    runs.wait()


def usurped(place: Place, *, late: bool = False) -> Ended:
    """A driver is stopped, its lock ended, a second one runs, and the first continues.

    `late`: only when the second one is done.
    """
    known, first = place.ended, place.study()
    assert until(lambda: place.driver == first.pid and place.ended > known)
    halt(place, first)
    before = place.ended
    end_lock(place)
    second = place.study()
    try:
        assert until(lambda: place.driver == second.pid or second.poll() is not None)
        if late:
            place.completed(second)
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(60) == BUSY, place.said(first)
    said = " ".join(place.said(first).split())
    assert f"process {second.pid} on " in said, said
    assert "Traceback" not in said, said
    assert before <= place.ended
    place.completed(second)
    place.completed(place.study())  # MLflow cannot be fenced: the next start makes it whole
    return check_ended_once(place)


def halt(place: Place, process: subprocess.Popen[str]) -> None:
    """SIGSTOP, not in the middle of a write: SQLite would be locked for everybody, for ever."""

    def halted() -> bool:
        process.send_signal(signal.SIGSTOP)
        if _writable(place):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    assert until(halted, 60.0, 0.1)


def end_lock(place: Place) -> None:
    """PostgreSQL ends the session that holds it; a file of that name is made anew."""
    if place.postgres:
        ended = place.ask(END_LOCK)
        assert [tuple(row) for row in ended] == [(True,)], ended
        return
    (lock,) = place.root.glob(f"studies.db.{NAME}-*.lock")
    lock.unlink()


def check_ended_once(place: Place) -> Ended:
    """One opening, one report, one model; MLflow as the storage."""
    found = check_complete(place)
    check_tracking(place, found)
    files = place.runs_file.parent if place.runs_file else place.root
    for folder in (place.root / "reports", files / "artifacts"):
        assert len(list(folder.rglob("report.html"))) == 1, folder
    models = [folder.name for folder in (place.root / "models").glob(f"{NAME}-*/*")]
    assert models == [job for (job,) in place.ask("SELECT choice FROM capsearch_opening")]
    return found


def _writable(place: Place) -> bool:
    """Whether the stores can be written: nobody holds a lock in them."""
    stores = [place.postgres or f"sqlite:///{place.root / 'studies.db'}"]
    stores += [] if place.tracking else [f"sqlite:///{place.root / 'mlflow.db'}"]
    return all(map(_unlocked, stores))


def _unlocked(store: str) -> bool:
    engine = sa.create_engine(store, poolclass=sa.NullPool)
    try:
        with closing(engine.connect()) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT 1 FROM capsearch_studies FOR UPDATE NOWAIT"))
            else:
                connection.exec_driver_sql("PRAGMA busy_timeout = 200")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.rollback()
    except sa.exc.DBAPIError:
        return False
    return True
