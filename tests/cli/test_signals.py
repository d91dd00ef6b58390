"""A signal unwinds the command wherever it meets the interpreter."""

import subprocess
import sys

import pytest

LOST = """
import gc, os, signal, sys, time, weakref
from capsearch.cli.app import Stopped
from capsearch.cli.entry import unwind_on_signals

class Thing:
    pass

class Last(Thing):
    def __del__(self):
        os.kill(os.getpid(), {number})

unwind_on_signals()
try:
    {within}
    for _ in range(500):
        time.sleep(0.01)
    print("went on")
except Stopped as stopped:
    print(stopped.exit_code)
"""
WITHIN = {
    "the program": "os.kill(os.getpid(), {number})",
    "a weak reference's callback": (
        "thing = Thing(); ref = weakref.ref(thing, lambda _: os.kill(os.getpid(), {number})); "
        "del thing"
    ),
    "a finalizer": "Last(); gc.collect()",
}


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize("within", WITHIN)
def test_a_signal_is_heard_also_where_nothing_can_be_raised(within: str, number: int) -> None:
    script = LOST.format(within=WITHIN[within].format(number=number), number=number)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == str(128 + number)
    assert ended.stderr == ""
