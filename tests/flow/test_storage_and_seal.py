"""Storage and ledger, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capsearch.errors import BadRequest, Interrupted, SealBroken, StoreUnavailable
from capsearch.records import Outcome, Tracking
from capsearch.seal import Ledger, Seal
from capsearch.search import baseline_trials
from capsearch.storage import StudyStore
from tests.fakes import ToySource, outcome_of, spec_of, study_of

SPEC = spec_of()
STUDY = study_of(SPEC)
JOB = baseline_trials(STUDY, SPEC, SPEC.space_for(20))[0].job


@pytest.fixture
def store(storage_url: str) -> Iterator[StudyStore]:
    with closing(StudyStore(storage_url)) as opened:
        yield opened


def test_an_outcome_comes_back_as_it_was_stored(store: StudyStore) -> None:
    assert store.outcome(STUDY, JOB) is None
    outcome = outcome_of(JOB)
    store.save(STUDY, "fit", [(JOB, outcome)])
    back = store.outcome(STUDY, JOB)
    assert back == outcome
    assert back is not None
    assert back.val_losses is not None
    assert outcome.val_losses is not None
    assert back.val_losses.tolist() == outcome.val_losses.tolist()
    assert store.outcomes(STUDY) == {JOB.key: outcome}
    assert store.engine_of(STUDY, JOB) == "fit"


def test_the_first_outcome_of_a_job_stays(store: StudyStore) -> None:
    store.save(STUDY, "fit", [(JOB, outcome_of(JOB))])
    store.save(STUDY, "fit", [(JOB, Outcome.failed("late"))])
    assert store.outcome(STUDY, JOB) == outcome_of(JOB)


def test_a_study_is_listed_with_its_time_and_its_result(store: StudyStore) -> None:
    store.begin(STUDY)
    store.begin(STUDY)
    store.add_seconds(STUDY, 2.0)
    store.add_seconds(STUDY, 0.5)
    place = Tracking("sqlite:///m.db", "1", "abc", "capsearch-toy/1")
    store.finish(STUDY, {"a": 1}, place)
    (row,) = store.rows()
    assert (row.key, row.seconds, row.document, row.tracking) == (STUDY.key, 2.5, {"a": 1}, place)


def test_the_opening_is_in_the_ledger_before_a_test_row_is_read(store: StudyStore) -> None:
    ledger = Ledger(store.engine)

    class Dies(ToySource):
        def test_data(self):  # type: ignore[no-untyped-def]
            assert ledger.opening(STUDY) is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Seal(Dies(), STUDY, ledger).open_for("a")
    source = ToySource()
    opening, rows = Seal(source, STUDY, ledger).open_for("a")  # the same choice may finish
    assert (source.opened, len(rows), opening.score) == (1, 30, None)
    assert ledger.openings(STUDY) == 1


def test_another_choice_of_the_study_is_refused_and_reads_nothing(store: StudyStore) -> None:
    ledger, source = Ledger(store.engine), ToySource()
    Seal(source, STUDY, ledger).open_for("a")
    with pytest.raises(SealBroken, match=r"opened on .* for another choice"):
        Seal(source, STUDY, ledger).open_for("b")
    assert source.opened == 1


def test_other_studies_may_open_the_same_split_and_are_counted(store: StudyStore) -> None:
    ledger = Ledger(store.engine)
    other = study_of(spec_of(search={"trials": 13, "rungs": 3}))
    Seal(ToySource(), STUDY, ledger).open_for("a")
    Seal(ToySource(), other, ledger).open_for("b")
    assert ledger.openings(STUDY) == 2


def test_the_first_score_stays(store: StudyStore) -> None:
    ledger = Ledger(store.engine)
    ledger.claim(STUDY, "a")
    ledger.record(STUDY, {"loss": 0.3})
    ledger.record(STUDY, {"loss": 0.1})
    opening = ledger.opening(STUDY)
    assert opening is not None
    assert opening.score == {"loss": 0.3}


def test_a_study_is_run_by_one_process_at_a_time(storage_url: str) -> None:
    other = study_of(name="other")
    with closing(StudyStore(storage_url)) as first, closing(StudyStore(storage_url)) as second:
        with (
            first.alone(STUDY),
            second.alone(other),
            pytest.raises(Interrupted, match="is being run by another process"),
            second.alone(STUDY),
        ):
            pass
        with second.alone(STUDY):
            pass


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
