"""A study whose MLflow server goes away and comes back."""

import signal
from pathlib import Path
from typing import Any

from tests.faults.checks import check_complete
from tests.faults.place import PHASES, Place, ending, until
from tests.faults.shown import shown
from tests.servers import MlflowServer


def undisturbed(folder: Path, cache: Path) -> dict[str, Any]:
    """What MLflow holds of the study when its server stays."""
    return outage(folder, cache, signal.SIGTERM, away=None, back=None)


def outage(
    folder: Path, cache: Path, number: signal.Signals, away: str | None, back: str | None
) -> dict[str, Any]:
    """The server is ended in the phase `away`, and started again in the phase `back`.

    Without `back`: after the study has ended, whose command is then given again.
    """
    folder.mkdir()
    server = MlflowServer(folder)
    server.start()
    try:
        with ending(Place(folder / "study", cache, tracking=server.uri)) as place:

            def reached(phase: str) -> bool:
                done = process.poll() is not None
                return done or PHASES.index(place.phase()) >= PHASES.index(phase)

            process = place.study()
            if away:
                assert until(lambda: reached(away))
                server.stop(number)
                if back:
                    assert until(lambda: reached(back))
                    server.start()
            place.completed(process)
            if server.process is None:
                assert "when it is back" in " ".join(place.said(process).split())
                server.start()
            place.completed(place.study())
            check_complete(place)
            return shown(folder / "server.db", folder / "artifacts")
    finally:
        server.stop()
