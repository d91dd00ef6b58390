"""From the shell to a command and back: signals, errors, exit codes."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

from capsearch.cli.app import Stopped, app
from capsearch.errors import CapsearchError

GRACE = 9.0  # seconds to save the state after a signal


def main() -> NoReturn:
    """Entry point: every error that capsearch raises ends in its message and exit code."""
    unwind_on_signals()
    try:
        app()
    except CapsearchError as error:
        _fail(str(error), error.exit_code)
    except Stopped as stopped:
        _say(str(stopped))
        # All is put away. Taking the interpreter apart may take longer than we have, unwatched.
        os._exit(stopped.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def unwind_on_signals() -> None:
    """From now on, SIGINT and SIGTERM raise Stopped in the main thread, once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    sys.unraisablehook = _unraisable


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Raise Stopped a bit later: a weak reference's callback, or `__del__`, cannot raise."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
        return
    stopped = lost.exc_value

    def again(*_: Any) -> NoReturn:
        raise stopped

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _stop(number: int, _: FrameType | None) -> None:
    """Unwind; when that takes longer than batch systems wait, or a second signal comes, just end.

    What is stored is whole at any moment, and leases end by themselves.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(128 + number))
    last = threading.Timer(GRACE, _give_up, [Stopped(number)])
    last.daemon = True
    last.start()
    raise Stopped(number)


def _give_up(stopped: Stopped) -> None:
    """The time is over: something that has to be put away does not answer."""
    _say(str(stopped))
    os._exit(stopped.exit_code)


def _fail(message: str, code: int) -> NoReturn:
    _say(message)
    sys.exit(code)


def _say(message: str) -> None:
    for line in message.splitlines():
        print(f"capsearch: {line}", file=sys.stderr, flush=True)
