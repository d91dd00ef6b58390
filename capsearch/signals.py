"""SIGINT and SIGTERM: raised wherever the program is, and once more where that was lost.

What a signal raises in the middle of a library may end there: a weak reference's callback cannot
raise, and a pool that asks whether its connection lives takes any error for a no. So whoever works
in a loop calls `check`, and how a command ends is for `received` to say.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

GRACE = 9.0  # seconds to save the state after a signal


class Stopped(BaseException):
    """SIGINT or SIGTERM: raised through everything, so that state is saved."""

    def __init__(self, number: int) -> None:
        super().__init__("Interrupted" if number == signal.SIGINT else "Terminated")
        self.exit_code = 128 + number


_received: list[Stopped] = []  # at most one


def install_handlers(say: Callable[[Stopped], None]) -> None:
    """From now on, SIGINT and SIGTERM raise Stopped in the main thread.

    When saving takes longer than batch systems wait, or a second signal comes, the process just
    ends: what is stored is whole at any moment.

    Args:
        say: Has the last word when saving took too long. It is called in a thread of its own; who
            has another last word calls this again.
    """

    def stop(number: int, _: FrameType | None) -> None:
        _received.append(Stopped(number))
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: os._exit(128 + number))
        last = threading.Timer(GRACE, give_up)
        last.daemon = True
        last.start()
        raise _received[0]

    def give_up() -> None:
        say(_received[0])
        os._exit(_received[0].exit_code)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    sys.unraisablehook = _unraisable


def received() -> Stopped | None:
    """The signal that this process has to end for, whatever other errors it left behind."""
    return _received[0] if _received else None


def check() -> None:
    """Raise Stopped again. Not for code that puts things away."""
    if _received:
        raise _received[0]


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Without words for Stopped: it is not lost."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
