"""The ledger of openings outlives everything: studies, versions, and a change of mind."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from capsearch.data import cache
from capsearch.data.options import SplitOptions
from capsearch.data.seal import Sealed, opened_rows
from capsearch.data.source import RawData
from capsearch.errors import BadRequest, SealBroken
from capsearch.storage import StudyStorage, StudyWriter
from capsearch.storage.tables import VERSIONS, trials, versions
from tests.fakes import ApartSource, spec_of, study_of

STUDY = study_of()


@pytest.fixture
def storage(storage_url: str) -> Iterator[StudyStorage]:
    with closing(StudyStorage(storage_url)) as opened:
        opened.begin(STUDY, "toy")
        yield opened


def test_the_opening_is_in_the_ledger_before_a_test_row_is_read(
    storage: StudyStorage, tmp_path: Path
) -> None:
    writer = StudyWriter(storage, STUDY)

    class Dies(ApartSource):
        def read_sealed(self) -> RawData:
            assert storage.opening(STUDY, [STUDY.digest]) is not None
            raise KeyboardInterrupt

    folder = cache.prepare(ApartSource(), "toy", tmp_path).folder
    dying = Sealed.of(Dies(), "toy", SplitOptions())
    with pytest.raises(KeyboardInterrupt):
        opened_rows(dying, cache.preparation(folder).matrix, writer.claim("a", []))
    source, opening = ApartSource(), writer.claim("a", [])  # the same choice may finish
    opened = opened_rows(
        Sealed.of(source, "toy", SplitOptions()), cache.preparation(folder).matrix, opening
    )
    assert (source.opened, len(opened.rows), opening.score) == (1, 30, None)
    assert storage.openings(STUDY) == 1


def test_another_choice_of_the_study_is_refused(storage: StudyStorage) -> None:
    StudyWriter(storage, STUDY).claim("a", [])
    with pytest.raises(SealBroken, match=r"opened on .* for another choice"):
        StudyWriter(storage, STUDY).claim("b", [])
    opening = storage.opening(STUDY, [STUDY.digest])
    assert opening is not None
    assert opening.choice == "a"


def test_a_study_of_another_name_that_asks_the_same_opens_nothing_again(
    storage: StudyStorage,
) -> None:
    renamed = study_of(name="renamed")
    storage.begin(renamed, "toy")
    StudyWriter(storage, STUDY).claim("a", [])
    with pytest.raises(SealBroken):
        StudyWriter(storage, renamed).claim("b", [])


def test_other_questions_may_open_the_same_split_and_are_counted(storage: StudyStorage) -> None:
    other = study_of(spec_of(search={"trials": 13, "rungs": 3}))
    storage.begin(other, "toy")
    StudyWriter(storage, STUDY).claim("a", [])
    StudyWriter(storage, other).claim("b", [])
    assert storage.openings(STUDY) == 2


def test_the_first_score_stays(storage: StudyStorage) -> None:
    writer = StudyWriter(storage, STUDY)
    writer.claim("a", [])
    writer.record({"loss": 0.3})
    writer.record({"loss": 0.1})
    opening = storage.opening(STUDY, [STUDY.digest])
    assert opening is not None
    assert opening.score == {"loss": 0.3}
    assert (opening.scored("a"), opening.scored("b")) == (True, False)


def test_an_opening_outlives_its_study(storage: StudyStorage) -> None:
    StudyWriter(storage, STUDY).claim("a", [])
    for table in ("capsearch_studies", "capsearch_trials"):
        deleted = sa.text(f"DELETE FROM {table}")
        storage.database.write(lambda c, deleted=deleted: c.execute(deleted))  # type: ignore[misc]
    storage.begin(STUDY, "toy")
    with pytest.raises(SealBroken):
        StudyWriter(storage, STUDY).claim("b", [])


def test_of_several_digests_the_first_that_was_opened_counts(storage: StudyStorage) -> None:
    StudyWriter(storage, STUDY).claim("a", [])
    for digests in (["former", STUDY.digest], [STUDY.digest, "former"]):
        opening = storage.opening(STUDY, digests)
        assert opening is not None
        assert opening.digest == STUDY.digest
    assert storage.opening(STUDY, ["former"]) is None


def test_a_database_of_a_later_version_is_refused_and_left_alone(storage_url: str) -> None:
    with closing(StudyStorage(storage_url)) as storage:
        later = versions.update().where(versions.c.part == "openings").values(version=9)
        storage.database.write(lambda c: c.execute(later))
        storage.database.write(trials.drop)  # which that version has no more
        said = r"a later version of capsearch: openings 9 \(known: 1\)"
        with pytest.raises(BadRequest, match=said):
            StudyStorage(storage_url)
        assert not storage.database.has(trials.name)
    assert VERSIONS["openings"] == 1


FORMER = """
CREATE TABLE capsearch_study (
    key VARCHAR(120) PRIMARY KEY, name VARCHAR(80) NOT NULL, digest VARCHAR(64) NOT NULL,
    question TEXT NOT NULL, started_at VARCHAR(40) NOT NULL, seconds FLOAT NOT NULL,
    leader VARCHAR(32), cut TEXT, document TEXT, tracking TEXT
);
CREATE TABLE capsearch_opening (
    test_split VARCHAR(64) NOT NULL, digest VARCHAR(64) NOT NULL, study VARCHAR(120) NOT NULL,
    choice VARCHAR(64) NOT NULL, opened_at VARCHAR(40) NOT NULL, score TEXT,
    PRIMARY KEY (test_split, digest)
);
"""
"""What the first version of capsearch made, as far as a later one reads it."""


def test_what_the_first_version_wrote_is_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    split = STUDY.data.fingerprints["test"]
    with engine.begin() as connection:
        for statement in FORMER.strip().split(";\n"):
            connection.exec_driver_sql(statement)
        connection.execute(
            sa.text(
                "INSERT INTO capsearch_opening (test_split, digest, study, choice, opened_at, "
                "score) VALUES (:split, 'd', 'toy-1', 'c', 't', :score)"
            ),
            {"split": split, "score": json.dumps({"loss": 0.5})},
        )
        connection.execute(
            sa.text(
                "INSERT INTO capsearch_study (key, name, digest, question, started_at, seconds, "
                "document) VALUES ('toy-1', 'toy', 'd', '{}', 't', 1.0, :document)"
            ),
            {"document": json.dumps({"study": "toy"})},
        )
    with closing(StudyStorage(url)) as storage:
        opening = storage.opening(STUDY, [STUDY.digest, "d"])
        assert opening is not None
        assert (opening.study, opening.choice, opening.score) == ("toy-1", "c", {"loss": 0.5})
        assert storage.former_document("toy-1") == {"study": "toy"}
        assert storage.former_document("toy-2") is None
        assert storage.openings(STUDY) == 1
