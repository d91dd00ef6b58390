"""A signal unwinds the command, wherever it meets the interpreter."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import contextlib, gc, os, time, weakref
from capsearch import signals

class Thing:
    pass

class Last:
    def __del__(self):
        os.kill(os.getpid(), {number})

signals.unwind(print)
signals.check()
try:
    {within}
    for _ in range(500):
        time.sleep(0.01)
        signals.check()
    print("went on")
except signals.Stopped as stopped:
    assert stopped is signals.heard()
    print(stopped.exit_code)
"""
WITHIN = {
    "the program": "os.kill(os.getpid(), {number})",
    "a weak reference's callback": (
        "thing = Thing(); ref = weakref.ref(thing, lambda _: os.kill(os.getpid(), {number})); "
        "del thing"
    ),
    "a finalizer": "Last(); gc.collect()",
    "a library that takes any error for a no": (
        "with contextlib.suppress(BaseException): os.kill(os.getpid(), {number})"
    ),
}


def ran(script: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: signals and how it ends are its interpreter's."""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize("within", WITHIN)
def test_a_signal_is_heard_also_where_it_is_swallowed(within: str, number: int) -> None:
    script = SCRIPT.format(within=WITHIN[within].format(number=number), number=number)
    ended = ran(script)
    assert ended.returncode == 0
    assert ended.stdout.strip() == str(128 + number)
    assert ended.stderr == ""


def test_whatever_a_signal_left_behind_the_command_ends_for_the_signal() -> None:
    """As when the driver of a database complains of the statement that was cut short."""
    script = """
import os
from capsearch.cli import entry
from capsearch.errors import StoreUnavailable

def app():
    try:
        os.kill(os.getpid(), 15)
    finally:
        raise StoreUnavailable("the connection is busy")

entry.app = app
entry.main()
"""
    ended = ran(script)
    assert ended.returncode == 143
    assert ended.stderr == "capsearch: terminated; the same command goes on where this one ended\n"


@pytest.mark.parametrize("log", ["text", "json"])
def test_what_cannot_be_put_away_in_time_is_left_with_a_last_word(log: str) -> None:
    script = f"""
import os, time
from capsearch import signals
from capsearch.cli import entry, options

signals.GRACE = 0.2

def app():
    with options.watcher({log!r}, "mine"):
        try:
            os.kill(os.getpid(), 15)
        finally:
            time.sleep(20)

entry.app = app
entry.main()
"""
    ended = ran(script)
    words = "terminated; the same command goes on where this one ended"
    assert ended.returncode == 143
    if log == "text":
        assert ended.stderr == f"capsearch: {words}\n"
    else:
        said = json.loads(ended.stderr)
        assert (said["message"], said["exit_code"], said["event"]) == (words, 143, "failed")
