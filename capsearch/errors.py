"""Everything capsearch raises on purpose, with the exit code each one ends in.

A message says what is wrong, where, and what would be right. The command line prints it as it
stands, without a traceback; anything that is not a `CapsearchError` is a bug in capsearch.
"""


class CapsearchError(Exception):
    """The study failed: for instance, no trial of it could be trained."""

    exit_code = 1


class BadRequest(CapsearchError):
    """The command line, a study file or a data file is wrong. Holds every mistake found."""

    exit_code = 2

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Interrupted(CapsearchError):
    """Stopped early and resumable: run the same command again to continue."""

    exit_code = 3


class SealBroken(CapsearchError):
    """The test split would be opened a second time by this study, for another choice."""

    exit_code = 4


class StoreUnavailable(CapsearchError):
    """The study storage cannot be reached or read. Nothing was lost; try again later."""

    exit_code = 5
