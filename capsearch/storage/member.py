"""Who works on a study: each worker has a lease, and one of them leads.

A worker renews its lease from a thread of its own, whatever else it does. One that ended without a
word is **buried** by any other: at once when it ran on the same machine, else when its lease is
over. Its jobs are handed out again, and the lead can be taken. A worker that was buried alive (the
machine slept) finds its row gone, and joins anew with nothing in its hands.
"""

import json
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

import sqlalchemy as sa

from capsearch.errors import BadRequest, Interrupted, StoreUnavailable
from capsearch.records import Outcome
from capsearch.storage.database import Database
from capsearch.storage.machine import Process, boot, this_process
from capsearch.storage.tables import jobs, studies, workers

Role = Literal["study", "worker"]
LEASE = 30.0  # seconds without a word after which a worker on another machine is given up
CALM = 3.0  # seconds that a renewal under way may take before its worker leaves
LOSSES = 2  # workers that may die training a job; the second time it trained alone


class LeadLost(Exception):
    """This worker no longer leads: another one may have taken over."""


class Member:
    """This process at work on one study, from `with` to its end.

    Raises Interrupted when a `study` command already runs it, and BadRequest when a SQLite file is
    in use on another host.
    """

    def __init__(
        self, database: Database, study: str, role: Role, threads: int, lease: float = LEASE
    ) -> None:
        self._database, self._study, self._role = database, study, role
        self.id, self.threads, self._lease = uuid.uuid4().hex, threads, lease
        self._process = this_process()
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew_on, name="lease", daemon=True)
        self._renewed = 0.0  # on this process's own clock
        self._led_since: float | None = None
        self._displaced: Interrupted | None = None  # by another `study`, while this one slept
        self._next_look = 0.0

    def __enter__(self) -> Self:
        self._refuse_other_hosts()
        self._database.write(self._join)
        self._renewed = time.monotonic()
        self._renewing.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what it holds; its lease ends by itself when the database is away."""
        self._ended.set()
        if kind is not None:
            self._database.in_a_hurry()
        self._renewing.join(CALM)  # a renewal under way would find its row gone, and join anew
        with suppress(StoreUnavailable):
            self._database.write(self._leave)

    @property
    def leading(self) -> bool:
        """Whether nobody else can have taken the lead meanwhile."""
        fresh = time.monotonic() - self._renewed < 0.8 * self._lease
        return self._led_since is not None and fresh

    def lead(self) -> bool:
        """Take the lead when it is free; looks once a second at most.

        Raises Interrupted when another `study` command took this one's place while it was silent.
        """
        if self._displaced is not None:
            raise self._displaced
        if self.leading or time.monotonic() < self._next_look:
            return self.leading
        self._next_look = time.monotonic() + 1.0
        if self._database.write(self._take_lead):
            self._led_since = time.monotonic()
        return self.leading

    def insist(self) -> None:
        """Raise LeadLost unless this worker leads: asked before anything only a leader may do."""
        if not self.leading:
            raise LeadLost

    def give_back(self) -> None:
        """Let others train what this worker holds: it is about to leave, if it gets that far."""
        held = jobs.c.worker == self.id
        self._database.in_a_hurry()
        with suppress(StoreUnavailable):
            self._database.write(lambda c: c.execute(jobs.update().where(held).values(worker=None)))

    def renew(self) -> None:
        """Renew the lease now, and note the time led so far."""
        asked = time.monotonic()
        if not self._database.write(self._renew):
            self._led_since = None
            if self._ended.is_set():
                return
            self._database.write(self._join)
        self._renewed = asked

    def _join(self, connection: sa.Connection) -> None:
        study = sa.select(studies.c.key).where(studies.c.key == self._study)
        connection.execute(study.with_for_update())  # one at a time
        bury(connection, self._database, self._study)
        mine = workers.c.study == self._study
        others = sa.select(workers.c.host).where(
            mine, workers.c.role == "study", workers.c.id != self.id
        )
        if self._role == "study" and (other := connection.execute(others).first()):
            name = self._study.rpartition("-")[0]
            raise Interrupted(
                f"{name} is being run by another process, on {other.host}; it goes on "
                "there. Run the same command again later to see its result, wait for it with "
                "--wait, or help with `capsearch worker`"
            )
        if connection.execute(sa.select(workers.c.id).where(workers.c.id == self.id)).first():
            return  # the reply to the first try was lost
        process = self._process
        row: dict[str, Any] = {
            "id": self.id,
            "study": self._study,
            "role": self._role,
            "threads": self.threads,
        }
        row |= {name: getattr(process, name) for name in ("host", "machine", "pid", "born")}
        connection.execute(workers.insert().values(row | {"until": self._until(), "seconds": 0.0}))

    def _leave(self, connection: sa.Connection) -> None:
        mine = jobs.c.worker == self.id
        connection.execute(jobs.update().where(mine).values(worker=None))
        _forget(connection, self.id, self._seconds())
        bury(connection, self._database, self._study)  # nobody may come after this one

    def _take_lead(self, connection: sa.Connection) -> bool:
        bury(connection, self._database, self._study)
        own = studies.c.key == self._study
        free = studies.c.leader.is_(None) | (studies.c.leader == self.id)
        return bool(
            connection.execute(studies.update().where(own, free).values(leader=self.id)).rowcount
        )

    def _renew_on(self) -> None:
        while not self._ended.wait(self._lease / 3):
            try:
                self.renew()
            except Interrupted as displaced:
                self._displaced = displaced
                return
            except StoreUnavailable:  # the next renewal may get through
                pass
            with suppress(OSError):
                self._mark_host()

    def _renew(self, connection: sa.Connection) -> bool:
        """False when this worker has been buried."""
        own, until = workers.c.id == self.id, self._until()
        changed = workers.update().where(own).values(until=until, seconds=self._seconds())
        found = bool(connection.execute(changed).rowcount)
        if found:
            bury(connection, self._database, self._study)
        return found

    def _until(self) -> Any:
        return self._database.now() + self._lease

    def _seconds(self) -> float:
        return 0.0 if self._led_since is None else time.monotonic() - self._led_since

    def _refuse_other_hosts(self) -> None:
        """A SQLite file on a network share looks whole to two hosts, until it is not."""
        if self._database.file is None:
            return
        mark = self._database.file.with_name(f"{self._database.file.name}.host")
        try:
            other, before = json.loads(mark.read_text()), mark.stat().st_mtime
        except (OSError, ValueError):
            other, before = {"boot": boot()}, 0.0
        self._mark_host()
        idle = mark.stat().st_mtime - before  # both by the clock of the share
        if other.get("boot") != boot() and idle < 2 * self._lease:
            mark.write_text(json.dumps(other))
            raise BadRequest(
                f"--storage {self._database.shown}: in use on the host {other.get('host')} "
                f"{idle:.0f} s ago. A SQLite file is for the processes of one host; for many, name "
                "a PostgreSQL database. (If this host was just restarted, wait a minute)"
            )

    def _mark_host(self) -> None:
        if self._database.file is not None:
            mark = self._database.file.with_name(f"{self._database.file.name}.host")
            mark.write_text(json.dumps({"boot": boot(), "host": self._process.host}))


def bury(connection: sa.Connection, database: Database, study: str) -> None:
    """Remove the study's workers that are gone, and put their jobs and their lead up again.

    A job lost for the `LOSSES`th time ends as failed: it takes its workers with it.
    """
    here = boot() if database.is_sqlite else ""
    found = connection.execute(
        sa.select(workers, (workers.c.until < database.now()).label("over")).where(
            workers.c.study == study
        )
    ).all()
    for row in found:
        process = Process(row.host, row.machine, row.pid, row.born)
        before_boot = database.is_sqlite and not row.machine.startswith(here)
        if not (row.over or process.gone or before_boot):
            continue
        if not _forget(connection, row.id, row.seconds):
            continue  # another one was first
        held = (jobs.c.study == study) & (jobs.c.worker == row.id) & jobs.c.outcome.is_(None)
        connection.execute(jobs.update().where(held).values(worker=None, lost=jobs.c.lost + 1))
        reason = f"lost: {LOSSES} workers died while they trained it, the last one on {row.host}"
        failed = json.dumps(Outcome.failed(reason).as_dict())
        again = (jobs.c.study == study) & (jobs.c.lost >= LOSSES) & jobs.c.outcome.is_(None)
        connection.execute(jobs.update().where(again).values(outcome=failed, engine=""))


def _forget(connection: sa.Connection, worker: str, seconds: float) -> bool:
    """Delete a worker's row, and let its lead go; the time it led is the study's."""
    study = connection.execute(
        workers.delete().where(workers.c.id == worker).returning(workers.c.study)
    ).scalar()
    if study is None:
        return False
    own = studies.c.key == study
    connection.execute(studies.update().where(own).values(seconds=studies.c.seconds + seconds))
    led = own & (studies.c.leader == worker)
    connection.execute(studies.update().where(led).values(leader=None))
    return True
