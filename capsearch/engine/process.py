"""An engine in a child process: TensorFlow's memory, crashes and hangs stay in there.

The driver submits jobs and collects outcomes; what it does in between overlaps with training. A
child that dies or hangs is replaced, and its jobs are tried once more, one at a time, so that only
the job that brings a process down is marked failed. The child follows its parent into death.
"""

import importlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from capsearch.errors import CapsearchError
from capsearch.records import Job, Outcome

ENGINES = {
    "packed": "capsearch.engine.packed:PackedEngine",
    "fit": "capsearch.engine.fit:FitEngine",
}
PACKS = {"packed": 16, "fit": 1}  # half a round of the usual ladder: the driver keeps up
RESIDENT = (
    1_200_000_000  # bytes; TensorFlow keeps a little of every graph, so its child is replaced
)
TRAIN = "capsearch.engine.process:train"
_spawn = get_context("spawn")


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    threads: int
    seconds_per_job: float


class ChildFailed(Exception):
    """The child died, hung, or raised; the message is the reason."""


class Child:
    """A spawned process that answers `function(*args)` calls one at a time, named as 'module:name'.

    What it prints goes to a file, whose last line explains a crash.
    """

    def __init__(self, threads: int) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="capsearch-")  # noqa: SIM115 - until close()
        self._pipe, theirs = _spawn.Pipe()
        arguments = (theirs, self._log.name, threads)
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

    def receive(self, timeout: float | None = None) -> Any:
        """The answer to the call sent. Raises ChildFailed with the reason there is none."""
        ready = connection.wait([self._pipe, self._process.sentinel], timeout)
        if not ready:
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

    def call(self, function: str, *args: Any, timeout: float | None = None) -> Any:
        self.send(function, *args)
        return self.receive(timeout)

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
    """The engine of a study, in a child that is replaced when it dies."""

    def __init__(self, name: str, data: Path, limits: Limits) -> None:
        self.name, self.pack = name, PACKS[name]
        self._engine, self._data, self._limits = ENGINES[name], data, limits
        self._child: Child | None = None
        self._jobs: Sequence[Job] = ()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start training; returns at once."""
        if self._child is None:
            self._child = Child(self._limits.threads)
        self._jobs = jobs
        self._child.send(TRAIN, self._engine, self._data, tuple(jobs))

    def collect(self) -> list[Outcome]:
        """The outcomes of the jobs submitted, in their order; waits for them."""
        try:
            outcomes = self._receive()
        except ChildFailed:
            outcomes = [self._again(job) for job in self._jobs]
        if self._child is not None and self._child.resident > RESIDENT:
            self.close()
        return outcomes

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _again(self, job: Job) -> Outcome:
        """The second and last try of a job, alone in a new child."""
        self.submit([job])
        try:
            return self._receive()[0]
        except ChildFailed as failure:
            return Outcome.failed(str(failure))

    def _receive(self) -> list[Outcome]:
        assert self._child is not None  # submit comes before collect
        try:
            outcomes: list[Outcome] = self._child.receive(
                self._limits.seconds_per_job * len(self._jobs)
            )
            return outcomes
        except ChildFailed:
            self.close()
            raise


# ---- What runs in the child ----------------------------------------------------------------------

_state: dict[Any, Any] = {}  # the engine and the data, made on the first call


def train(engine: str, folder: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Train in this process, with the engine and the data of the calls before."""
    if (engine, folder) not in _state:
        from capsearch.data import cache  # the child alone needs the rows

        _state[engine, folder] = (lookup(engine)(), cache.load(folder))
    instance, data = _state[engine, folder]
    return [trained.outcome for trained in instance.train(jobs, data)]


def _serve(pipe: connection.Connection, log: str, threads: int) -> None:
    """Answer calls until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _redirect_output(log)
    _set_threads(threads)
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, lookup(function)(*args))
        except CapsearchError as error:
            answer = (False, error)
        except MemoryError:
            answer = (False, "out of memory")
        except Exception as error:  # whatever a library raises is this job's reason, not our end
            answer = (False, _reason(error))
        pipe.send(answer)


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
