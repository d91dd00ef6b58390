"""Study storages that go away, fill up, lie about the time, or are damaged."""

import os
import resource
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.faults.crew import STUDY, Crew, check_counted_once, trained

from capsearch.errors import CapsearchError, StoreUnavailable
from capsearch.storage import StudyStore, database
from capsearch.storage.tables import workers
from tests.faults.checks import check_complete, check_tracking
from tests.faults.kills import ending
from tests.faults.place import QUICK, Place, until
from tests.servers import Postgres

pytestmark = pytest.mark.real

PAST = workers.update().values(until=0.0, machine="another")


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with Postgres() as started:
        yield started


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_in_the_middle_changes_nothing(
    own: Postgres, tmp_path: Path, mode: str
) -> None:
    whole = Crew(f"sqlite:///{tmp_path / 'whole.db'}").run()
    crew = Crew(own.database(f"restarted-{mode}"))
    with closing(StudyStore(crew.url)) as store:
        threads = crew.start()
        assert until(lambda: trained(store) >= 4)
        own.stop(mode)
        time.sleep(1.0)
        own.start()
        assert crew.wait(threads) == whole
        check_counted_once(store)


def test_a_server_that_stays_away_ends_the_study_in_words_and_in_time(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 3.0)
    with Postgres() as doomed:
        crew = Crew(doomed.database("doomed"), size=2)
        with closing(StudyStore(crew.url)) as store:
            threads = crew.start()
            assert until(lambda: trained(store) >= 2)
        doomed.stop("immediate")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="study storage postgresql") as caught:
            crew.wait(threads)
        assert time.monotonic() - began < 15
        assert caught.value.exit_code == 5
        doomed.start()
        resumed = Crew(crew.url).run()
        with closing(StudyStore(crew.url)) as store:
            assert len(check_counted_once(store)) == len(resumed) == 13


@pytest.mark.parametrize("jumps", [1, 5])
def test_a_clock_that_jumps_lets_no_trial_be_counted_twice(
    postgres_server: Postgres, tmp_path: Path, jumps: int
) -> None:
    """Every lease seems to be over at once, and its holder on another machine."""
    crew = Crew(postgres_server.database(f"jump-{jumps}"), lease=1.0)
    with closing(StudyStore(crew.url)) as store:
        threads = crew.start()
        for number in range(jumps):
            until(lambda: trained(store) >= 2 * number + 1 or crew.done.is_set())  # noqa: B023
            store.database.write(lambda c: c.execute(PAST))
        trials = crew.wait(threads)
        outcomes = check_counted_once(store)
    assert len(trials) == len(outcomes) == 13
    if jumps == 1:  # a job is lost once at most, and trained again
        assert trials == Crew(f"sqlite:///{tmp_path / 'whole.db'}").run()


def test_a_disk_that_fills_up_costs_nothing_that_was_stored(tmp_path: Path) -> None:
    """A limit on the size of every file that the process writes stands for the disk."""
    with ending(Place(tmp_path / "full", tmp_path / "cache", QUICK)) as place:
        place.root.mkdir()  # MLflow's tables are there: half of them would be of no use to it
        MlflowClient(f"sqlite:///{place.root / 'mlflow.db'}").search_experiments()
        process = place.study()
        ended = "SELECT job FROM capsearch_job WHERE outcome IS NOT NULL"
        assert until(lambda: place.ask(ended))
        known = set(place.ask(ended))
        full = (place.root / "studies.db-wal").stat().st_size // 2
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        assert process.wait(300) == 5, place.said(process)
        said = " ".join(place.said(process).split())
        assert "study storage sqlite:///" in said
        assert "disk I/O error" in said or "database or disk is full" in said
        assert "Traceback" not in said
        assert set(place.ask(ended)) >= known
        again = place.study()
        assert again.wait(600) == 0, place.said(again)
        found = check_complete(place)
        assert not found.failed
        check_tracking(place, found)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(StudyStore(f"sqlite:///{folder / 'there.db'}")) as store:
            store.begin(STUDY)
        folder.chmod(0o555)
        for url in (f"sqlite:///{folder / 'new.db'}", f"sqlite:///{folder / 'new' / 'new.db'}",
                    f"sqlite:///{folder / 'there.db'}"):  # fmt: skip
            with as_nobody(), pytest.raises(CapsearchError, match=name) as caught:
                StudyStore(url)
            assert caught.value.exit_code in {2, 5}
        folder.chmod(0o755)
        with closing(StudyStore(f"sqlite:///{folder / 'there.db'}")) as store:
            assert store.row(STUDY) is not None


def test_a_damaged_file_is_said_to_be_damaged_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    Crew(f"sqlite:///{file}", size=1).run()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = file.read_bytes()
    for damage in (b"no database at all" + whole[18:], whole[:4096] + os.urandom(8192)):
        file.write_bytes(damage)
        with pytest.raises(StoreUnavailable, match=r"(not a database|malformed)") as caught:
            Crew(f"sqlite:///{file}", size=1).run()
        assert caught.value.exit_code == 5
    assert file.read_bytes() == damage


def test_a_leader_that_sleeps_through_its_lease_finds_the_study_led_by_another(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    """Its row says that it runs on another machine: nobody here can see that it lives."""
    url = postgres_server.database("sleeper")
    with ending(Place(tmp_path / "sleeper", tmp_path / "cache", QUICK, url)) as place:
        sleeper = place.study("--lease", "2")
        leads = "SELECT w.pid FROM capsearch_study s JOIN capsearch_worker w ON w.id = s.leader"
        ended = "SELECT job FROM capsearch_job WHERE outcome IS NOT NULL"
        assert until(lambda: len(place.ask(ended)) > 3 and place.ask(leads) == [(sleeper.pid,)])
        sleeper.send_signal(signal.SIGSTOP)
        place.change("UPDATE capsearch_worker SET machine = 'another'")
        other = place.worker("--lease", "10")
        assert until(lambda: place.ask(leads) == [(other.pid,)])
        sleeper.send_signal(signal.SIGCONT)
        for process in (sleeper, other):
            assert process.wait(600) == 0, place.said(process)
            assert "Traceback" not in place.said(process)
        found = check_complete(place)
        assert not found.failed
        check_tracking(place, found)
