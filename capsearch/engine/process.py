"""An engine in a child process: TensorFlow's memory, crashes and hangs stay in there.

The driver submits packs of jobs, the next one while the last still trains, and collects outcomes;
what it does in between overlaps with training. A child that dies or hangs is replaced, and the jobs
of its pack are tried once more, one at a time, so that only the job that brings a process down is
marked failed. The child follows its parent into death.
"""

import importlib
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from capsearch.errors import CapsearchError
from capsearch.records import Job, Outcome

RESIDENT = (
    1_200_000_000  # bytes; TensorFlow keeps a little of every graph, so its child is replaced
)
LOOK = 0.5  # seconds between looks at a child's memory
TRAIN = "capsearch.engine.process:train"
_spawn = get_context("spawn")


@dataclass(frozen=True)
class Kind:
    """An engine's class as 'module:name', how many jobs it takes at once, and how many packs."""

    engine: str
    pack: int
    abreast: int  # the second pack fills the threads that the first one leaves idle at its end


ENGINES = {
    "packed": Kind("capsearch.engine.packed:PackedEngine", pack=16, abreast=2),
    "fit": Kind("capsearch.engine.fit:FitEngine", pack=1, abreast=1),
}


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    threads: int
    seconds_per_job: float
    memory: float = inf  # bytes


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

    def call(self, function: str, *args: Any) -> Any:
        self.send(function, *args)
        return self.receive()

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


class EngineProcess:
    """The engine of a study, in a child that is replaced when it dies, over the `data` it is given.

    The first child starts at once, and imports what it needs while the driver does.
    """

    def __init__(self, name: str, limits: Limits, data: Path | None = None) -> None:
        self.name, self._kind = name, ENGINES[name]
        self.pack = self._kind.pack
        self.data, self._limits = data, limits
        self._child: Child | None = self._start()
        self._flying = deque[Sequence[Job]]()  # packs submitted and not collected, oldest first
        self._began = 0.0  # when the oldest of them became the oldest

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start training, or have it started when the pack before leaves room; returns at once."""
        if not self._flying:
            self._began = time.monotonic()
        self._flying.append(jobs)
        self._send(jobs)

    def ready(self, wait: float) -> bool:
        """Whether `collect` would return, or replace the child; waits so many seconds for it."""
        if self._child is None or not self._flying:
            return True
        allowed = self._limits.seconds_per_job * len(self._flying[0])
        left = self._began + allowed - time.monotonic()
        done = self._child.ready(min(wait, left))
        return done or left <= wait or self._child.resident > self._limits.memory

    def collect(self) -> list[Outcome]:
        """The outcomes of the oldest pack submitted, in the order of its jobs; waits for them."""
        jobs = self._flying.popleft()
        try:
            outcomes = self._receive(len(jobs), time.monotonic() - self._began)
        except ChildFailed:
            outcomes = [self._again(job) for job in jobs]
            self._send(*self._flying)
        self._began = time.monotonic()
        if self._child is not None and self._child.resident > RESIDENT:
            self.close()
            self._send(*self._flying)
        return outcomes

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _again(self, job: Job) -> Outcome:
        """The second and last try of a job, alone in a child."""
        self._send([job])
        try:
            return self._receive(1, 0.0)[0]
        except ChildFailed as failure:
            return Outcome.failed(str(failure))

    def _send(self, *packs: Sequence[Job]) -> None:
        for jobs in packs:
            self._child = self._child or self._start()
            self._child.send(TRAIN, self._kind.engine, self.data, tuple(jobs))

    def _start(self) -> Child:
        module = self._kind.engine.partition(":")[0]
        return Child(self._limits.threads, self._kind.abreast, imports=module)

    def _receive(self, jobs: int, waited: float) -> list[Outcome]:
        assert self._child is not None  # submit comes before collect
        allowed = self._limits.seconds_per_job * jobs
        try:
            answer = self._child.receive(max(allowed - waited, 0.0), self._limits.memory)
        except ChildFailed as failure:
            self.close()
            if str(failure).startswith("timed out"):
                raise ChildFailed(f"timed out after {allowed:.0f} s") from None
            raise
        outcomes: list[Outcome] = answer
        return outcomes


# ---- What runs in the child ----------------------------------------------------------------------

_state: dict[Any, Any] = {}  # the engine and the data, made on the first call
_making = threading.Lock()


def train(engine: str, folder: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Train in this process, with the engine and the data of the calls before."""
    with _making:
        if (engine, folder) not in _state:
            from capsearch.data import cache  # the child alone needs the rows

            _state[engine, folder] = (lookup(engine)(), cache.load(folder))
    instance, data = _state[engine, folder]
    return [trained.outcome for trained in instance.train(jobs, data)]


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
