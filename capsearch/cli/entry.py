"""From the shell to a command and back: errors, signals, exit codes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from capsearch import signals
from capsearch.cli.app import app
from capsearch.errors import CapsearchError
from capsearch.words import plain


def main() -> NoReturn:
    """Entry point: every error that capsearch raises ends in its message and exit code."""
    with ending(_say):
        app()
    sys.exit(0)


@contextmanager
def ending(say: Callable[[str, int], None]) -> Iterator[None]:
    """End the process for an error or a signal inside, in capsearch's one way.

    A signal goes before whatever errors it left behind.

    Args:
        say: Tells the user; called once, with the message and the exit code. It may be called in
            another thread, when saving the state takes too long after a signal.
    """
    signals.install_handlers(lambda stopped: say(str(stopped), stopped.exit_code))
    try:
        yield
    except (Exception, signals.Stopped) as error:
        cause = signals.received() or error
        if isinstance(cause, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if not isinstance(cause, (CapsearchError, signals.Stopped)):
            raise
        say(str(cause), cause.exit_code)
        if isinstance(cause, signals.Stopped):
            # All is put away. Taking the interpreter apart may take longer than we have, unwatched.
            os._exit(cause.exit_code)
        sys.exit(cause.exit_code)


def _say(message: str, _: int) -> None:
    for line in message.splitlines():
        print(f"capsearch: {plain(line)}", file=sys.stderr, flush=True)
