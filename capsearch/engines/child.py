"""A child process that answers calls: memory, crashes and hangs of what it imports stay in there.

It follows its parent into death.
"""

import importlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import inf
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from capsearch.errors import CapsearchError

LOOK = 0.5  # seconds between looks at a child's memory
_spawn = get_context("spawn")


class ChildFailed(Exception):
    """The child died, hung, or raised; the message is the reason."""


class Child:
    """A spawned process that answers `function(*args)` calls in order, named as 'module:name'.

    It begins with what it `imports`, and works on so many calls `abreast`. What it prints goes to a
    file, whose last line explains a crash.
    """

    def __init__(self, threads: int, abreast: int = 1, imports: str | None = None) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="capsearch-")  # noqa: SIM115 - until close()
        self._pipe, theirs = _spawn.Pipe()
        arguments = (theirs, self._log.name, threads, abreast, imports)
        self._process: BaseProcess = _spawn.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def resident(self) -> int:
        """Bytes of memory that the process holds now; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def send(self, function: str, *args: Any) -> None:
        with suppress(OSError):  # the child is gone: `receive` says why
            self._pipe.send((function, args))

    def ready(self, wait: float) -> bool:
        """Whether there is an answer, or never will be; waits so many seconds for it."""
        return bool(connection.wait([self._pipe, self._process.sentinel], max(wait, 0.0)))

    def receive(self, timeout: float = inf, memory: float = inf) -> Any:
        """The answer to the oldest call not answered. Raises ChildFailed if there is none.

        The process is killed when it takes more seconds than `timeout`, or holds more bytes than
        `memory`.
        """
        until = time.monotonic() + timeout
        while not self.ready(min(LOOK, until - time.monotonic())):
            if self.resident > memory:
                self.close()
                raise ChildFailed(f"out of memory: above the limit of {memory / 1e9:.2f} GB")
            if time.monotonic() >= until:
                self.close()
                raise ChildFailed(f"timed out after {timeout:.0f} s")
        try:
            good, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise ChildFailed(self._cause_of_death()) from None
        if isinstance(answer, CapsearchError):
            raise answer
        if not good:
            raise ChildFailed(answer)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._log.close()

    def _cause_of_death(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        if code == -signal.SIGKILL:
            return "out of memory: the process was killed by the system"
        last = Path(self._log.name).read_text(errors="replace").strip().splitlines()[-1:]
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return f"crashed: the process ended {how}" + "".join(f": {line[:200]}" for line in last)


# ---- What runs in the child ----------------------------------------------------------------------


def _serve(
    pipe: connection.Connection, log: str, threads: int, abreast: int, imports: str | None
) -> None:
    """Answer calls until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect_output(log)
    _set_threads(threads)
    answers = SimpleQueue[Future[Any]]()
    for in_background in (_die_with_parent, partial(_reply, pipe, answers)):
        threading.Thread(target=in_background, daemon=True).start()
    if imports is not None:
        with suppress(Exception):  # the call that needs it says what is wrong
            importlib.import_module(imports)
    with ThreadPoolExecutor(abreast) as pool, suppress(EOFError):
        while True:
            function, args = pipe.recv()
            answers.put(pool.submit(_answer, function, args))


def _reply(pipe: connection.Connection, answers: "SimpleQueue[Future[Any]]") -> None:
    """Send every answer, in the order of the calls."""
    while True:
        pipe.send(answers.get().result())


def _answer(function: str, args: Sequence[Any]) -> tuple[bool, Any]:
    try:
        return True, lookup(function)(*args)
    except CapsearchError as error:
        return False, error
    except MemoryError:
        return False, "out of memory"
    except Exception as error:  # whatever a library raises is this job's reason, not our end
        return False, _reason(error)


def lookup(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _reason(error: Exception) -> str:
    if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own out-of-memory
        return "out of memory"
    lines = str(error).strip().splitlines() or [""]
    return f"crashed: {type(error).__name__}: {lines[0][:200]}"


def _set_threads(threads: int) -> None:
    """Before TensorFlow, NumPy or Numba start: later they no longer listen."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"


def _redirect_output(log: str) -> None:
    target = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(target, 1)  # standard output is the result's, and libraries print
    os.dup2(target, 2)
    os.close(target)


def _die_with_parent() -> None:
    """A killed driver must not leave a process that trains on for nobody."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
