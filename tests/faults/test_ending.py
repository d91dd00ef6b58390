"""What is asked to end ends in time, whatever it waits for."""

import threading
import time

from capsearch.tracking.background import BackgroundTracker
from tests.tracking.memory import MemoryTracker


def test_a_tracker_that_is_still_being_made_does_not_delay_the_end() -> None:
    """MLflow takes seconds to import, and on a busy machine many."""
    imported = threading.Event()

    def make(_: object) -> MemoryTracker:
        imported.wait(30.0)
        return MemoryTracker()

    tracker, began = BackgroundTracker(make), time.monotonic()
    time.sleep(0.1)
    try:
        tracker.close()
        assert time.monotonic() - began < 6.0
    finally:
        imported.set()
