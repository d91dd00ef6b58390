"""Which machine this is, and whether a process on it still runs: faster than waiting for a lease.

A machine is one boot of one kernel, seen from one process-id namespace: two containers on a host
are two machines here, for neither can see the other's processes.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    host: str  # for people
    machine: str
    pid: int
    born: str  # clock ticks from boot to its start

    @property
    def gone(self) -> bool:
        """True when it ran on this machine and has ended; of others nothing can be known."""
        return self.machine == this_machine() and _born(self.pid) != self.born


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname()[:80], this_machine(), os.getpid(), _born(os.getpid()))


@cache
def boot() -> str:
    """Names one boot of one kernel; all containers on a host share it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return f"{uuid.getnode():x}"


@cache
def this_machine() -> str:
    """The boot, and the namespace in which process numbers have their meaning."""
    try:
        return f"{boot()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return boot()


def _born(pid: int) -> str:
    """'' for a process that is not there, or only waits to be collected by its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _running(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _running(pid: int) -> str:
    """Without /proc: only whether the number is taken."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"
