"""A child process that answers calls: memory, crashes and hangs of what it imports stay in there.

It is a plain `subprocess`, for a Dask worker may be a daemon, which must not have children of
`multiprocessing`. It ends with its parent, however that ends.
"""

import ctypes
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from math import inf
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from capsearch.errors import CapsearchError
from capsearch.records import FailureKind

LOOK = 0.1  # seconds between looks at a child's memory, and at whether it is still wanted
NAP = 5.0  # seconds between two looks beyond which this machine slept: they do not count
PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent ends
STARTING = 600.0  # seconds that a process may take to begin, which no call is charged for
BEGIN = "capsearch.engines.child:begin"
SERVE = "import sys, capsearch.engines.child as c; c.serve(*sys.argv[1:])"


class ChildFailed(Exception):
    """The child died, hung, grew or raised: which of them, and the reason."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text

    def __str__(self) -> str:
        return self.text


class Child:
    """A process that answers `function(*args)` calls, named as 'module:name', in any order.

    It begins with what it `imports`, and works on so many calls `abreast`. What it prints goes to
    a file, whose last line explains a crash. Calls may come from several threads.
    """

    def __init__(self, threads: int, abreast: int = 1, imports: str = "") -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="capsearch-")  # noqa: SIM115 - until close()
        ours, theirs = socket.socketpair()
        with theirs:
            handle = theirs.fileno()
            # -P: a folder here named as a library must not be imported instead of it.
            command = [sys.executable, "-P", "-c", SERVE, str(handle), str(abreast)]
            self._process = subprocess.Popen(  # noqa: S603 - this program itself
                command,
                env=os.environ | _thread_settings(threads),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[handle],
                start_new_session=True,  # Ctrl-C is the driver's to handle
            )
        self._pipe = Connection(ours.detach())
        self._lock = threading.Lock()
        self._answers: dict[int, Future[Any]] = {}
        self._calls = 0
        self._killed: ChildFailed | None = None
        threading.Thread(target=self._listen, name="answers", daemon=True).start()
        self._ready = self.send(BEGIN, imports)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory(self) -> int:
        """Bytes that the process alone holds now, without mapped files; 0 where none can tell."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    return int(line.split()[1]) * 1024
        with suppress(psutil.Error):
            return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def send(self, function: str, *args: Any) -> "Future[Any]":
        """Start a call. Its future raises ChildFailed, or the CapsearchError that it raised."""
        answer = Future[Any]()
        with self._lock:
            self._calls += 1
            number = self._calls
            self._answers[number] = answer
            try:
                self._pipe.send((number, function, args))
            except OSError:  # it is gone: the listening thread says why, or has said so
                if self._killed is not None:
                    self._answers.pop(number, None)
                    answer.set_exception(self._killed)
        return answer

    def result(
        self,
        answer: "Future[Any]",
        timeout: float = inf,
        memory: float = inf,
        check: Callable[[], None] = lambda: None,
    ) -> Any:
        """What a call returned, watching the process meanwhile.

        Args:
            answer: of `send`.
            timeout: seconds that it may take from now, counting neither the time that the process
                needs to begin nor time that the machine slept.
            memory: bytes that the process may hold.
            check: called all the while; what it raises ends the process.

        Raises:
            ChildFailed: the process died, raised, or was killed for taking too long or too much.
        """
        begun, awake, looked = self._ready.done(), 0.0, time.monotonic()
        try:
            while not answer.done():
                check()
                if (held := self.memory) > memory:
                    limit = f"{held / 1e9:.2f} GB is above the limit of {memory / 1e9:.2f} GB"
                    self.kill(ChildFailed("memory", f"out of memory: {limit}"))
                if awake >= (allowed := timeout if begun else STARTING):
                    self.kill(ChildFailed("timeout", f"timed out after {allowed:.0f} s"))
                with suppress(TimeoutError):
                    answer.exception(min(LOOK, max(allowed - awake, 0.0)))
                now = time.monotonic()
                awake, looked = awake + min(now - looked, NAP), now
                if not begun and self._ready.done():
                    begun, awake = True, 0.0
        except BaseException:
            self.close()
            raise
        return answer.result()

    def kill(self, why: ChildFailed) -> None:
        """End the process; all open calls fail for this reason."""
        self._killed = self._killed or why
        self._process.kill()

    def close(self) -> None:
        """End the process and wait for that."""
        self.kill(ChildFailed("lost", "lost: the process was ended"))
        self._process.wait()
        self._log.close()

    def _listen(self) -> None:
        """Give every answer to whoever waits for it, until the process ends."""
        with suppress(EOFError, OSError):
            while True:
                number, good, answer = self._pipe.recv()
                with self._lock:
                    future = self._answers.pop(number)
                if good:
                    future.set_result(answer)
                else:
                    future.set_exception(answer)
        failure = self._killed or self._cause_of_death()
        with self._lock:
            self._killed, left = failure, list(self._answers.values())
            self._answers.clear()
            self._pipe.close()
        for future in left:
            future.set_exception(failure)

    def _cause_of_death(self) -> ChildFailed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if self._killed is not None:
            return self._killed
        if code == -signal.SIGKILL:
            return ChildFailed("memory", "out of memory: the process was killed by the system")
        try:
            last = Path(self._log.name).read_text(errors="replace").strip().splitlines()[-1:]
        except (OSError, ValueError):
            last = []
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        text = f"crashed: the process ended {how}" + "".join(f": {line[:200]}" for line in last)
        return ChildFailed("crash", text)


def lookup(name: str) -> Callable[..., Any]:
    """The function or class of 'module:name'."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _thread_settings(threads: int) -> dict[str, str]:
    """For the environment: once TensorFlow, NumPy or Numba have started they no longer listen."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS")
    counts = dict.fromkeys(names, str(threads))
    return counts | {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


# ---- What runs in the child ----------------------------------------------------------------------


def serve(handle: str, abreast: str) -> None:
    """Answer calls until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    pipe, sending = Connection(int(handle)), threading.Lock()

    def answer(number: int, function: str, args: Sequence[Any]) -> None:
        reply = (number, *_answer(function, args))
        with sending:
            pipe.send(reply)

    pool = ThreadPoolExecutor(int(abreast))
    while True:
        wait([pipe])
        try:
            call = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)  # whatever still trains, trains for nobody
        pool.submit(answer, *call)


def _end_with_parent() -> None:
    """Linux ends this process with its parent, even one that hangs with Python's lock held."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(1)
    with suppress(OSError):  # when memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")


def begin(module: str) -> None:
    """Import what calls will need; one that cannot be imported is theirs to tell of."""
    with suppress(Exception):
        if module:
            importlib.import_module(module)


def _answer(function: str, args: Sequence[Any]) -> tuple[bool, Any]:
    try:
        return True, lookup(function)(*args)
    except CapsearchError as error:
        return False, error
    except Exception as error:  # whatever a library raises is this call's reason, not our end
        return False, failure_of(error)


def failure_of(error: Exception) -> ChildFailed:
    """What an exception of an engine means for what it trained."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "ResourceExhaustedError":  # TensorFlow's own
        return ChildFailed("memory", "out of memory")
    lines = str(error).strip().splitlines() or [""]
    return ChildFailed("crash", f"crashed: {name}: {lines[0][:200]}")
