"""From the shell to a command and back: errors, signals, exit codes."""

import os
import sys
from typing import NoReturn

from capsearch import signals
from capsearch.cli.app import app
from capsearch.errors import CapsearchError


def main() -> NoReturn:
    """Entry point: every error that capsearch raises ends in its message and exit code."""
    signals.unwind(lambda stopped: _say(str(stopped)))
    try:
        app()
    except (Exception, signals.Stopped) as error:
        _end(signals.heard() or error)
    sys.exit(0)


def _end(error: BaseException) -> NoReturn:
    if isinstance(error, signals.Stopped):
        _say(str(error))
        # All is put away. Taking the interpreter apart may take longer than we have, unwatched.
        os._exit(error.exit_code)
    if isinstance(error, CapsearchError):
        _say(str(error))
        sys.exit(error.exit_code)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    raise error


def _say(message: str) -> None:
    for line in message.splitlines():
        print(f"capsearch: {line}", file=sys.stderr, flush=True)
