"""Storage and ledger, on SQLite and on a real PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from capsearch.errors import BadRequest, SealBroken, StoreUnavailable
from capsearch.records import Outcome, Tracking
from capsearch.seal import Ledger, opened_rows
from capsearch.search import baseline_trials
from capsearch.storage import PLACE, StudyStore
from capsearch.storage.database import engine_settings
from tests.fakes import ToySource, outcome_of, spec_of, study_of

SPEC = spec_of()
STUDY = study_of(SPEC)
JOB = baseline_trials(STUDY, SPEC, SPEC.space_for(20))[0].job


@pytest.fixture
def store(storage_url: str) -> Iterator[StudyStore]:
    with closing(StudyStore(storage_url)) as opened:
        yield opened


def test_an_outcome_comes_back_as_it_was_stored(store: StudyStore) -> None:
    board, outcome = store.board(STUDY), outcome_of(JOB)
    board.put_up([JOB])
    assert board.outcomes([JOB.key]) == {}
    board.settle("fit", [(JOB, outcome)])
    back = board.outcomes([JOB.key])[JOB.key]
    assert back == outcome
    assert back.val_losses is not None
    assert outcome.val_losses is not None
    assert back.val_losses.tolist() == outcome.val_losses.tolist()
    assert board.outcomes() == {JOB.key: outcome}
    assert board.engine_of(JOB) == "fit"


def test_the_first_outcome_of_a_job_stays(store: StudyStore) -> None:
    board = store.board(STUDY)
    board.put_up([JOB])
    board.settle("fit", [(JOB, outcome_of(JOB))])
    board.settle("fit", [(JOB, Outcome.failed("late"))])
    assert board.outcomes() == {JOB.key: outcome_of(JOB)}


def test_a_study_is_listed_with_its_time_and_its_result(store: StudyStore) -> None:
    store.begin(STUDY)
    store.begin(STUDY)
    for _ in range(2):
        with store.member(STUDY, "study", threads=1) as member:
            assert member.lead()
            time.sleep(0.01)
            member.renew()
    place = Tracking("sqlite:///m.db", "1", "abc", "capsearch-toy/1")
    store.finish(STUDY, {"a": 1}, place)
    (row,) = store.rows()
    assert (row.key, row.document, row.tracking) == (STUDY.key, {"a": 1}, place)
    assert row.question == STUDY.question
    assert 0.02 <= row.seconds < 2.0


def test_what_a_leader_that_slept_stored_once_more_is_read_once(store: StudyStore) -> None:
    """It wakes in the middle of storing a round that its successor has drawn and stored again."""
    drawn = optuna.create_study()
    for place in range(6):
        asked = drawn.ask()
        asked.set_user_attr(PLACE, place)
        drawn.tell(asked, 0.5)
    name, trials = f"{STUDY.key}/rung-0", drawn.get_trials()
    store.keep_trials(name, 1, trials[:3])
    url = store.database.url
    storage = optuna.storages.RDBStorage(url, engine_kwargs=engine_settings(url))
    late = optuna.load_study(study_name=name, storage=storage)
    store.keep_trials(name, 1, trials)
    late.add_trials(trials[3:])
    store.keep_trials(name, 1, trials)
    assert len(late.trials) == 9
    storage.remove_session()
    storage.engine.dispose()
    assert [t.user_attrs[PLACE] for t in store.optuna_trials(name, 1)] == list(range(6))


def test_the_opening_is_in_the_ledger_before_a_test_row_is_read(store: StudyStore) -> None:
    ledger = Ledger(store.database)

    class Dies(ToySource):
        def test_data(self):  # type: ignore[no-untyped-def]
            assert ledger.opening(STUDY) is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened_rows(Dies(), ledger.claim(STUDY, "a"))
    source, opening = ToySource(), ledger.claim(STUDY, "a")  # the same choice may finish
    rows = opened_rows(source, opening)
    assert (source.opened, len(rows), opening.score) == (1, 30, None)
    assert ledger.openings(STUDY) == 1


def test_another_choice_of_the_study_is_refused(store: StudyStore) -> None:
    ledger = Ledger(store.database)
    ledger.claim(STUDY, "a")
    with pytest.raises(SealBroken, match=r"opened on .* for another choice"):
        ledger.claim(STUDY, "b")


def test_other_studies_may_open_the_same_split_and_are_counted(store: StudyStore) -> None:
    ledger = Ledger(store.database)
    other = study_of(spec_of(search={"trials": 13, "rungs": 3}))
    ledger.claim(STUDY, "a")
    ledger.claim(other, "b")
    assert ledger.openings(STUDY) == 2


def test_the_first_score_stays(store: StudyStore) -> None:
    ledger = Ledger(store.database)
    ledger.claim(STUDY, "a")
    ledger.record(STUDY, {"loss": 0.3})
    ledger.record(STUDY, {"loss": 0.1})
    opening = ledger.opening(STUDY)
    assert opening is not None
    assert opening.score == {"loss": 0.3}


def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    damaged = tmp_path / "s.db"
    damaged.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"s\.db.*not a database"):
        StudyStore(f"sqlite:///{damaged}")
    assert damaged.read_bytes() == b"this is no database" * 100


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        StudyStore("postgresql+psycopg://me:s3cret@127.0.0.1:9/none?connect_timeout=2")
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "mongodb://x/y", "sqlite:///{file}/below/s.db"])
def test_an_impossible_storage_is_a_bad_request(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest):
        StudyStore(url.format(file=tmp_path / "file"))
