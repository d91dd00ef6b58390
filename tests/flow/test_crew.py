"""`--workers N`: more processes on this machine, and never one that is left behind."""

import json
import signal
import time
from typing import Any

import pytest

from tests.place import Place, check_whole, lasting, until

pytestmark = pytest.mark.real
HELPS = "SELECT 1 FROM capsearch_worker WHERE role = 'worker'"


def test_with_two_workers_a_study_ends_the_same_and_its_budget_counts_once(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    process = place.start("study", "mine", "--workers", "2", "--json")
    until(lambda: bool(place.rows("studies.db", HELPS)) or process.poll() is not None)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert lasting(json.loads(out)) == lasting(done[1])
    assert place.workers() == []
    assert place.rows("studies.db", "SELECT count(*) FROM capsearch_worker") == [(0,)]
    check_whole(place)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_no_worker_outlives_the_command_that_started_it(
    place: Place, done: tuple[Place, dict[str, Any]], stop: signal.Signals
) -> None:
    process = place.start("study", "mine", "--workers", "3")
    until(lambda: place.trained(1) and len(place.workers()) == 2)
    sent = time.monotonic()
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 143), err
    until(lambda: not place.workers(), 10.0 - (time.monotonic() - sent))
    document, _ = place.study()
    assert lasting(document) == lasting(done[1])
    check_whole(place)
