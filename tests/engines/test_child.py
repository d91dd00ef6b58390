"""A child process dies, hangs, grows and raises in its own way, and ends with its parent."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capsearch.engines import child as child_module
from capsearch.engines.child import Child, ChildFailed
from capsearch.errors import SealBroken
from tests.place import importable, until

pytestmark = pytest.mark.integration


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    monkeypatch.setenv("PYTHONPATH", importable()["PYTHONPATH"])
    child = Child(threads=1, abreast=2)
    yield child
    child.close()


def refuse() -> None:
    raise SealBroken("not twice")


def grow(megabytes: int) -> None:
    held = bytearray(megabytes * 1_000_000)
    time.sleep(len(held))


def test_calls_are_answered_in_whatever_order_they_end(child: Child) -> None:
    slow, fast = child.send("time:sleep", 0.5), child.send("math:sqrt", 9.0)
    assert child.result(fast, 30) == 3.0
    assert not slow.done()
    assert child.result(slow, 30) is None


def test_an_error_of_ours_keeps_its_type_on_the_way_out(child: Child) -> None:
    with pytest.raises(SealBroken, match="not twice"):
        child.result(child.send("tests.engines.test_child:refuse"), 30)


def test_a_call_that_takes_too_long_ends_the_process(child: Child) -> None:
    with pytest.raises(ChildFailed) as failed:
        child.result(child.send("time:sleep", 60), 0.5)
    assert failed.value.kind == "timeout"
    with pytest.raises(ChildFailed):
        child.result(child.send("math:sqrt", 9.0), 5)


def test_a_call_that_takes_too_much_ends_the_process(child: Child) -> None:
    child.result(child.send("math:sqrt", 9.0), 30)
    with pytest.raises(ChildFailed) as failed:
        child.result(child.send("tests.engines.test_child:grow", 300), 60, memory=2e8)
    assert failed.value.kind == "memory"


def test_time_that_the_machine_slept_does_not_count(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look finds that a hundred seconds have gone by: only NAP of them count."""
    seen = iter(range(0, 100_000, 100))
    monkeypatch.setattr(child_module, "time", _Clock(seen))
    call = child.send("time:sleep", 1.0)
    assert child.result(call, 600.0) is None  # some ten looks: 1,000 s by the clock, 50 counted


class _Clock:
    def __init__(self, seen: Iterator[int]) -> None:
        self._seen = seen

    def monotonic(self) -> float:
        return float(next(self._seen))


def test_what_a_check_raises_ends_the_process_and_is_passed_on(child: Child) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.result(child.send("time:sleep", 60), check=check)
    until(lambda: not alive(child.pid), 5.0)


def test_a_closed_child_answers_nothing(child: Child) -> None:
    call = child.send("time:sleep", 30)
    child.close()
    with pytest.raises(ChildFailed) as failed:
        child.result(call, 5)
    assert failed.value.kind == "lost"
    with pytest.raises(ChildFailed):
        child.result(child.send("time:sleep", 30), 5)


PARENT = """
import sys, time
from capsearch.engines.child import Child
child = Child(threads=1)
child.result(child.send("math:sqrt", 9.0), 60)
child.send(sys.argv[1], *map(float, sys.argv[2:]))
time.sleep(0.3)
print(child.pid, flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("call", [["time:sleep", "100"], ["tests.engines.fragile:hang"]])
def test_a_child_ends_with_a_parent_that_is_killed_whatever_it_does(call: list[str]) -> None:
    """SIGKILL leaves no time to say goodbye, and a hang in C leaves no thread to notice it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *call],
        env=importable(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    assert alive(orphan)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not alive(orphan), 10.0)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
