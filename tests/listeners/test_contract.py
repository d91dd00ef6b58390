"""What terminal, JSON lines and nobody have in common, whatever a study tells them."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from capsearch.listeners import Listener, Silent
from capsearch.listeners.json_lines import JsonLines
from capsearch.listeners.terminal import Terminal
from tests.samples import record_of

RECORD = record_of()
KINDS = ["a terminal", "no terminal", "JSON lines", "nobody"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def console(kind: str) -> Console:
    return Console(file=StringIO(), width=80, force_terminal=kind == "a terminal")


@pytest.fixture
def listener(kind: str, console: Console) -> Iterator[Listener]:
    if kind == "nobody":
        yield Silent()
    elif kind == "JSON lines":
        yield JsonLines("toy")
    else:
        with Terminal(console, "toy") as terminal:
            yield terminal


@pytest.fixture
def told(console: Console, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What a person or a collector has read at the end; nothing of it is on stdout."""

    def read() -> str:
        out, err = capsys.readouterr()
        assert out == ""
        logged = [str(json.loads(line).get("message")) for line in err.splitlines()]
        assert isinstance(console.file, StringIO)
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
        return " ".join([*logged, *shown.split()])

    return read


def finished(**more: Any) -> Any:
    return SimpleNamespace(
        record=RECORD,
        document={"selected": {"reason": "so"}, "report": "r.html"},
        worked=True,
        **more,
    )


def test_a_whole_study_can_be_told(listener: Listener, kind: str, told: Callable[[], str]) -> None:
    listener.phase("reading the data")
    listener.phase("search", total=len(RECORD.trials), done=0)
    for trial in RECORD.trials:
        listener.trial(trial)
    listener.phase("replicates", total=len(RECORD.replicates), done=len(RECORD.replicates))
    listener.phase("sealed test")
    listener.phase("a phase of tomorrow's")
    listener.phase("report")
    listener.result(finished())
    assert (told() == "") == (kind == "nobody")


def test_messages_are_passed_on_as_they_are(
    listener: Listener, kind: str, told: Callable[[], str]
) -> None:
    said = [f"MLflow at [::1] is away [default: {n}] [/]" for n in "abc"]
    listener.note(said[0])
    listener.warn(said[1])
    listener.failed(said[2], 1)
    read = told()
    assert all(message in read for message in said) == (kind != "nobody")


def test_another_thread_may_warn_while_trials_end(
    listener: Listener, kind: str, told: Callable[[], str]
) -> None:
    listener.phase("search", total=60)

    def warn() -> None:
        for number in range(60):
            listener.warn(f"W{number}.")

    other = threading.Thread(target=warn)
    other.start()
    for trial in (RECORD.trials * 10)[:60]:
        listener.trial(trial)
    other.join()
    said = told()
    assert sum(f"W{n}." in said for n in range(60)) == (0 if kind == "nobody" else 60)


@pytest.mark.parametrize("number", [130, 143])
def test_the_last_word_after_a_signal_says_what_is_saved_and_how_to_go_on(
    number: int, listener: Listener, kind: str, told: Callable[[], str]
) -> None:
    listener.phase("search", total=100, done=37)
    for trial in RECORD.trials[:3]:
        listener.trial(trial)
    listener.failed("Interrupted", number)
    words = "Interrupted: 40 of 100 trials saved. Run the same command to continue."
    assert (words in told()) == (kind != "nobody")
