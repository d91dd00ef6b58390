"""For `make coverage`: processes that are killed, as all that train are, keep their figures."""

import threading
import time


def save_often() -> None:
    import coverage  # only where it measures

    while True:
        time.sleep(0.5)
        current = coverage.Coverage.current()
        if current is not None:
            current.save()


threading.Thread(target=save_often, name="coverage", daemon=True).start()
