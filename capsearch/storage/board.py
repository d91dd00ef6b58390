"""The jobs of a study: put up by the leader, taken and settled by workers, each one counted once.

A job's row lives from the moment it is planned: put up, held by a worker, ended with its outcome.
Equal jobs have equal outcomes, so it does no harm when two workers train one: the first outcome
stays.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from math import ceil
from typing import Any

import numpy as np
import sqlalchemy as sa

from capsearch.records import Candidate, Job, Outcome
from capsearch.storage.database import Database
from capsearch.storage.member import Member
from capsearch.storage.tables import jobs, workers

Ended = Mapping[str, Outcome]  # by the key of the job
MANY = 1000  # keys; for more of them the whole table is read, as statements have a limit


class Board:
    """The jobs of one study."""

    def __init__(self, database: Database, study: str) -> None:
        self._database, self._study = database, study
        self._mine = jobs.c.study == study

    def put_up(self, planned: Sequence[Job]) -> None:
        """Hand these out, in this order, after all that were put up before; each one once."""
        highest = sa.select(sa.func.coalesce(sa.func.max(jobs.c.place), 0)).where(self._mine)
        last = self._database.read(lambda c: c.execute(highest).scalar_one())
        rows = [
            {
                "study": self._study,
                "job": key,
                "place": last + number,
                "task": json.dumps(asdict(job)),
                "lost": 0,
            }
            for number, (key, job) in enumerate({job.key: job for job in planned}.items(), 1)
        ]
        if rows:
            self._database.add(jobs, *rows)

    def take(self, member: Member, most: int, holding: Collection[str]) -> list[Job]:
        """At most so many jobs to train now; none when there is nothing to do.

        Workers share what is there by their threads, and one that is `holding` jobs already leaves
        one to each of the others. A job that was lost once comes alone, to a worker with nothing
        else in its hands: were it lost again, it alone is to blame.
        """
        waiting = self._mine & jobs.c.outcome.is_(None) & jobs.c.worker.is_(None)
        count = sa.select(sa.func.count()).select_from(jobs).where(waiting)

        def change(connection: sa.Connection) -> list[Job]:
            # Those held whose taking was never heard of, for the reply was lost, come first.
            held = self._mine & jobs.c.outcome.is_(None) & (jobs.c.worker == member.id)
            rows = connection.execute(sa.select(jobs).where(held)).all()
            if unheard := [row for row in rows if row.job not in holding]:
                return [_job(row) for row in unheard]
            if any(row.lost for row in rows):
                return []
            free = connection.execute(count).scalar_one()
            crew = connection.execute(
                sa.select(workers.c.threads).where(workers.c.study == self._study)
            )
            threads = [row.threads for row in crew if row.threads]
            share = ceil(free * member.threads / max(sum(threads), member.threads))
            room = min(most, share, free - (len(threads) - 1) if holding else free)
            if room < 1:
                return []
            chosen = connection.execute(
                sa.select(jobs)
                .where(waiting)
                .order_by(jobs.c.lost.desc(), jobs.c.place)
                .limit(room)
                .with_for_update(skip_locked=True)
            ).all()
            if chosen and chosen[0].lost:
                chosen = [] if holding else chosen[:1]
            picked = self._mine & jobs.c.job.in_([row.job for row in chosen])
            connection.execute(jobs.update().where(picked).values(worker=member.id))
            return [_job(row) for row in chosen]

        # Most looks find nothing: they cost no lock.
        free = self._database.read(lambda c: c.execute(count).scalar_one())
        return self._database.write(change) if free else []

    def settle(self, engine: str, ended: Sequence[tuple[Job, Outcome]]) -> None:
        """Store what `engine` produced, all or none; an outcome that is there stays as it is."""

        def change(connection: sa.Connection) -> None:
            for job, outcome in ended:
                losses = outcome.val_losses
                open_ = self._mine & (jobs.c.job == job.key) & jobs.c.outcome.is_(None)
                connection.execute(
                    jobs.update()
                    .where(open_)
                    .values(
                        worker=None,
                        engine=engine,
                        outcome=json.dumps(outcome.as_dict()),
                        val_losses=None if losses is None else losses.tobytes(),
                    )
                )

        self._database.write(change)

    def outcomes(self, keys: Collection[str] | None = None, *, losses: bool = True) -> Ended:
        """The jobs that have ended: of those named, or all.

        The `losses` of each validation row are most of what is read; a search does without.
        """
        each = jobs.c.val_losses if losses else sa.null().label("val_losses")
        ended = sa.select(jobs.c.job, jobs.c.outcome, each)
        ended = ended.where(self._mine, jobs.c.outcome.is_not(None))
        if keys is not None and len(keys) <= MANY:
            ended = ended.where(jobs.c.job.in_(keys))
        named = None if keys is None else set(keys)

        def look(connection: sa.Connection) -> Ended:
            rows = connection.execute(ended)
            return {r.job: _outcome(r) for r in rows if named is None or r.job in named}

        return {} if keys is not None and not keys else self._database.read(look)

    def engine_of(self, job: Job) -> str:
        """The engine that trained an ended job. Each draws its dropout masks in its own way."""
        found = sa.select(jobs.c.engine).where(self._mine, jobs.c.job == job.key)
        return str(self._database.read(lambda c: c.execute(found).scalar_one()))


def _job(row: Any) -> Job:
    task = json.loads(row.task)
    return Job(**(task | {"candidate": Candidate.from_dict(task["candidate"])}))


def _outcome(row: Any) -> Outcome:
    losses = None if row.val_losses is None else np.frombuffer(row.val_losses, np.float32)
    return Outcome.from_dict(json.loads(row.outcome), losses)
