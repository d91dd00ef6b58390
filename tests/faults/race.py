"""Many workers and one `study` command race to the end of one study."""

from tests.faults.checks import Ended, check_complete, check_tracking
from tests.faults.place import NAME, Place


def race(place: Place, workers: int) -> Ended:
    """All end with 0; the split was opened once, one report was recorded and lies there."""
    everybody = [place.study(), *(place.worker() for _ in range(workers))]
    for process in everybody:
        process.wait(timeout=1800)
        said = place.said(process)
        assert process.returncode == 0, said
        assert "Traceback" not in said, said
    found = check_complete(place)
    assert not found.failed
    check_tracking(place, found)
    reports = list((place.root / "reports").glob(f"{NAME}-*/report.html"))
    assert len(reports) == 1, reports
    artifacts = list((place.root / "artifacts").rglob("report.html"))
    assert len(artifacts) == 1, artifacts
    models = [folder.name for folder in (place.root / "models").glob(f"{NAME}-*/*")]
    assert models == [job for (job,) in place.ask("SELECT choice FROM capsearch_opening")]
    return found
