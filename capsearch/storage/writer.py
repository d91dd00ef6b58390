"""Writing to a study: only its latest driver can, whoever else still believes to be that.

A driver takes the study's next fencing number when it starts. Every write is one transaction that
begins by finding that number still in the study's row: a driver that was stopped, or lost its
lock, is refused at its next write and can do no harm (the idea: Kleppmann, "How to do distributed
locking", 2016).
"""

import json
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from capsearch.codec import encode, floats, pack_arrays
from capsearch.errors import Interrupted, SealBroken
from capsearch.records import Decision, Opening, Outcome, Proof, Study, Tracking, Trial
from capsearch.storage.studies import StudyStorage
from capsearch.storage.tables import openings, studies, trials

Answer = TypeVar("Answer")


class FenceLost(Interrupted):
    """Another driver has taken over this study."""


class StudyWriter:
    """All writes to one study. Every method raises FenceLost once another driver has begun."""

    def __init__(self, storage: StudyStorage, study: Study) -> None:
        self._database, self._storage, self._study = storage.database, storage, study
        self._own = studies.c.key == study.key
        driver = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        taken = (
            studies.update()
            .where(self._own)
            .values(fence=studies.c.fence + 1, driver=json.dumps(driver))
            .returning(studies.c.fence, studies.c.seconds)
        )
        row = self._database.write(lambda c: c.execute(taken).one())
        self._fence, self._seconds = int(row.fence), float(row.seconds)
        self._began = time.monotonic()
        last = sa.select(sa.func.max(trials.c.position)).where(trials.c.study == study.key)
        self._position = self._database.read(lambda c: c.execute(last).scalar_one()) or 0

    @property
    def leads(self) -> bool:
        """Whether no other driver has begun: asked before what cannot be fenced, such as MLflow."""
        fence = sa.select(studies.c.fence).where(self._own)
        return bool(self._database.read(lambda c: c.execute(fence).scalar()) == self._fence)

    def add(self, planned: Sequence[Trial]) -> None:
        """Store trials that are to be trained, in this order; those that are there stay."""
        rows = [
            {
                "study": self._study.key,
                "id": trial.id,
                "position": position,
                "kind": trial.group,
                "rung": trial.rung,
                "name": trial.name,
                "parameters": trial.parameters,
                "job_key": trial.job.key,
                "job": encode(trial.job),
                "draw": None if trial.draw is None else json.dumps(trial.draw, allow_nan=False),
                "starts": 0,
            }
            for position, trial in enumerate(planned, self._position + 1)
        ]
        if rows:
            self._position += len(rows)
            self._write(lambda c: self._database.insert(c, trials, rows))

    def start(self, jobs: Collection[str], by: int = 1) -> None:
        """Count a start of each training, before it is handed out; `by` how many."""
        changed = self._unended(jobs).values(starts=trials.c.starts + by)
        self._write(lambda c: c.execute(changed))

    def give_back(self, jobs: Collection[str]) -> None:
        """Count the latest start of each no more: this driver ends, and nothing was lost."""
        self._database.give_up_soon()
        self.start(jobs, by=-1)

    def end(
        self,
        job: str,
        outcome: Outcome,
        outputs: np.ndarray | None = None,
        weights: Sequence[np.ndarray] = (),
    ) -> None:
        """Store the outcome of a training for all of its trials; the first one stays."""
        changed = self._unended([job]).values(
            outcome=encode(outcome),
            val_losses=floats(outcome.val_losses),
            outputs=floats(outputs),
            weights=pack_arrays(weights) if weights else None,
        )
        self._write(lambda c: c.execute(changed))

    def cut(self, why: str) -> None:
        """Note that the search ended before its budget; the first reason stays."""
        self._change(studies.c.cut.is_(None), cut=why)

    def prove(self, proof: Proof) -> None:
        """Store how far the compiled engine was from Keras."""
        self._change(studies.c.proof.is_(None), proof=encode(proof))

    def decide(self, decision: Decision) -> None:
        """Store the whole decision. The first one stays: what was decided is what is tested."""
        self._change(studies.c.decision.is_(None), decision=encode(decision))

    def extend(self, trials: int, replicates: int) -> None:
        """Give a study more trials and seeds: a decision that was not tested is made anew.

        A study that is not decided yet may be on its way there after an extension that was cut: it
        is given so many in all.
        """
        more = zip(("more_trials", "more_replicates"), (trials, replicates), strict=True)
        given = {
            name: sa.case(
                (studies.c.decision.is_not(None), studies.c[name] + count),
                (studies.c[name] < count, count),
                else_=studies.c[name],
            )
            for name, count in more
        }
        self._change(sa.true(), decision=None, document=None, cut=None, **given)

    def claim(self, choice: str, keep: Collection[str]) -> Opening:
        """Write the opening of the test split, or find that this very choice wrote it.

        From now on no other network can be chosen, so the weights of all trainings but those to
        `keep` are dropped. Raises SealBroken when it was opened for another choice.
        """
        study = self._study
        row = {
            "test_split": study.data.fingerprints["test"],
            "digest": study.digest,
            "study": study.key,
            "choice": choice,
            "opened_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        other = (trials.c.study == study.key) & trials.c.job_key.not_in(keep)
        dropped = trials.update().where(other, trials.c.weights.is_not(None)).values(weights=None)

        def opened(connection: sa.Connection) -> None:
            self._database.insert(connection, openings, [row])  # one a study, by its key
            connection.execute(dropped)

        self._write(opened)
        opening = self._storage.opening(study, [study.digest])
        if opening is None or opening.choice != choice:
            raise SealBroken(
                f"the test split of {study.name} was opened "
                f"{'' if opening is None else 'on ' + opening.opened_at + ' '}for another choice; "
                "a second look would make it a second validation split. Change the study file to "
                "ask a new question, or keep the score that is recorded"
            )
        return opening

    def record(self, score: Mapping[str, Any]) -> None:
        """Keep the score of the claimed opening; the first one recorded stays."""
        split = openings.c.test_split == self._study.data.fingerprints["test"]
        own = split & (openings.c.digest == self._study.digest) & openings.c.score.is_(None)
        kept = openings.update().where(own).values(score=json.dumps(dict(score), allow_nan=False))
        self._write(lambda c: c.execute(kept))

    def finish(self, document: Mapping[str, Any], tracking: Tracking | None) -> None:
        """Mark the study complete, with its result; `tracking` once MLflow has all of it."""
        where = None if tracking is None else encode(tracking)
        text = json.dumps(document, allow_nan=False)
        self._change(sa.true(), document=text, tracking=where)

    @property
    def seconds(self) -> float:
        """Spent on the study, by this driver and those before."""
        return self._seconds + time.monotonic() - self._began

    def _unended(self, jobs: Collection[str]) -> sa.Update:
        own = (trials.c.study == self._study.key) & trials.c.outcome.is_(None)
        return trials.update().where(own, trials.c.job_key.in_(jobs))

    def _change(self, only: Any, **values: Any) -> None:
        changed = studies.update().where(self._own, only).values(values)
        self._write(lambda c: c.execute(changed))

    def _write(self, change: Callable[[sa.Connection], Answer]) -> Answer:
        """`change` in one transaction that holds the study's row with our number in it."""
        held = studies.update().where(self._own, studies.c.fence == self._fence)

        def fenced(connection: sa.Connection) -> Answer:
            if not connection.execute(held.values(seconds=self.seconds)).rowcount:
                raise FenceLost(self._taken_over())
            return change(connection)

        return self._database.write(fenced)

    def _taken_over(self) -> str:
        row = self._storage.row(self._study.key)
        by = row.driver if row and row.driver else {"host": "unknown", "pid": "unknown"}
        return (
            f"{self._study.name}: another start of this study has taken over (process {by['pid']} "
            f"on {by['host']}). This one has written nothing since, and stops"
        )
