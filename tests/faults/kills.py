"""Kills at random moments of a study: its driver, a child that trains, and a Dask cluster's parts.

A kill that takes a training's machine away counts as a loss, of which a training may have five; a
child that is killed twice in one training fails it, as it should. So nobody kills more than four
times in one training, nor its child twice.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.cluster import Cluster
from tests.faults.place import COMPLETE, PHASES, STARTING, Place, lives, trainers, until
from tests.servers import MlflowServer

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WEIGHTS = (5, 4, 2)
GRACE = 10.0  # seconds in which a process that was asked to end must have ended
MOST = 4  # kills in one training
STARTS = "SELECT max(starts) FROM capsearch_trials WHERE outcome IS NULL"


@dataclass(frozen=True)
class Kill:
    """What was killed, how, when in the study, and how long it took to end."""

    victim: str
    signal: signal.Signals
    phase: str  # of the study; 'starting' when a driver had not yet taken it over
    code: int | None  # of a driver
    seconds: float  # without the time that it stood in line for a processor


@dataclass
class Disturber:
    """One `study` command at a time, started again whenever it was killed."""

    place: Place
    rng: Random
    options: tuple[str, ...] = ()
    cluster: Cluster | None = None
    server: MlflowServer | None = None  # is taken away now and then
    kills: list[Kill] = field(default_factory=list)
    driver: subprocess.Popen[str] | None = None
    outages: int = 0
    _hit: set[str] = field(default_factory=set)  # trials whose child was killed
    _phases_hit: set[str] = field(default_factory=set)  # in which a final's child was killed

    @property
    def victims(self) -> tuple[str, ...]:
        local = ("driver", "driver", "child")
        return ("driver", "child", "worker", "worker", "scheduler") if self.cluster else local

    def start(self) -> subprocess.Popen[str]:
        """The driver; another one when the last was killed."""
        if self.driver is None:
            self.driver = self.place.study(*self.options)
        return self.driver

    def disturb(self, kills: int) -> None:
        """So many kills, in phases that never go back, or until the study is complete."""
        target = 0
        while len(self.kills) < kills:
            self.start()
            target = max(target, PHASES.index(self.place.phase()))
            target = min(target + self.rng.choice((0, 0, 0, 1, 1)), len(PHASES) - 2)
            if self.rng.random() < 0.8:  # else it may be hit while it starts
                until(lambda: self._leads() or self._reached(len(PHASES) - 1))
            until(lambda: self._reached(target))  # noqa: B023 - it is called at once
            if self.rng.random() < 0.3:  # strike while something trains
                until(lambda: self.place.flying or self._reached(target + 1), 60.0, 0.01)  # noqa: B023
            else:
                time.sleep(self.rng.uniform(0.0, 2.0) * self.rng.random())
            if self._reached(len(PHASES) - 1):
                return
            self._disturb_mlflow()
            self._kill()

    def finish(self) -> None:
        """Run to the end, undisturbed; a second time when MLflow was away at the end."""
        self._give_mlflow_back()
        self.place.completed(self.start())
        if self.place.phase() != COMPLETE:
            assert self.outages
            self.place.completed(self.place.study(*self.options))
        assert self.place.phase() == COMPLETE

    def _reached(self, target: int) -> bool:
        """Whether the study is in this phase, or its driver has ended."""
        ended = self.driver is None or self.driver.poll() is not None
        return ended or PHASES.index(self.place.phase()) >= target

    def _leads(self) -> bool:
        return self.driver is not None and self.place.driver == self.driver.pid

    def _disturb_mlflow(self) -> None:
        if self.server is None:
            return
        if self.server.process is None:
            self.server.start()
        elif self.rng.random() < 0.5:
            self.server.stop(self.rng.choice((signal.SIGKILL, signal.SIGTERM)))
            self.outages += 1

    def _give_mlflow_back(self) -> None:
        if self.server is not None and self.server.process is None:
            self.server.start()

    def _kill(self) -> None:
        """One victim, drawn; nobody when it has ended by itself, or was hit enough."""
        victim = self.rng.choice(self.victims)
        number = self.rng.choices(SIGNALS, WEIGHTS)[0]
        most = (self.place.ask(STARTS) or [(None,)])[0][0] or 0
        if victim == "child":
            self._kill_child(number)
        elif most > MOST:
            time.sleep(1.0)  # let it train
        elif victim == "driver":
            self.kill_driver(number)
        elif victim == "worker":
            self._kill_worker(number)
        else:
            self._kill_scheduler(number)

    def kill_driver(self, number: signal.Signals) -> None:
        process = self.start()
        if process.poll() is not None:
            return
        phase = self.place.phase() if self.place.driver == process.pid else STARTING
        children = trainers(process.pid)
        code, took = stopped(process, number)
        if code == 0:
            return  # it was done
        kill = Kill("driver", number, phase, code, took)
        self.kills.append(kill)
        self.driver = None
        check_code(kill, self.place.said(process))
        gone = until(lambda: not any(map(lives, children)), GRACE)
        assert gone, f"a child outlived its driver's {number.name}"

    def _kill_child(self, number: signal.Signals) -> None:
        number = signal.SIGTERM if number == signal.SIGINT else number  # Ctrl-C is its parent's
        own = trainers(self.start().pid)
        far = self.cluster.trainers() if self.cluster else []
        phase = self.place.phase()
        if phase in self._phases_hit or self.place.flying & self._hit or not own + far:
            return
        child = self.rng.choice(own + far)
        self._hit |= self.place.flying
        self._phases_hit |= {phase} if self.driver and len(trainers(self.driver.pid)) else set()
        began = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(child, number)
            self._hit |= self.place.flying
            assert until(lambda: not lives(child), GRACE), f"a child outlived {number.name}"
            self.kills.append(Kill("child", number, phase, None, time.monotonic() - began))

    def _kill_worker(self, number: signal.Signals) -> None:
        assert self.cluster is not None
        if pids := self.cluster.pids():
            self._kill_other("worker", self.rng.choice(pids), number)

    def _kill_scheduler(self, number: signal.Signals) -> None:
        assert self.cluster is not None
        if self.cluster.scheduler is not None and self.cluster.scheduler.poll() is None:
            self._kill_other("scheduler", self.cluster.scheduler.pid, number)

    def _kill_other(self, victim: str, pid: int, number: signal.Signals) -> None:
        phase, began = self.place.phase(), time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            self.kills.append(Kill(victim, number, phase, None, 0.0))
            if not until(lambda: not lives(pid), 3 * GRACE):  # Dask's own way to end may hang
                os.kill(pid, signal.SIGKILL)
            assert time.monotonic() - began < 300


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

    Before the program has begun and after it has said all (the interpreter itself starts or ends),
    a signal ends it as any other.
    """
    assert "Traceback" not in said or kill.code == -signal.SIGINT, said
    if kill.signal == signal.SIGKILL:
        assert kill.code == -signal.SIGKILL
        return
    assert kill.seconds < GRACE, kill
    outside = kill.phase == STARTING or "\nReport " in said
    legal = {128 + kill.signal} | ({-kill.signal} if outside else set())
    assert kill.code in legal, (kill, said)
