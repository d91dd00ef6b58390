"""A signal ends the command, wherever it meets the interpreter."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

SCRIPT = """
import contextlib, gc, os, time, weakref
from capsearch import signals

class Thing:
    pass

class Last:
    def __del__(self):
        os.kill(os.getpid(), {number})

signals.install_handlers(print)
signals.check()
try:
    {within}
    for _ in range(500):
        time.sleep(0.01)
        signals.check()
    print("went on")
except signals.Stopped as stopped:
    assert stopped is signals.received()
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
def test_a_signal_is_received_also_where_it_is_swallowed(within: str, number: int) -> None:
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
    assert ended.stderr == "capsearch: Terminated\n"


LISTENED = """
import os, signal, sys, time
from types import SimpleNamespace
from capsearch import signals
from capsearch.cli import entry, options
from tests.samples import record_of

signals.GRACE = 0.2

def app():
    with options.listening({log!r}, "mine") as listener:
        listener.phase("search", total=100, done=39)
        listener.trial(record_of().trials[0])
        try:
            os.kill(os.getpid(), {number})
        finally:
            {then}

entry.app = app
entry.main()
"""
SLOWLY = "time.sleep(20)"
BUSY = "raise ValueError('the connection is busy')"


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize("then", [SLOWLY, BUSY, "pass"])
@pytest.mark.parametrize("log", ["text", "json"])
def test_the_last_word_after_a_signal_is_the_listeners_and_said_once(
    log: str, then: str, number: int
) -> None:
    """Also when what must be put away takes too long, or complains of being cut short."""
    ended = ran(LISTENED.format(log=log, then=then, number=number))
    word = {2: "Interrupted", 15: "Terminated"}[number]
    words = f"{word}: 40 of 100 trials saved. Run the same command to continue."
    assert ended.returncode == 128 + number
    assert ended.stderr.count("saved.") == 1
    last = ended.stderr.splitlines()[-1]
    if log == "text":
        assert last == words
    else:
        said = json.loads(last)
        assert (said["message"], said["exit_code"]) == (words, 128 + number)
        assert (said["event"], said["level"]) == ("failed", "error")


@pytest.mark.parametrize("log", ["text", "json"])
def test_an_error_is_said_once_and_ends_in_its_exit_code(log: str) -> None:
    script = f"""
from capsearch.cli import entry, options
from capsearch.errors import BadRequest

def app():
    with options.listening({log!r}, "mine"):
        raise BadRequest("one mistake", "another")

entry.app = app
entry.main()
"""
    ended = ran(script)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()[1:]  # after that it starts
    if log == "text":
        assert lines == ["capsearch: one mistake", "capsearch: another"]
    else:
        assert [json.loads(line)["message"] for line in lines] == ["one mistake\nanother"]
