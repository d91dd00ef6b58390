"""The Dask executor: packs as futures on the workers of a cluster.

No shared folder, storage address or path of the driver is sent. Workers come and go; those of
another version are named and not used. A cluster runs whatever its clients send, so whoever can
reach an open scheduler can run code on it: use TLS, as Dask's own configuration sets it.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import ceil
from queue import SimpleQueue
from typing import Any

from capsearch.codec import encode
from capsearch.data.cache import check_whole
from capsearch.engines.base import Trained
from capsearch.errors import BadRequest, CapsearchError, StoreUnavailable
from capsearch.executors.base import Lost, Pack, Rows, Unusable
from capsearch.executors.dask_cluster import entries, scheduler_of
from capsearch.executors.dask_worker import GOOD, LOST, versions
from capsearch.executors.wire import trained_from_bytes

LOOK = 0.5  # seconds between looks at the cluster
PIECE = 32_000_000  # bytes of rows sent at once
AHEAD = 4  # threads for each pack that waits here, to go out as soon as one of them is free
SLACK = 60.0  # seconds that a pack may be late, beyond twice its limit, before it is sent again
RUNNING = "running"  # the status of a client that has its scheduler
PENDING = ("pending", "lost")  # a lost result is made again by Dask


@dataclass(frozen=True, eq=False)
class _Flight:
    """A pack on its way."""

    task: Any  # Dask's future
    future: "Future[Sequence[Trained]]"  # ours
    workers: frozenset[str]  # that it may be trained by
    until: float


class DaskExecutor:
    """Trains on the cluster at `address`, or of a scheduler file; `warn` hears of its workers."""

    def __init__(self, address: str, warn: Callable[[str], None]) -> None:
        try:
            import distributed  # an extra: only this executor needs it
        except ImportError:
            raise BadRequest("--dask: needs the extra: pip install 'capsearch[dask]'") from None
        for noisy in ("distributed", "distributed.client"):  # losses are expected, and ours to tell
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        self._distributed, self._address, self._warn = distributed, address, warn
        self._versions, self._train, self._put_piece = entries()
        self._topic = f"capsearch-{uuid.uuid4().hex}"
        self._there: dict[str, int] = {}  # threads, by the address of every worker
        self._own, self._known, self._asking = versions(), dict[str, bool](), set[str]()
        self._held: list[Any] = []  # a heap of packs that wait here
        self._number = count()
        self._flying: list[_Flight] = []
        self._busy = set[str]()  # keys of tasks that a thread works on, or soon will
        self._damaged: str | None = None  # why the rows can be sent to nobody
        self._lock, self._wake, self._ended = threading.Lock(), threading.Event(), False
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._client = self._connect()
        self._look()
        for work in (self._watch, self._survey, self._send_rows):
            threading.Thread(target=work, name="dask", daemon=True).start()

    @property
    def slots(self) -> int:
        """Every thread, and some more: what is stored and suggested must not keep a thread idle."""
        threads = sum(self._usable.values())
        return threads + ceil(threads / AHEAD)

    @property
    def _usable(self) -> dict[str, int]:
        """Those of the workers that have the driver's versions."""
        return {address: n for address, n in self._there.items() if self._known.get(address)}

    def open(self, rows: Rows) -> None:
        self._rows = rows

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        future = Future[Sequence[Trained]]()
        with self._lock:
            heappush(self._held, (priority, next(self._number), pack, future))
            self._send()
        return future

    def _send(self) -> None:
        """Send what waits here to threads that are free; whoever calls holds the lock."""
        while self._held and len(self._busy) < sum(self._usable.values()):
            priority, _, pack, future = heappop(self._held)
            workers = list(self._usable)
            try:
                task = self._client.submit(
                    self._train,
                    json.dumps([self._topic, encode(pack)]).encode(),
                    key=f"capsearch-{uuid.uuid4().hex}",
                    pure=False,
                    retries=0,
                    priority=-priority,
                    workers=workers,
                )
            except Exception:  # whatever a client raises that has lost its scheduler
                self._there = {}
                future.set_exception(Lost("the scheduler cannot be reached"))
                continue
            allowed = 2 * pack.limits.seconds_per_job * len(pack.jobs) + SLACK
            until = time.monotonic() + allowed
            self._flying.append(_Flight(task, future, frozenset(workers), until))
            self._busy.add(task.key)
            task.add_done_callback(self._freed)

    def _freed(self, task: Any) -> None:
        """A thread is free: its next pack goes out before this one's result is fetched."""
        with self._lock:
            self._busy.discard(task.key)
            if self._client.status != RUNNING:  # the scheduler is away: what was known is old
                self._there = {}
            self._send()
        self._wake.set()

    def shutdown(self) -> None:
        with self._lock:
            self._ended = True
            self._held.clear()  # or what is cancelled would make room for it
        self._wake.set()
        self._asked.put(None)
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel([flight.task for flight in self._flying], force=True)
        with suppress(Exception):
            self._client.close(timeout=2)

    def _connect(self) -> Any:
        address = scheduler_of(self._address)
        try:
            client = self._distributed.Client(
                address, timeout="10s", set_as_default=False, name="capsearch",
                deserializers=["dask", "msgpack"],
            )  # fmt: skip
        except ValueError as error:  # no such protocol
            raise BadRequest(f"--dask {self._address}: cannot be used ({error})") from error
        except OSError as error:
            raise StoreUnavailable(
                f"--dask {self._address}: cannot be reached ({error})"
            ) from error
        # What a worker that went away leaves in the client's loop is a loss like any other.
        client.loop.asyncio_loop.set_exception_handler(lambda _, lost: None)
        client.subscribe_topic(self._topic, self._heard)
        return client

    def _heard(self, event: tuple[float, Any]) -> None:
        """A worker asks for rows."""
        self._asked.put(event[1]["worker"])

    def _watch(self) -> None:
        """Give every pack its end."""
        while not self._ended:
            self._wake.wait(LOOK)
            self._wake.clear()
            usable = self._usable
            landed = [flight for flight in list(self._flying) if self._landed(flight, usable)]
            with self._lock:
                self._flying = [flight for flight in self._flying if flight not in landed]
                self._busy -= {flight.task.key for flight in landed}
                self._send()

    def _survey(self) -> None:
        """Know which workers there are."""
        while not self._ended:
            time.sleep(LOOK)
            self._look()

    def _look(self) -> None:
        """Who trains here. Workers are asked for their versions once."""
        try:
            # Asked directly: `scheduler_info` answers from a cache that, between two of its own
            # refreshes, knows of no worker at all.
            found = self._client.sync(self._client.scheduler.identity, n_workers=-1)["workers"]
        except Exception:  # a scheduler that is away raises what it likes
            if self._client.status == RUNNING:  # one question without an answer proves nothing
                return
            found = {}
            if self._client.status == "closed" and not self._ended:
                with suppress(BadRequest, StoreUnavailable):
                    self._client = self._connect()
        self._there = {address: worker["nthreads"] for address, worker in found.items()}
        for address in found.keys() - self._known.keys() - self._asking:
            self._asking.add(address)
            threading.Thread(target=self._ask, args=(address,), name="dask", daemon=True).start()

    def _ask(self, address: str) -> None:
        """Ask a worker for its versions, in a thread of its own: a stopped one does not answer."""
        with suppress(Exception):  # it has gone again, which is nobody else's loss
            answer = self._client.run(self._versions, workers=[address])
            self._known[address] = self._fits(address, answer.get(address))
        self._asking.discard(address)

    def _fits(self, address: str, theirs: dict[str, str] | None) -> bool:
        other = {n: v for n, v in (theirs or {}).items() if self._own.get(n) != v}
        if theirs is None:
            self._warn(f"the Dask worker {address} has no capsearch and is not used")
        elif other:
            listed = ", ".join(f"{n} {v} (here {self._own.get(n)})" for n, v in other.items())
            self._warn(f"the Dask worker {address} has {listed} and is not used")
        return theirs is not None and not other

    def _landed(self, flight: _Flight, usable: Collection[str]) -> bool:
        """Whether a pack has ended; its future is told."""
        if self._damaged is not None:
            flight.future.set_exception(Unusable(self._damaged))
            return True
        status = flight.task.status
        there = not flight.workers.isdisjoint(usable)
        if status in PENDING and there and time.monotonic() < flight.until:
            return False
        try:
            if status != "finished":
                flight.task.cancel(force=True)
                raise Lost(f"its task is {status}")
            answer = flight.task.result(timeout=30)
        except Exception as error:  # of Dask, when a result's worker went away just now
            flight.future.set_exception(Lost(str(error)))
            return True
        flight.task.release()
        if answer[:1] == GOOD:
            flight.future.set_result(trained_from_bytes(answer[1:]))
        else:
            kind = Lost if answer[:1] == LOST else Unusable
            flight.future.set_exception(kind(answer[1:].decode()))
        return True

    def _send_rows(self) -> None:
        """Push the rows to whoever asks, one worker after another, in pieces."""
        while (address := self._asked.get()) is not None:
            with suppress(Exception):  # it went away, or will ask again
                folder, key = self._rows.folder, self._rows.key
                try:
                    check_whole(folder)
                except CapsearchError as error:
                    self._damaged = str(error)
                    continue
                for path in sorted(folder.iterdir()):
                    with path.open("rb") as file:
                        start = 0
                        while (data := file.read(PIECE)) or start == 0:
                            self._put(address, key, folder.name, path.name, start, data)
                            start += len(data)
                            if not data:
                                break
                self._put(address, key, folder.name, None, 0, b"")

    def _put(self, address: str, *piece: Any) -> None:
        self._client.run(self._put_piece, *piece, workers=[address])
