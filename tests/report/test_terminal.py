"""What the terminal says of a result, at 80 columns."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from capsearch.listeners.terminal import show_probe, show_result
from capsearch.probe import Memory, Probe
from capsearch.records import Candidate, Check, StudyRecord
from tests.samples import record_of

RECORD = record_of()
LINEAR = Memory(Candidate(()), 21, (0.75, 0.65), (0.5, 0.3), unfinished=True)
WIDE = Memory(Candidate((64,)), 1409, (1.0, 0.998), (1.0, 0.996), unfinished=False)


def shown(record: StudyRecord) -> str:
    console = Console(record=True, width=80, file=StringIO())
    show_result(console, record, "report.html")
    return console.export_text()


def probed(*sizes: Memory) -> str:
    console = Console(record=True, width=80, file=StringIO())
    show_probe(console, "toy", Probe(200, 0.5, 1.0, 80, sizes))
    return console.export_text()


def test_warnings_are_shown_with_their_code_and_other_answers_are_not() -> None:
    checks = (Check("CS001", "ok", "all is well"), Check("CS002", "warning", "too small"))
    text = shown(replace(RECORD, checks=checks))
    assert "\nCS002 too small.\n" in text
    assert "CS001" not in text


def test_the_doubt_is_one_sentence() -> None:
    doubt = replace(
        RECORD.doubt,
        stability=0.73,
        resamples=1000,
        price=0.0089,
        price_low=0.003,
        price_high=0.015,
    )
    small, large = RECORD.estimates[0], RECORD.estimates[-1]
    choice = replace(RECORD.choice, selected=small, best=large)
    text = " ".join(shown(replace(RECORD, doubt=doubt, choice=choice)).split())
    assert (
        "Uncertainty 73 % of 1,000 resamples choose the same network; against the best it costs 0.0089 "
        "nats (0.0030 to 0.0150, 95 %)."
    ) in text
    alone = replace(RECORD, doubt=doubt, choice=replace(choice, best=small))
    assert "the same network, the best itself." in " ".join(shown(alone).split())


def test_a_probe_names_the_smallest_that_learns_all_and_what_was_still_learning() -> None:
    text = " ".join(probed(LINEAR, WIDE).split())
    assert "linear 21 ≥ 40.0% 30.0% to 50.0% 0.7000" in text
    assert "64 (1,409 parameters) is the smallest that learns 99 % of the labels by heart" in text
    assert "≥: still learning when training ended; see --epochs." in text


def test_a_probe_says_when_even_the_smallest_size_learns_all() -> None:
    text = " ".join(probed(WIDE).split())
    assert "Even the smallest size tried, 64 (1,409 parameters), learns 99 %" in text


def test_a_probe_says_when_no_size_learns_all() -> None:
    text = " ".join(probed(replace(LINEAR, unfinished=False)).split())
    assert "No size learns 99 % of the labels by heart, in at most 80 epochs." in text
    assert "≥" not in text


def test_nothing_is_wider_than_the_terminal() -> None:
    lines = (shown(RECORD) + probed(LINEAR, WIDE)).splitlines()
    assert max(map(len, lines)) <= 80
