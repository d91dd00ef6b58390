"""What a person sees while a study runs: at once, moving, and in 80 columns."""

import subprocess
import sys
import time
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from capsearch.listeners.terminal import Terminal
from tests.samples import record_of

RECORD = record_of()


def plain(*, total: int, done: int = 0, phase: str = "search") -> list[str]:
    """What a log holds of one phase."""
    file = StringIO()
    with Terminal(Console(file=file, width=80), "toy") as terminal:
        terminal.phase(phase, total, done)
        for trial in (RECORD.trials * 9)[: total - done]:
            terminal.trial(trial)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("log", ["text", "json"])
def test_something_is_said_before_anything_slow_is_imported(log: str) -> None:
    """Eight seconds of silence: libraries were loading, and nobody knew."""
    script = f"""
import sys
from capsearch.cli import options
with options.listening({log!r}, "toy"):
    slow = {{"numpy", "optuna", "sqlalchemy", "scipy", "pandas", "tensorflow"}} & set(sys.modules)
print(sorted(slow))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "[]\n"
    assert "toy" in ran.stderr
    assert "starting" in ran.stderr


def test_a_terminal_moves_also_while_nothing_is_told() -> None:
    file = StringIO()
    with Terminal(Console(file=file, width=80, force_terminal=True), "toy"):
        time.sleep(0.4)
        before = file.getvalue()
        time.sleep(0.6)
        after = file.getvalue()
    assert "starting" in before
    assert len(after) > len(before)


def test_however_it_ends_the_cursor_stays_visible() -> None:
    file = StringIO()
    with Terminal(Console(file=file, width=80, force_terminal=True), "toy"):
        said = file.getvalue()
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")


def test_a_log_has_a_line_for_each_tenth_and_the_phase_with_what_was_stored_before() -> None:
    lines = plain(total=100, done=40)
    assert len(lines) == 1 + 1 + 6
    assert all(line.startswith("toy: ") for line in lines)
    counts = [f"{number} of 100" for number in range(40, 101, 10)]
    assert all(count in line for count, line in zip(counts, lines[1:], strict=True))


def test_the_best_of_a_resumed_search_is_called_that_of_this_run() -> None:
    assert "best loss 0." in plain(total=20)[-1]
    assert "of this run" not in plain(total=20)[-1]
    assert "best loss of this run 0." in plain(total=20, done=4)[-1]


def test_failed_trials_are_counted() -> None:
    failed = sum(not (t.outcome and t.outcome.complete) for t in RECORD.trials[:20])
    assert failed
    assert f"{failed} failed" in plain(total=20)[-1]


def test_titles_are_words_and_not_names_of_the_code() -> None:
    assert "fresh-seed runs: 0 of 9" in plain(total=9, phase="replicates")[1]


def test_one_line_stays_for_each_phase_of_training_and_the_live_one_is_never_two() -> None:
    file = StringIO()
    console = Console(file=file, width=80, force_terminal=True, record=True)
    with Terminal(console, "toy") as terminal:
        terminal.phase("reading the data")
        terminal.phase("search", total=len(RECORD.trials), done=0)
        for trial in RECORD.trials:
            terminal.trial(trial)
        assert len(console.render_lines(terminal._line(), pad=False)) == 1
        terminal.phase("replicates", total=len(RECORD.replicates), done=len(RECORD.replicates))
        terminal.phase("sealed test")
        terminal.phase("report")
        told: Any = SimpleNamespace(record=RECORD, document={"report": "r.html"}, worked=True)
        terminal.result(told)
    assert console.export_text().count("✓") == 2


def test_a_study_that_is_complete_says_so() -> None:
    file = StringIO()
    with Terminal(Console(file=file, width=80), "toy") as terminal:
        told: Any = SimpleNamespace(record=RECORD, document={"report": "r.html"}, worked=False)
        terminal.result(told)
    assert "Nothing to do" in file.getvalue()
