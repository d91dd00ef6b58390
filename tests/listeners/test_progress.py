"""What is counted of a phase, and the last word of a command that ends early."""

import pytest

from capsearch.listeners.progress import Progress
from capsearch.words import clock, network
from tests.samples import record_of

TRIALS = [trial for trial in record_of().trials if trial.outcome and trial.outcome.complete]


def progress(*ends: float, total: int = 100, stored: int = 0, phase: str = "search") -> Progress:
    """A phase that began at 0."""
    counted = Progress(phase, total, stored, began=0.0)
    for end in ends:
        counted.add(TRIALS[0], end)
    return counted


def test_nothing_is_said_of_the_time_left_before_the_first_training_of_this_run_ended() -> None:
    assert progress(stored=40).left(50.0) is None


def test_what_was_stored_before_says_nothing_of_the_time_left() -> None:
    """A resumed study: 40 of 100 stored, one training a second since, 50 are left."""
    resumed = progress(*(float(n) for n in range(1, 11)), stored=40)
    assert resumed.done == 50
    assert resumed.left(10.0) == pytest.approx(50.0 * 5 / 6)  # 6 in the last 5 s
    fresh = progress(*(float(n) for n in range(1, 11)), total=60)
    assert fresh.left(10.0) == resumed.left(10.0)


def test_time_left_runs_down_between_trainings_and_is_silent_when_it_was_wrong() -> None:
    slow = progress(4.0, 6.0, 8.0, total=5)
    assert slow.left(8.0) == pytest.approx(4.0 * 2 / 3)
    assert slow.left(9.0) == pytest.approx(4.0 * 2 / 3 - 1.0)
    assert slow.left(20.0) is None


def test_time_that_was_lost_at_the_start_is_forgotten() -> None:
    """Libraries took 20 s to load; then it was a training a second, and 20 are left."""
    late = progress(*(float(n) for n in range(20, 41)), total=41)
    assert late.left(40.0) == pytest.approx(20.0, rel=0.1)


def test_there_is_no_time_left_at_the_end() -> None:
    assert progress(1.0, 2.0, total=2).left(2.0) is None


def test_the_best_is_the_lowest_loss_of_those_that_did_not_fail() -> None:
    counted = progress(total=len(TRIALS))
    for end, trial in enumerate(record_of().trials):
        counted.add(trial, float(end))
    assert counted.failed > 0
    assert counted.best is not None
    losses = [trial.outcome.val_loss for trial in TRIALS if trial.outcome]
    assert counted.best_loss == min(losses)


@pytest.mark.parametrize(
    ("counted", "facts"),
    [
        (Progress(), ["nothing is lost"]),
        (Progress("reading the data"), ["nothing is lost"]),
        (progress(), ["0 of 100 trials saved"]),
        (progress(1.0, stored=39), ["40 of 100 trials saved"]),
        (progress(1.0, total=45, phase="replicates"), ["the search", "1 of 45 fresh-seed runs"]),
        (Progress("sealed test"), ["all trainings saved", "sealed test"]),
        (Progress("report"), ["all trainings saved", "report"]),
    ],
)
def test_the_last_word_after_a_signal_names_what_is_saved(
    counted: Progress, facts: list[str]
) -> None:
    said = counted.last_word("Terminated", 143)
    assert said.startswith("Terminated: ")
    assert said.endswith("Run the same command to continue.")
    assert all(fact in said for fact in facts)


def test_a_deadline_says_what_is_saved_and_an_error_says_itself_alone() -> None:
    assert (
        progress(1.0, stored=39)
        .last_word("Out of time.", 3)
        .endswith("Out of time. 40 of 100 trials saved.")
    )
    assert Progress().last_word("in use by pid 7", 3) == "in use by pid 7"
    assert progress(1.0).last_word("no such column", 2) == "no such column"


def test_networks_cannot_be_taken_for_numbers_or_ranges() -> None:
    assert [network(units) for units in ((), (1,), (3,), (4, 33))] == [
        "linear", "1 layer of 1 unit", "1 layer of 3 units", "4-33 units",
    ]  # fmt: skip


def test_times_are_read_at_a_glance() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.6, 185, 7620)] == [
        "0 s", "1 min 00 s", "3 min 05 s", "2 h 07 min",
    ]  # fmt: skip
