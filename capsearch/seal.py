"""The sealed test split, and the ledger of every time it was opened.

The ledger is a table in the study storage with one row for each (test split, study). A row is
written *before* the rows are read, which takes the opening that was written: a process that dies in
between leaves the split opened, and the same choice may finish; another choice of that study never
can. Openings by other studies are allowed and counted, for every look makes it less of a test.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from capsearch.data.source import Rows, Source
from capsearch.errors import SealBroken
from capsearch.records import Study

_tables = sa.MetaData()
_openings = sa.Table(
    "capsearch_opening",
    _tables,
    sa.Column("test_split", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("study", sa.String(120), nullable=False),
    sa.Column("choice", sa.String(64), nullable=False),
    sa.Column("opened_at", sa.String(40), nullable=False),
    sa.Column("score", sa.Text),  # JSON; NULL between the claim and the score
)


@dataclass(frozen=True)
class Opening:
    """One row of the ledger."""

    choice: str
    opened_at: str  # ISO 8601, UTC
    score: dict[str, Any] | None

    def scored(self, choice: str) -> bool:
        """Whether this very choice was opened for, and its score is kept."""
        return self.choice == choice and self.score is not None


class Database(Protocol):
    """The part of a study storage that keeps the ledger."""

    def create(self, *tables: sa.MetaData) -> None: ...
    def add(self, table: sa.Table, *rows: Mapping[str, Any]) -> None: ...
    def read(self, ask: Callable[[sa.Connection], Any]) -> Any: ...
    def write(self, change: Callable[[sa.Connection], Any]) -> Any: ...


class Ledger:
    """The openings recorded in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(_tables)

    def opening(self, study: Study) -> Opening | None:
        """This study's opening of its test split, if there was one."""
        own = sa.select(_openings).where(_mine(study))
        row = self._database.read(lambda c: c.execute(own).first())
        if row is None:
            return None
        return Opening(
            row.choice, row.opened_at, None if row.score is None else json.loads(row.score)
        )

    def openings(self, study: Study) -> int:
        """How many studies have opened this study's test split, itself included."""
        same = _openings.c.test_split == study.data.fingerprints["test"]
        count = sa.select(sa.func.count()).select_from(_openings).where(same)
        return int(self._database.read(lambda c: c.execute(count).scalar_one()))

    def claim(self, study: Study, choice: str) -> Opening:
        """Write the opening, or find that this very choice wrote it. Else raises SealBroken."""
        row = {
            "test_split": study.data.fingerprints["test"],
            "digest": study.digest,
            "study": study.key,
            "choice": choice,
            "opened_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._database.add(_openings, row)  # the key lets one opening of a study stand
        opening = self.opening(study)
        if opening is None or opening.choice != choice:
            raise SealBroken(
                f"the test split of {study.name} was opened "
                f"{'' if opening is None else 'on ' + opening.opened_at + ' '}for another choice; "
                "a second look would make it a second validation split. Change the study file to "
                "ask a new question, or keep the score that is recorded"
            )
        return opening

    def record(self, study: Study, score: Mapping[str, Any]) -> None:
        """Keep the score of the claimed opening; the first one recorded stays."""
        unscored = _mine(study) & _openings.c.score.is_(None)
        kept = _openings.update().where(unscored).values(score=json.dumps(dict(score)))
        self._database.write(lambda c: c.execute(kept))


def opened_rows(source: Source, opening: Opening) -> Rows:
    """The test rows, for an opening that is in the ledger."""
    assert opening.opened_at  # there is no other way to the rows than to have claimed them
    return source.test_data()


def _mine(study: Study) -> sa.ColumnElement[bool]:
    split = _openings.c.test_split == study.data.fingerprints["test"]
    return split & (_openings.c.digest == study.digest)
