"""SIGINT and SIGTERM: raised wherever the program is, and once more where that was lost.

What a signal raises in the middle of a library may end there: a weak reference's callback cannot
raise, and a pool that asks whether its connection lives takes any error for a no. So whoever works
in a loop calls `check`, and how a command ends is for `heard` to say.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

GRACE = 9.0  # seconds to save the state after a signal


class Stopped(BaseException):
    """SIGINT or SIGTERM: unwinds everything, so that state is saved."""

    def __init__(self, number: int) -> None:
        word = "interrupted" if number == signal.SIGINT else "terminated"
        super().__init__(f"{word}; the same command goes on where this one ended")
        self.exit_code = 128 + number


_heard: list[Stopped] = []  # at most one


def unwind(say: Callable[[Stopped], None]) -> None:
    """From now on, SIGINT and SIGTERM raise Stopped in the main thread.

    When unwinding takes longer than batch systems wait, or a second signal comes, the process just
    ends: what is stored is whole at any moment, and leases end by themselves. `say` has the last
    word then; who logs otherwise calls this again.
    """

    def stop(number: int, _: FrameType | None) -> None:
        _heard.append(Stopped(number))
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: os._exit(128 + number))
        last = threading.Timer(GRACE, give_up)
        last.daemon = True
        last.start()
        raise _heard[0]

    def give_up() -> None:
        say(_heard[0])
        os._exit(_heard[0].exit_code)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    sys.unraisablehook = _unraisable


def heard() -> Stopped | None:
    """The signal that this process has to end for, whatever other errors it left behind."""
    return _heard[0] if _heard else None


def check() -> None:
    """Raise Stopped again. Not for code that puts things away."""
    if _heard:
        raise _heard[0]


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Without words for Stopped: it is not lost."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
