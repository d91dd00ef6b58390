"""On a worker of a Dask cluster: trains packs in guarded children, and keeps rows in its own cache.

Rows that are not there are asked for by an event that the driver hears, and come in pieces; nothing
of the driver's machine, storage or folders is needed here.
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from capsearch import __version__
from capsearch.codec import decode
from capsearch.data.cache import default_root, rows_key, whole
from capsearch.engines.registry import ENGINES
from capsearch.errors import CapsearchError
from capsearch.executors.base import Lost, Pack, Unusable
from capsearch.executors.train import Guard
from capsearch.executors.wire import trained_to_bytes

IDLE = 5.0  # seconds that a child waits for another pack
ASK_AGAIN = 30.0  # seconds after which rows that have not come are asked for again
GOOD, LOST, UNUSABLE = b"+", b"?", b"!"  # how an answer begins
_own = threading.local()  # each thread of a worker has one child of its own
_receiving = threading.Lock()


def versions() -> dict[str, str]:
    """Of all that figures depend on."""
    engines = {f"engine {name}": str(kind.arithmetic) for name, kind in ENGINES.items()}
    return {"capsearch": __version__, "numpy": np.__version__} | engines


def train(task: bytes) -> bytes:
    """Train a pack; what goes wrong is said in the answer, for exceptions would be pickled."""
    topic, text = json.loads(task)
    try:
        check = _still_wanted()
        pack = decode(Pack, text)
        folder = _rows(pack.rows, topic, check)
        with _using(pack) as guard:
            return GOOD + trained_to_bytes(guard.train_pack(pack, folder, check))
    except Lost as loss:
        return LOST + str(loss).encode()
    except (CapsearchError, OSError) as error:
        return UNUSABLE + str(error).encode()


def put(key: str, folder: str, name: str | None, start: int, data: bytes) -> None:
    """A piece of the file `name` from `start` on; without a name, all files have come."""
    with _receiving:
        place = _place(key)
        coming = place.with_name(f".coming-{key}") / folder
        if name is None:
            if whole(coming) and rows_key(coming) == key:
                shutil.rmtree(place, ignore_errors=True)
                coming.parent.replace(place)
            shutil.rmtree(coming.parent, ignore_errors=True)
            return
        coming.mkdir(parents=True, exist_ok=True)
        with (coming / name).open("r+b" if (coming / name).exists() else "wb") as file:
            file.seek(start)
            file.write(data)
            file.truncate()


def _place(key: str) -> Path:
    return default_root() / "rows" / key


def _rows(key: str, topic: str, check: Callable[[], None]) -> Path:
    """The folder of these rows, asked for when it is not here."""
    asked = 0.0
    while True:
        check()
        for folder in _place(key).glob("*"):
            return folder
        if time.monotonic() - asked > ASK_AGAIN:
            _writable(_place(key).parent)
            _worker().log_event(topic, {"rows": key, "worker": _worker().address})
            asked = time.monotonic()
        time.sleep(0.05)


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Unusable(
            f"the Dask worker {_worker().address}: its cache {folder} cannot be written "
            f"({error.strerror}); set CAPSEARCH_CACHE there"
        ) from None


@contextmanager
def _using(pack: Pack) -> Iterator[Guard]:
    """The child of this thread, a new one for another engine or other limits.

    It ends when no pack has come for a while: its driver may be gone.
    """
    asked = (pack.engine, pack.limits.threads)
    if (idle := getattr(_own, "idle", None)) is not None:
        idle.cancel()
        idle.join()  # it may be at work just now
        if _own.asked != asked:
            _own.guard.close()
    if idle is None or _own.guard.closed:
        _own.asked, _own.guard = asked, Guard(pack.engine, pack.limits)
    try:
        yield _own.guard
    finally:
        _own.idle = threading.Timer(IDLE, _own.guard.close)
        _own.idle.daemon = True
        _own.idle.start()


def _worker() -> Any:
    from distributed import get_worker  # only a worker has it

    return get_worker()


def _still_wanted() -> Callable[[], None]:
    """Raises Lost once the task was given up: its driver is gone, or has sent it elsewhere."""
    worker = _worker()
    task = worker.state.tasks[worker.get_current_task()]

    def check() -> None:
        if task.state != "executing":
            raise Lost("the driver no longer wants it")

    return check
