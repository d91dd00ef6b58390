"""What a person sees while a study runs, on stderr.

On a terminal it is one live line, which moves from the first moment; elsewhere (cron, a collector
of logs) it is a plain line for each phase and each tenth of it.
"""

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from capsearch.listeners.progress import Progress
from capsearch.words import clock, network, plain

if TYPE_CHECKING:
    from capsearch.records import Trial
    from capsearch.run import StudyResult

PHASES = {  # the title of each, and how it is explained at first
    "starting": ("starting", " (loading libraries)"),
    "reading the data": ("1/6 reading the data", ""),
    "search": ("2/6 search", " trials (each trains one network)"),
    "race": ("3/6 race", " (the best networks of each size band, from other seeds)"),
    "replicates": ("4/6 fresh-seed runs", " (finalists and baselines, trained again)"),
    "sealed test": ("5/6 sealed test", " (scoring the selected network on the test rows)"),
    "model": ("5/6 model", " (keeping the selected network)"),
    "report": ("6/6 report", " (writing the report and MLflow)"),
}
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Terminal:
    """A listener for people: names the phase, the trials done, the time left and the best one."""

    def __init__(self, console: Console, study: str) -> None:
        self._console, self._study, self._progress = console, study, Progress()
        self._moves = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, get_renderable=self._line, transient=True)

    def __enter__(self) -> Self:
        if self._moves:
            self._live.start()
            self._console.show_cursor(True)  # however this process ends, it is left visible
        self._log()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def phase(self, name: str, total: int = 0, done: int = 0) -> None:
        self._leave_line()
        self._progress = Progress(name, total, done)
        self._log()

    def trial(self, trial: "Trial") -> None:
        self._progress.add(trial, time.monotonic())
        if self._progress.done % max(self._progress.total // 10, 1) == 0:
            self._log()

    def note(self, message: str) -> None:
        self._print(escape(plain(message)))

    def warn(self, message: str) -> None:
        self._print(f"[yellow]warning:[/] {escape(plain(message))}")

    def result(self, result: "StudyResult") -> None:
        from capsearch.listeners.tables import show_result

        self._leave_line()
        self._live.stop()
        if not result.worked:
            self._print("Nothing to do: this study is complete.")
        if result.record is None:
            self._print(f"An earlier version of capsearch ran it: {result.document['report']}")
            return
        document = result.document
        show_result(self._console, result.record, document["report"], document.get("model"))

    def failed(self, message: str, exit_code: int) -> None:
        self._live.stop()
        said = self._progress.last_word(message, exit_code)
        name = "" if exit_code > 128 else "capsearch: "  # after Ctrl-C everybody knows who speaks
        for line in said.splitlines():
            self._print(name + escape(plain(line)))

    def _print(self, markup: str) -> None:
        """A line of a log stays one line, whatever its length."""
        self._console.print(markup, highlight=False, soft_wrap=not self._moves)

    def _log(self) -> None:
        """Where nothing can move: how far the study is now."""
        if not self._moves:
            self._print(escape(f"{self._study}: {_state(self._progress)}"))

    def _leave_line(self) -> None:
        """Where the line moves: one that stays, for each finished phase of training."""
        if self._moves and self._progress.total:
            self._print(f"[green]✓[/] {escape(_state(self._progress))}")

    def _line(self) -> Text:
        frame = FRAMES[int(4 * time.monotonic()) % len(FRAMES)]
        return Text(f"{frame} {_state(self._progress)}", no_wrap=True, overflow="ellipsis")


def _state(progress: Progress) -> str:
    """'2/5 search: 40 of 100 · about 56 s left · best loss 0.2874 (4-33 units)'."""
    now = time.monotonic()
    said, explained = PHASES.get(progress.phase, (progress.phase, ""))
    said += f": {progress.done} of {progress.total}" if progress.total else ""
    said += "" if progress.ends else explained
    left, spent = progress.left(now), now - progress.began
    time_ = f"about {clock(left)} left" if left else clock(spent) if spent >= 1.0 else ""
    failed = f"{progress.failed} failed" if progress.failed else ""
    best = ""
    if progress.best is not None and progress.phase == "search":
        of = " of this run" if progress.stored else ""
        units = progress.best.candidate.units
        best = f"best loss{of} {progress.best_loss:.4f} ({network(units)})"
    return " · ".join(part for part in (said, time_, failed, best) if part)
