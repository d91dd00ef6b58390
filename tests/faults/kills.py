"""Kills at random moments of a study: the driver, its engine's child, a worker, or the leader."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.place import COMPLETE, PHASES, STARTING, Place, until

VICTIMS = ("driver", "child", "worker", "leader")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WEIGHTS = (5, 4, 1)
GRACE = 10.0  # seconds in which a process that was asked to end must have ended


@dataclass(frozen=True)
class Kill:
    """What was killed, how, when in the study, and how long it took to end."""

    victim: str
    signal: signal.Signals
    phase: str  # of the study; 'starting' when the victim had not yet joined it
    code: int | None  # None: of a child, which its parent collects
    seconds: float  # without the time that it stood in line for a processor


@dataclass
class Crew:
    """One `study` command and one `worker`, each started again when it was killed."""

    place: Place
    rng: Random
    options: tuple[str, ...] = ("--lease", "10")
    kills: list[Kill] = field(default_factory=list)
    driver: subprocess.Popen[str] | None = None
    worker: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Whoever does not run."""
        if self.driver is None:
            self.driver = self.place.study(*self.options)
        if self.worker is None:
            self.worker = self.place.worker(*self.options)

    def disturb(self, kills: int) -> None:
        """So many kills, in phases that never go back, or until the study is complete."""
        target = 0
        for _ in range(kills):
            self.start()
            target = max(target, PHASES.index(self.place.phase()))
            target = min(target + self.rng.choice((0, 0, 0, 1, 1, 2)), len(PHASES) - 2)
            until(lambda: PHASES.index(self.place.phase()) >= target or self._ended())  # noqa: B023
            time.sleep(self.rng.uniform(0.0, 2.0) * self.rng.random())
            if self._ended() or self.place.phase() == COMPLETE:
                return
            self._kill()

    def finish(self) -> None:
        """Run to the end, undisturbed."""
        self.start()
        assert self.driver is not None
        assert self.worker is not None
        for process in (self.driver, self.worker):
            process.wait(timeout=900)
            assert process.returncode == 0, self.place.said(process)
            assert "Traceback" not in self.place.said(process)

    @property
    def losses(self) -> int:
        """Deaths that may have taken jobs with them: who was asked to end gave them back."""
        return sum(k.victim != "child" and k.code in (-9, -15, -2) for k in self.kills)

    @property
    def child_deaths(self) -> int:
        return sum(k.victim == "child" for k in self.kills)

    def _ended(self) -> bool:
        return self.driver is not None and self.driver.poll() is not None

    def _kill(self) -> None:
        """One victim, drawn; nothing when it has ended by itself meanwhile."""
        name = self.rng.choice(VICTIMS)
        number = self.rng.choices(SIGNALS, WEIGHTS)[0]
        if name == "child":
            self._kill_child(number if number != signal.SIGINT else signal.SIGTERM)
            return
        process = self._process(name)
        if process is None or process.poll() is not None:
            return
        joined = self.place.ask("SELECT 1 FROM capsearch_worker WHERE pid = :pid", pid=process.pid)
        phase = self.place.phase() if joined else STARTING
        code, took = stopped(process, number)
        kill = Kill(name, number, phase, code, took)
        if code == 0:
            return  # it was done
        self.kills.append(kill)
        if process is self.driver:
            self.driver = None
        else:
            self.worker = None
        check_code(kill, self.place.said(process))

    def _process(self, name: str) -> subprocess.Popen[str] | None:
        if name != "leader":
            return self.driver if name == "driver" else self.worker
        query = "SELECT w.pid FROM capsearch_worker w JOIN capsearch_study s ON s.leader = w.id"
        pids = [pid for (pid,) in self.place.ask(query)]
        found = [p for p in (self.driver, self.worker) if p is not None and p.pid in pids]
        return found[0] if found else self.driver

    def _kill_child(self, number: signal.Signals) -> None:
        parents = [p.pid for p in (self.driver, self.worker) if p is not None]
        children = sorted(engines_of(self.rng.choice(parents)))
        if not children:
            return
        phase, began = self.place.phase(), time.monotonic()
        child = children[0]  # the engine's; a later one gets the last look ready
        with suppress(ProcessLookupError):
            os.kill(child, number)
            gone = until(lambda: not _lives(child), GRACE)
            assert gone, f"a child outlived {number.name}"
            self.kills.append(Kill("child", number, phase, None, time.monotonic() - began))


def stopped(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, float]:
    """Send the signal; the exit code, and the seconds to it that the process was not kept waiting.

    On a busy machine a process stands in line for a processor most of the time.
    """
    line = Path(f"/proc/{process.pid}/schedstat")
    before, began, last = _waited(line), time.monotonic(), 0.0
    process.send_signal(number)
    while (code := process.poll()) is None:
        assert time.monotonic() - began < 300, f"outlived {number.name}"
        last = max(last, _waited(line))
        time.sleep(0.02)
    return code, time.monotonic() - began - max(last - before, 0.0)


def _waited(line: Path) -> float:
    """Seconds that the main thread of a process was ready to run and did not."""
    try:
        return int(line.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def check_code(kill: Kill, said: str) -> None:
    """128 + the signal within ten seconds, in words; -9 after SIGKILL.

    Before the program has begun (the interpreter itself starts), a signal ends it as any other.
    """
    assert "Traceback" not in said or kill.code == -signal.SIGINT, said
    if kill.signal == signal.SIGKILL:
        assert kill.code == -signal.SIGKILL
        return
    assert kill.seconds < GRACE, kill
    legal = {128 + kill.signal} | ({-kill.signal} if kill.phase == STARTING else set())
    assert kill.code in legal, (kill, said)


def engines_of(parent: int) -> Iterator[int]:
    """The processes that a process has spawned to train or to score."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                command = stat.with_name("cmdline").read_text()
                if "spawn_main" in command:
                    yield int(stat.parent.name)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def ending(place: Place) -> Iterator[Place]:
    """The place, whose processes do not outlive this; its folder stays when something is wrong."""
    try:
        yield place
    except BaseException:
        for process in place.started:
            process.kill()
            process.wait()
        raise
    place.end()
