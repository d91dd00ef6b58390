"""A study that is cut at any moment ends as if it had not been, and leaves nothing running."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.place import Place, check_whole, lasting, until

pytestmark = pytest.mark.integration


def scored(place: Place) -> bool:
    opening = place.opening()
    return opening is not None and opening[1] is not None


MOMENTS: dict[str, Callable[[Place], bool]] = {
    "at the start": lambda place: (place.folder / "mlruns" / "studies.db").exists(),
    "after the first trials": lambda place: place.trained(1),
    "in the replicates": lambda place: place.trained(15),
    "after the decision": lambda place: place.column("decision") is not None,
    "between opening and score": lambda place: place.opening() is not None,
    "before the report": scored,
}


def reach(place: Place, process: subprocess.Popen[str], moment: str) -> None:
    until(lambda: MOMENTS[moment](place) or process.poll() is not None)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_a_study_that_was_cut_at_every_moment_ends_as_if_it_had_not_been(
    place: Place, done: tuple[Place, dict[str, Any]], stop: signal.Signals
) -> None:
    known = set[tuple[str, str]]()
    for moment in MOMENTS:
        process = place.start("study", "mine")
        reach(place, process, moment)
        process.send_signal(stop)
        _, err = process.communicate(timeout=30)
        assert process.returncode == (-stop if stop == signal.SIGKILL else 143), (moment, err)
        assert known <= set(place.ended()), moment
        known = set(place.ended())
    document, _ = place.study()
    assert lasting(document) == lasting(done[1])
    assert known <= set(place.ended())
    check_whole(place)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_no_process_outlives_the_command_that_started_it(
    place: Place, stop: signal.Signals
) -> None:
    process = place.start("study", "mine", "--workers", "3")
    reach(place, process, "after the first trials")
    children = place.children(process)
    assert len(children) >= 3
    sent = time.monotonic()
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 143), err
    until(lambda: not any(map(alive, children)), 10.0 - (time.monotonic() - sent))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_an_end_in_good_order_blames_and_counts_nothing(place: Place, stop: signal.Signals) -> None:
    process = place.start("study", "mine")
    reach(place, process, "after the first trials")
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + stop, err
    assert "Traceback" not in err
    assert place.running() == []  # nor is there one when MLflow was not begun
    lost = "SELECT id FROM capsearch_trials WHERE outcome IS NULL AND starts > 0"
    assert place.rows("studies.db", lost) == []


def test_kills_of_the_whole_group_during_one_training_never_fail_it(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    """As a spot machine is taken away, more than once; each start is counted, none is blamed."""
    for number in range(1, 4):
        process = place.start("study", "mine")
        begun = f"SELECT 1 FROM capsearch_trials WHERE starts >= {number} AND outcome IS NULL"
        until(lambda begun=begun: bool(place.rows("studies.db", begun)))  # type: ignore[misc]
        process.kill()
        process.communicate(timeout=30)
        if place.ended():  # the pack was faster than the kill
            break
    document, _ = place.study()
    assert document["trials"] == {"complete": 14, "failed": 0, "pruned": 0}
    assert lasting(document) == lasting(done[1])
    check_whole(place)


def test_a_second_start_while_the_first_runs_leaves_it_alone_and_says_who_runs_it(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    first = place.start("study", "mine", "--json")
    reach(place, first, "after the first trials")
    second = place.run("study", "mine", "--json")
    assert (second.code, second.out) == (3, ""), second.raw
    assert f"process {first.pid}" in second.err
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert lasting(json.loads(out)) == lasting(done[1])
    check_whole(place)


def test_a_driver_whose_study_was_taken_over_while_it_was_stopped_writes_nothing_more(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    first = place.start("study", "mine", "--json")
    reach(place, first, "after the first trials")
    first.send_signal(signal.SIGSTOP)
    for lock in (place.folder / "mlruns").glob("studies.db.mine-*.lock"):
        lock.unlink()
    document, _ = place.study()
    assert lasting(document) == lasting(done[1])
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (3, ""), err
    check_whole(place)
