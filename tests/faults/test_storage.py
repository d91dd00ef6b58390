"""Study storages that go away, fill up, or are damaged."""

import os
import resource
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient

from capsearch.errors import CapsearchError, StoreUnavailable
from capsearch.records import Trial
from capsearch.search import Ladder
from capsearch.storage import StudyStorage, database
from tests.fakes import FakeExecutor, driven, question_of, study_of
from tests.faults.checks import check_complete, check_tracking
from tests.faults.place import Place, ending, until
from tests.servers import Postgres

pytestmark = pytest.mark.system

STUDY = study_of()
TRIALS = 12


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with Postgres() as started:
        yield started


class Slow(FakeExecutor):
    """Takes a moment for every pack."""

    def tick(self) -> None:
        time.sleep(0.05)
        super().tick()


@dataclass
class Driver:
    """A search of this process's own, in a thread, with trainings that only pretend."""

    url: str
    ended: list[Trial] = field(default_factory=list)
    error: BaseException | None = None

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._work)
        thread.start()
        return thread

    def wait(self, thread: threading.Thread) -> list[Trial]:
        """The trials; raises what ended the search."""
        thread.join(120)
        assert not thread.is_alive()
        if self.error is not None:
            raise self.error
        return sorted(self.ended, key=lambda t: t.id)

    def run(self) -> list[Trial]:
        return self.wait(self.start())

    def trained(self) -> int:
        """How many trials are stored with an outcome."""
        with closing(StudyStorage(self.url)) as storage:
            return sum(t.outcome is not None for t in storage.trials(STUDY.key))

    def _work(self) -> None:
        try:
            with closing(StudyStorage(self.url)) as storage:
                plan = Ladder.of(question_of(), storage.trials(STUDY.key), TRIALS)
                driven(plan, STUDY, storage, Slow(), pack=1)
                self.ended = list(storage.trials(STUDY.key))
        except BaseException as error:
            self.error = error


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_in_the_middle_changes_nothing(
    own: Postgres, tmp_path: Path, mode: str
) -> None:
    whole = Driver(f"sqlite:///{tmp_path / 'whole.db'}").run()
    driver = Driver(own.database(f"restarted-{mode}"))
    thread = driver.start()
    assert until(lambda: driver.trained() >= 4)
    own.stop(mode)
    time.sleep(1.0)
    own.start()
    assert driver.wait(thread) == whole
    assert len(whole) == TRIALS + 1


def test_a_server_that_stays_away_ends_the_study_in_words_and_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "AWAY", 3.0)
    with Postgres() as doomed:
        driver = Driver(doomed.database("doomed"))
        thread = driver.start()
        assert until(lambda: driver.trained() >= 2)
        doomed.stop("immediate")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="study storage postgresql") as caught:
            driver.wait(thread)
        assert time.monotonic() - began < 15
        assert caught.value.exit_code == 5
        doomed.start()
        resumed = Driver(driver.url).run()
        assert len([t for t in resumed if t.outcome is not None]) == TRIALS + 1


def test_a_disk_that_fills_up_costs_nothing_that_was_stored(tmp_path: Path) -> None:
    """A limit on the size of every file that the process writes stands for the disk."""
    MlflowClient(f"sqlite:///{tmp_path / 'empty.db'}").search_experiments()
    with ending(Place(tmp_path / "full", tmp_path / "cache")) as place:
        place.with_store(tmp_path / "empty.db")  # half of its tables would be of no use
        process = place.study()
        assert until(lambda: place.ended)
        known = place.ended
        full = (place.root / "studies.db-wal").stat().st_size // 2
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        assert process.wait(300) == 5, place.said(process)
        said = " ".join(place.said(process).split())
        assert "study storage sqlite:///" in said
        assert "disk I/O error" in said or "database or disk is full" in said
        assert "Traceback" not in said
        assert place.ended >= known
        place.completed(place.study())
        check_tracking(place, check_complete(place))


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
        with closing(StudyStorage(f"sqlite:///{folder / 'there.db'}")) as storage:
            storage.begin(STUDY, "toy")
        folder.chmod(0o555)
        for url in (f"sqlite:///{folder / 'new.db'}", f"sqlite:///{folder / 'new' / 'new.db'}",
                    f"sqlite:///{folder / 'there.db'}"):  # fmt: skip
            with as_nobody(), pytest.raises(CapsearchError, match=name) as caught:
                StudyStorage(url)
            assert caught.value.exit_code in {2, 5}
        folder.chmod(0o755)
        with closing(StudyStorage(f"sqlite:///{folder / 'there.db'}")) as storage:
            assert storage.row(STUDY.key) is not None


def test_a_damaged_file_is_said_to_be_damaged_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    Driver(f"sqlite:///{file}").run()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = file.read_bytes()
    for damage in (b"no database at all" + whole[18:], whole[:4096] + os.urandom(8192)):
        file.write_bytes(damage)
        with pytest.raises(StoreUnavailable, match=r"(not a database|malformed)") as caught:
            Driver(f"sqlite:///{file}").run()
        assert caught.value.exit_code == 5
    assert file.read_bytes() == damage
