"""Reading the studies of one database. A finished study is read with one statement a table."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from capsearch.codec import array_of, decode, decode_optional, encode, unpack_arrays
from capsearch.errors import BadRequest
from capsearch.records import (
    DataProfile,
    Decision,
    Job,
    Opening,
    Outcome,
    Proof,
    Study,
    Tracking,
    Trial,
)
from capsearch.storage.database import Database, Warn
from capsearch.storage.tables import VERSIONS, metadata, openings, studies, trials, versions


@dataclass(frozen=True)
class StudyRow:
    """What the storage says of one study."""

    key: str
    name: str
    digest: str
    question: dict[str, Any]
    source: str  # identity of the data source
    profile: DataProfile
    ladder: tuple[int, ...]
    engine: str
    started_at: str
    seconds: float
    driver: dict[str, Any] | None  # the latest one: host, pid, since
    more_trials: int  # beyond those of the question, as `more_replicates`
    more_replicates: int
    cut: str | None
    proof: Proof | None
    decision: Decision | None
    document: dict[str, Any] | None
    tracking: Tracking | None  # None while MLflow does not have all of it


class StudyStorage:
    """One database. Every method raises StoreUnavailable when it cannot be reached or read.

    Raises BadRequest for an address that can be none, and for one that a later version wrote.
    """

    def __init__(self, url: str, warn: Warn | None = None) -> None:
        self.database = Database(url, warn)
        self.shown = self.database.shown
        try:
            self._check_versions()  # before anything is made in it
            self.database.create(metadata)
            self.database.add(versions, *({"part": p, "version": v} for p, v in VERSIONS.items()))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give every connection back."""
        self.database.engine.dispose()

    def begin(self, study: Study, source: str) -> None:
        """Register the study; does nothing when it is there already."""
        row = {
            "key": study.key,
            "name": study.name,
            "digest": study.digest,
            "question": json.dumps(study.question, allow_nan=False),
            "source": source,
            "profile": encode(study.data),
            "ladder": json.dumps(study.ladder),
            "engine": study.engine,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "fence": 0,
            "more_trials": 0,
            "more_replicates": 0,
        }
        self.database.add(studies, row)

    def rows(self, name: str | None = None) -> tuple[StudyRow, ...]:
        """Every study, or those of one name, oldest first."""
        asked = sa.select(studies).order_by(studies.c.started_at, studies.c.key)
        asked = asked if name is None else asked.where(studies.c.name == name)
        return tuple(map(_row, self.database.read(lambda c: c.execute(asked).all())))

    def row(self, key: str) -> StudyRow | None:
        """The study of this key."""
        own = sa.select(studies).where(studies.c.key == key)
        found = self.database.read(lambda c: c.execute(own).first())
        return None if found is None else _row(found)

    def trials(self, key: str) -> tuple[Trial, ...]:
        """All trials of a study as they were planned, ended or not."""
        columns = [c for c in trials.c if c.name not in ("outputs", "weights")]
        asked = sa.select(*columns).where(trials.c.study == key).order_by(trials.c.position)
        return tuple(map(_trial, self.database.read(lambda c: c.execute(asked).all())))

    def weights(self, key: str, job: str) -> tuple[Any, ...] | None:
        """The kept weights of a replicate: kernel, bias, kernel, bias ... float32."""
        own = (trials.c.study == key) & (trials.c.job_key == job) & trials.c.weights.is_not(None)
        asked = sa.select(trials.c.weights).where(own)
        found = self.database.read(lambda c: c.execute(asked).scalar())
        return None if found is None else unpack_arrays(found)[1]

    def outputs_of(self, study: Study) -> Callable[[str], np.ndarray | None]:
        """Finds a replicate's predictions on validation rows by its job: float32, flat."""

        def outputs(job: str) -> np.ndarray | None:
            own = (trials.c.study == study.key) & (trials.c.job_key == job)
            asked = sa.select(trials.c.outputs).where(own & trials.c.outputs.is_not(None))
            return array_of(self.database.read(lambda c: c.execute(asked).scalar()))

        return outputs

    def opening(self, study: Study, digests: Sequence[str]) -> Opening | None:
        """The opening of the study's test split under the first of these digests that has one."""
        if not study.has_test:
            return None
        split = openings.c.test_split == study.data.fingerprints["test"]
        asked = sa.select(openings).where(split & openings.c.digest.in_(digests))
        found = {row.digest: row for row in self.database.read(lambda c: c.execute(asked).all())}
        row = next((found[digest] for digest in digests if digest in found), None)
        if row is None:
            return None
        score = None if row.score is None else json.loads(row.score)
        return Opening(row.digest, row.study, row.choice, row.opened_at, score)

    def former_document(self, key: str) -> dict[str, Any] | None:
        """The result of a study that the first version of capsearch completed here."""
        former = sa.table("capsearch_study", sa.column("key"), sa.column("document"))
        if not self.database.has(former.name):
            return None
        asked = sa.select(former.c.document).where(former.c.key == key)
        text = self.database.read(lambda c: c.execute(asked).scalar())
        return None if text is None else dict(json.loads(text))

    def openings(self, study: Study) -> int:
        """How many studies have opened this study's test split, itself included."""
        same = openings.c.test_split == study.data.fingerprints["test"]
        count = sa.select(sa.func.count()).select_from(openings).where(same)
        return int(self.database.read(lambda c: c.execute(count).scalar_one()))

    def _check_versions(self) -> None:
        if not self.database.has(versions.name):
            return
        found = self.database.read(lambda c: c.execute(sa.select(versions)).all())
        if newer := [row for row in found if row.version > VERSIONS.get(row.part, row.version)]:
            listed = ", ".join(f"{r.part} {r.version} (known: {VERSIONS[r.part]})" for r in newer)
            raise BadRequest(
                f"--storage {self.shown}: written by a later version of capsearch: {listed}. "
                "Install that version, or name another database"
            )


def _row(row: Any) -> StudyRow:
    return StudyRow(
        key=row.key,
        name=row.name,
        digest=row.digest,
        question=json.loads(row.question),
        source=row.source,
        profile=decode(DataProfile, row.profile),
        ladder=tuple(json.loads(row.ladder)),
        engine=row.engine,
        started_at=row.started_at,
        seconds=row.seconds,
        driver=None if row.driver is None else json.loads(row.driver),
        more_trials=row.more_trials,
        more_replicates=row.more_replicates,
        cut=row.cut,
        proof=decode_optional(Proof, row.proof),
        decision=decode_optional(Decision, row.decision),
        document=None if row.document is None else json.loads(row.document),
        tracking=decode_optional(Tracking, row.tracking),
    )


def _trial(row: Any) -> Trial:
    outcome = None
    if row.outcome is not None:
        outcome = decode(Outcome, row.outcome)
        outcome = replace(outcome, val_losses=array_of(row.val_losses))
    return Trial(
        id=row.id,
        group=row.kind,
        rung=row.rung,
        name=row.name,
        job=decode(Job, row.job),
        parameters=row.parameters,
        outcome=outcome,
        draw=None if row.draw is None else json.loads(row.draw),
        starts=row.starts,
    )
