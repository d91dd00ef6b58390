"""Whoever takes a study over has it alone: what drove it before can write nothing more."""

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from capsearch.records import Proof, Tracking
from capsearch.search import baseline_trials
from capsearch.storage import FenceLost, StudyStorage, StudyWriter, database
from capsearch.storage.tables import metadata, openings, studies, trials
from tests.fakes import outcome_of, question_of, spec_of, study_of
from tests.samples import record_of

SPEC = spec_of()
STUDY = study_of(SPEC)
TRIAL = baseline_trials(STUDY, SPEC, question_of().space)[0]
KEY = TRIAL.job.key
WRITES: dict[str, Callable[[StudyWriter], Any]] = {
    "add": lambda w: w.add([TRIAL]),
    "start": lambda w: w.start([KEY]),
    "give_back": lambda w: w.give_back([KEY]),
    "end": lambda w: w.end(KEY, outcome_of(TRIAL.job)),
    "cut": lambda w: w.cut("a reason"),
    "prove": lambda w: w.prove(Proof(0.0, 1)),
    "decide": lambda w: w.decide(record_of().decision),
    "extend": lambda w: w.extend(1, 1),
    "claim": lambda w: w.claim("a choice", [KEY]),
    "record": lambda w: w.record({"loss": 0.5}),
    "finish": lambda w: w.finish({"a": 1}, Tracking("uri", "1", "2")),
}


@pytest.fixture
def storage(storage_url: str) -> Iterator[StudyStorage]:
    with closing(StudyStorage(storage_url)) as opened:
        opened.begin(STUDY, "toy")
        yield opened


def everything(storage: StudyStorage) -> dict[str, list[Any]]:
    """Every row of every table."""

    def read(connection: sa.Connection, table: sa.Table) -> list[Any]:
        return [tuple(row) for row in connection.execute(sa.select(table))]

    return {
        table.name: storage.database.read(lambda c, table=table: read(c, table))  # type: ignore[misc]
        for table in metadata.sorted_tables
    }


def test_every_method_that_writes_is_tested_here() -> None:
    methods = inspect.getmembers(StudyWriter, inspect.isfunction)
    assert {name for name, _ in methods if not name.startswith("_")} == set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_a_driver_that_was_overtaken_is_refused_and_writes_nothing(
    storage: StudyStorage, name: str
) -> None:
    first = StudyWriter(storage, STUDY)
    first.add([TRIAL])
    first.claim("a choice", [])
    second = StudyWriter(storage, STUDY)
    assert (first.leads, second.leads) == (False, True)
    before = everything(storage)
    with pytest.raises(FenceLost, match=r"another start of this study has taken over \(process"):
        WRITES[name](first)
    assert everything(storage) == before
    WRITES[name](second)


def test_it_is_told_who_took_over_and_ends_in_3(storage: StudyStorage) -> None:
    first = StudyWriter(storage, STUDY)
    StudyWriter(storage, STUDY)
    row = storage.row(STUDY.key)
    assert row is not None
    assert row.driver is not None
    with pytest.raises(FenceLost) as lost:
        first.cut("a reason")
    assert f"process {row.driver['pid']} on {row.driver['host']}" in str(lost.value)
    assert lost.value.exit_code == 3


@pytest.mark.parametrize("round_", range(5))
def test_no_write_comes_late_however_fast_the_two_are(storage: StudyStorage, round_: int) -> None:
    """The one that was overtaken writes as fast as it can, from two threads."""
    first = StudyWriter(storage, STUDY)
    first.add([TRIAL])
    begun = threading.Barrier(3)

    def write() -> None:
        begun.wait(10)
        with suppress(FenceLost):
            for _ in range(10_000):
                first.start([KEY])
        ended.append(1)

    ended = list[int]()
    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    until_started = threading.Event()
    until_started.wait(0.05 * round_)
    StudyWriter(storage, STUDY)
    seen = starts(storage)
    for thread in threads:
        thread.join(30)
    assert len(ended) == 2
    assert starts(storage) == seen


def starts(storage: StudyStorage) -> int:
    return int(storage.database.read(lambda c: c.execute(sa.select(trials.c.starts)).scalar_one()))


def test_two_studies_do_not_disturb_each_other(storage: StudyStorage) -> None:
    other = study_of(name="other")
    storage.begin(other, "toy")
    mine, theirs = StudyWriter(storage, STUDY), StudyWriter(storage, other)
    theirs.cut("a reason")
    mine.cut("another")
    assert [row.cut for row in storage.rows()] in (
        ["a reason", "another"],
        ["another", "a reason"],
    )


def test_what_was_written_before_stays(storage: StudyStorage) -> None:
    """The first of each: outcome, reason, proof, decision, score."""
    writer = StudyWriter(storage, STUDY)
    for name in ("add", "end", "cut", "prove", "decide", "claim", "record"):
        WRITES[name](writer)
    before = everything(storage)
    again = StudyWriter(storage, STUDY)
    again.end(KEY, record_of().trials[5].outcome or outcome_of(TRIAL.job))
    again.cut("another reason")
    again.prove(Proof(1.0, 2))
    again.record({"loss": 0.1})
    after = everything(storage)
    assert after[openings.name] == before[openings.name]
    assert after[trials.name] == before[trials.name]
    row = storage.row(STUDY.key)
    assert row is not None
    assert (row.cut, row.proof) == ("a reason", Proof(0.0, 1))


def test_the_time_of_all_drivers_is_added_up(tmp_path: Path) -> None:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        storage.begin(STUDY, "toy")
        for _ in range(2):
            writer = StudyWriter(storage, STUDY)
            threading.Event().wait(0.05)
            writer.cut("a reason")
        row = storage.row(STUDY.key)
        assert row is not None
        assert 0.1 <= row.seconds < 2.0


@pytest.mark.system
def test_a_driver_that_is_stopped_within_a_transaction_holds_up_nobody(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends its transaction. On SQLite the lock lasts as long as the process."""
    monkeypatch.setattr(database, "STOPPED", 0.5)
    with closing(StudyStorage(postgres)) as storage, closing(StudyStorage(postgres)) as other:
        storage.begin(STUDY, "toy")
        StudyWriter(storage, STUDY)
        with storage.database.engine.connect() as stopped:
            stopped.execute(sa.update(studies).values(cut="never written"))
            began = time.monotonic()
            StudyWriter(other, STUDY).cut("a reason")
            assert time.monotonic() - began < 10.0
            with pytest.raises(sa.exc.DBAPIError):
                stopped.commit()
        row = other.row(STUDY.key)
        assert row is not None
        assert row.cut == "a reason"
