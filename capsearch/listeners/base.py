"""What a running study says, and to whom.

Calls may come from several threads: MLflow is written in the background, and warns from there.
"""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # somebody listens before anything slow is imported
    from capsearch.records import Trial
    from capsearch.run import StudyResult


class Listener(Protocol):
    """The interface of terminal, JSON lines and nobody. Whatever is told, nothing is raised."""

    def phase(self, name: str, total: int = 0, done: int = 0) -> None:
        """A phase begins.

        Args:
            name: "reading the data", "search", "race", "replicates", "sealed test" ("model"
                where there is no test split) or "report".
            total: Trainings in the whole phase; 0 when it trains nothing.
            done: How many of these were stored before this start. No `trial` tells of them.
        """

    def trial(self, trial: "Trial") -> None:
        """A training of this phase has ended in this run, and its outcome is stored."""

    def note(self, message: str) -> None:
        """Something worth knowing happened."""

    def warn(self, message: str) -> None:
        """Something went wrong, and the study goes on."""

    def result(self, result: "StudyResult") -> None:
        """The study is complete. Nothing is told after this."""

    def failed(self, message: str, exit_code: int) -> None:
        """The command ends with this code. Nothing is told after this.

        Args:
            message: What happened, a line for each mistake.
            exit_code: After 3, and 128 and more (a signal), the same command continues.
        """


class Silent:
    """Nobody listens."""

    def _ignore(self, *_: Any, **__: Any) -> None: ...

    phase = trial = note = warn = result = failed = _ignore
