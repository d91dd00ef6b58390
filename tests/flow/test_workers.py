"""Workers of one study: leases, the lead, and jobs that are counted once, whoever dies."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from capsearch.errors import BadRequest, Interrupted, StoreUnavailable
from capsearch.records import Candidate, Job
from capsearch.storage import LeadLost, Member, StudyStore, member
from capsearch.storage.machine import boot, this_process
from capsearch.storage.tables import workers
from tests.fakes import outcome_of, study_of

STUDY = study_of()
JOBS = [Job.of(Candidate((n,)), study_seed=0, replicate=0, epochs=1, patience=1) for n in (3, 4, 5)]


@pytest.fixture
def store(storage_url: str) -> Iterator[StudyStore]:
    with closing(StudyStore(storage_url)) as opened:
        opened.begin(STUDY)
        yield opened


@pytest.fixture
def hire(store: StudyStore) -> Iterator[Any]:
    """Workers that leave at the end of the test."""
    with ExitStack() as hired:

        def one(threads: int = 1, role: Any = "worker", lease: float = 30.0) -> Member:
            return hired.enter_context(store.member(STUDY, role, threads, lease))

        yield one


def change(store: StudyStore, worker: Member, **values: Any) -> None:
    """As if it ran elsewhere, or had been silent."""
    own = workers.c.id == worker.id
    store.database.write(lambda c: c.execute(workers.update().where(own).values(values)))


def died(store: StudyStore, worker: Member) -> None:
    """Its lease is over, and it ran on another machine."""
    change(store, worker, machine="another", until=0.0)


def look(store: StudyStore) -> None:
    """What every worker does now and then."""
    store.database.write(lambda c: member.bury(c, store.database, STUDY.key))


def test_jobs_are_handed_out_once_in_the_order_in_which_they_were_put_up(
    store: StudyStore, hire: Any
) -> None:
    board, one, two = store.board(STUDY), hire(), hire()
    board.put_up(JOBS)
    board.put_up(JOBS)
    first = board.take(one, 1, [])
    second = board.take(two, 9, [])
    assert first == JOBS[:1]
    assert second == JOBS[1:2]  # half of what is left, for there are two
    assert board.take(two, 9, [JOBS[1].key]) == []  # the last one is left to the other
    assert board.take(one, 9, [JOBS[0].key]) == []
    board.settle("fake", [(JOBS[0], outcome_of(JOBS[0]))])
    assert board.take(one, 9, []) == JOBS[2:]


def test_a_look_for_something_to_do_does_not_walk_over_what_has_ended(tmp_path: Path) -> None:
    look = "SELECT count(*) FROM capsearch_job WHERE study = 's' AND outcome IS NULL AND worker "
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as store:
        for whose in ("IS NULL", "= 'me'"):
            with store.database.engine.connect() as connection:
                plan = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {look}{whose}")).all()
            assert "capsearch_job_open (study=? AND worker=?)" in str(plan)


def test_a_worker_that_leads_alone_takes_all_it_wants(store: StudyStore, hire: Any) -> None:
    board, one = store.board(STUDY), hire(threads=2)
    hire(threads=0)  # it only leads
    board.put_up(JOBS)
    assert board.take(one, 2, []) == JOBS[:2]
    assert board.take(one, 2, [j.key for j in JOBS[:2]]) == JOBS[2:]


def test_jobs_whose_taking_was_never_heard_of_come_again(store: StudyStore, hire: Any) -> None:
    board, one = store.board(STUDY), hire()
    board.put_up(JOBS)
    taken = board.take(one, 2, [])  # and the reply is lost
    assert board.take(one, 2, []) == taken


def test_whoever_leaves_gives_back_what_it_holds_and_nobody_is_blamed(
    store: StudyStore, hire: Any
) -> None:
    board, other = store.board(STUDY), hire()
    board.put_up(JOBS)
    with store.member(STUDY, "worker", 1) as leaving:
        assert leaving.lead()
        assert not other.lead()
        assert board.take(leaving, 2, []) == JOBS[:2]
    assert board.take(other, 9, []) == JOBS
    time.sleep(1.0)
    assert other.lead()


def test_a_job_that_was_lost_comes_again_alone_and_fails_when_it_is_lost_again(
    store: StudyStore, hire: Any
) -> None:
    board, one, two, three = store.board(STUDY), hire(threads=5), hire(), hire()
    board.put_up(JOBS)
    assert board.take(one, 2, []) == JOBS[:2]
    died(store, one)
    look(store)
    assert board.take(two, 9, []) == JOBS[:1]
    died(store, two)
    look(store)
    assert board.take(three, 9, []) == JOBS[1:2]
    (reason,) = (o.reason for o in board.outcomes().values())
    assert reason is not None
    assert reason.startswith("lost: 2 workers died while they trained it")
    board.settle("fake", [(JOBS[0], outcome_of(JOBS[0]))])  # too late: it has been counted
    assert not board.outcomes()[JOBS[0].key].complete


def test_a_job_that_was_lost_is_not_trained_beside_another(store: StudyStore, hire: Any) -> None:
    """Else the one that kills its worker would take the other along, and both would fail."""
    board, one, two = store.board(STUDY), hire(threads=5), hire()
    board.put_up(JOBS)
    assert board.take(one, 1, []) == JOBS[:1]
    died(store, one)
    look(store)
    assert board.take(two, 1, [JOBS[1].key]) == []  # it holds another: not now
    assert board.take(two, 9, []) == JOBS[:1]
    assert board.take(two, 9, [JOBS[0].key]) == []


def test_the_lead_passes_on_when_a_lease_is_over(store: StudyStore, hire: Any) -> None:
    one, two = hire(), hire()
    assert one.lead()
    assert not two.lead()
    died(store, one)
    time.sleep(1.0)
    assert two.lead()


def test_who_was_buried_alive_no_longer_leads(store: StudyStore, hire: Any) -> None:
    one = hire(lease=0.6)
    assert one.lead()
    died(store, one)
    look(store)
    time.sleep(0.5)  # its next renewal finds that it is gone
    with pytest.raises(LeadLost):
        one.insist()
    count = sa.select(sa.func.count()).select_from(workers)
    assert store.database.read(lambda c: c.execute(count).scalar_one()) == 1  # it has joined anew


def test_a_lease_is_renewed_while_its_holder_is_busy(store: StudyStore, hire: Any) -> None:
    one, two = hire(lease=0.6), hire()
    assert one.lead()
    change(store, one, machine=f"{boot()} in another container")
    time.sleep(1.5)
    assert not two.lead()
    assert one.leading


def test_the_dead_of_this_machine_are_buried_at_once(store: StudyStore, hire: Any) -> None:
    one, two = hire(), hire()
    board = store.board(STUDY)
    board.put_up(JOBS)
    board.take(one, 1, [])
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    change(store, one, pid=ended.pid)
    time.sleep(1.0)
    assert two.lead()
    assert board.take(two, 9, []) == JOBS[:1]


def test_the_last_to_leave_buries_the_dead(store: StudyStore, hire: Any) -> None:
    dead = hire()
    with store.member(STUDY, "study", threads=1):
        died(store, dead)
    assert store.database.read(lambda c: c.execute(sa.select(workers)).all()) == []


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    me = this_process()
    assert not me.gone
    assert me.pid == os.getpid()
    later = type(me)(me.host, me.machine, me.pid, "12345")
    assert later.gone
    assert not type(me)(me.host, "elsewhere", me.pid, "12345").gone


def test_one_study_command_runs_at_a_time_and_workers_may_join(
    store: StudyStore, hire: Any
) -> None:
    hire(role="study")
    hire()
    with pytest.raises(Interrupted, match="is being run by another process"), ExitStack() as stack:
        stack.enter_context(store.member(STUDY, "study", 1))
    other = study_of(name="other")
    store.begin(other)
    with store.member(other, "study", 1):
        pass


def test_who_leaves_while_its_lease_is_renewed_is_gone_for_good(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew = Member._renew

    def slow(self: Member, connection: sa.Connection) -> bool:
        time.sleep(0.2)
        return renew(self, connection)

    monkeypatch.setattr(Member, "_renew", slow)
    with store.member(STUDY, "worker", 1, lease=0.3):
        time.sleep(0.15)  # a renewal is under way
    time.sleep(0.5)
    count = sa.select(sa.func.count()).select_from(workers)
    assert store.database.read(lambda c: c.execute(count).scalar_one()) == 0


def test_a_study_command_whose_place_was_taken_while_it_slept_says_so(
    store: StudyStore, hire: Any
) -> None:
    with store.member(STUDY, "study", 1, lease=0.6) as sleeper:
        assert sleeper.lead()
        own = workers.c.id == sleeper.id
        store.database.write(lambda c: c.execute(workers.delete().where(own)))  # it was buried
        hire(role="study")
        time.sleep(0.5)  # its next renewal finds that it is gone
        with pytest.raises(LeadLost):
            sleeper.insist()
        with pytest.raises(Interrupted, match="is being run by another process"):
            sleeper.lead()


def test_a_sqlite_file_in_use_on_another_host_is_refused(tmp_path: Path) -> None:
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as store:
        store.begin(STUDY)
        mark = tmp_path / "s.db.host"
        mark.write_text(json.dumps({"boot": "another", "host": "far"}))
        with pytest.raises(BadRequest, match=r"in use on the host far .* PostgreSQL"):
            store.member(STUDY, "worker", 1).__enter__()
        assert json.loads(mark.read_text())["host"] == "far"
        os.utime(mark, (time.time() - 120, time.time() - 120))
        with store.member(STUDY, "worker", 1):
            pass


def test_a_database_that_comes_back_in_time_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}", told.append)) as store:
        fails = iter([True] * 7 + [False] * 99)
        waited: list[float] = []
        monkeypatch.setattr(time, "sleep", waited.append)

        def asking(connection: sa.Connection) -> int:
            if next(fails):
                raise sa.exc.OperationalError("ask", {}, _Sqlite("database is locked"))
            return 7

        assert store.database.read(asking) == 7
        assert waited == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
        assert len(told) == 1
        assert "database is locked" in told[0]


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as store:
        store.database.in_a_hurry()

        def asking(connection: sa.Connection) -> int:
            raise sa.exc.OperationalError("ask", {}, _Sqlite("database is locked"))

        with pytest.raises(StoreUnavailable, match="database is locked"):
            store.database.read(asking)


def test_what_optuna_says_of_a_database_names_the_cause(tmp_path: Path) -> None:
    """Its own words on a full disk were 'invalid data in the commit, e.g. exceeding max length'."""
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as store:

        def asking() -> None:
            try:
                raise sa.exc.OperationalError("ask", {}, _Sqlite("disk I/O error"))
            except sa.exc.OperationalError as error:
                raise StorageInternalError("an exception is raised during the commit") from error

        with pytest.raises(StoreUnavailable, match=r"s\.db: disk I/O error"):
            store.database.patiently(asking)


class _Sqlite(Exception):
    """What the driver of SQLite raises."""

    __module__ = "sqlite3"
