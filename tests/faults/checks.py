"""What must hold of a study that is complete, whatever happened to it on the way."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from capsearch.families.dense import SETTINGS, candidate_of
from capsearch.records import Job
from tests.faults.place import TRIALS, Place

LOST = "lost: 2 workers died while they trained it"
CHILD_DIED = (
    "out of memory: the process was killed by the system",
    "crashed: the process ended by signal 15",
)
RUNS = """
SELECT r.run_uuid, r.status, t.value FROM runs r
JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'capsearch.trial'
WHERE r.lifecycle_stage = 'active'
"""


@dataclass(frozen=True)
class Ended:
    """What a complete study came to: its lasting result, and the outcome of every job."""

    document: dict[str, Any]
    outcomes: dict[str, dict[str, Any]]

    @property
    def failed(self) -> list[str]:
        """Why jobs failed."""
        return [str(o["reason"]) for o in self.outcomes.values() if o["reason"] is not None]


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    """What must be equal in every run of one study, however often it was cut."""
    kept = {k: v for k, v in document.items() if k not in ("tracking", "report", "seconds")}
    return kept | {"test": {k: v for k, v in kept["test"].items() if k != "opened_at"}}


def ended(place: Place) -> Ended:
    """Without times."""
    ((text,),) = place.ask("SELECT document FROM capsearch_study")
    outcomes = {
        job: {k: v for k, v in json.loads(outcome).items() if k != "seconds"}
        for job, outcome in place.ask("SELECT job, outcome FROM capsearch_job")
    }
    return Ended(lasting(json.loads(text)), outcomes)


def check_complete(place: Place, losses: int = 0, child_deaths: int = 0) -> Ended:
    """The storage is whole, and every trial is counted once.

    A job may have failed only because its worker died twice (`losses`: workers that were killed),
    or its engine's process did (`child_deaths`). Each death but the first fails one job at most:
    what was lost once trains alone.
    """
    assert place.ask("SELECT count(*) FROM capsearch_job WHERE outcome IS NULL") == [(0,)]
    assert place.ask("SELECT job FROM capsearch_job WHERE worker IS NOT NULL") == []
    assert place.ask("SELECT * FROM capsearch_worker") == []
    assert place.ask("SELECT leader FROM capsearch_study") == [(None,)]
    openings = place.ask("SELECT score IS NOT NULL FROM capsearch_opening")
    assert [bool(row[0]) for row in openings] == [True], openings
    found = ended(place)
    assert found.document["status"] == "complete"
    assert found.document["test"]["openings"] == 1
    _check_failures(place, found, losses, child_deaths)
    _check_rungs(place)
    return found


def _check_failures(place: Place, found: Ended, losses: int, child_deaths: int) -> None:
    lost = {job for (job,) in place.ask("SELECT job FROM capsearch_job WHERE lost >= 2")}
    by_loss = {j for j, o in found.outcomes.items() if (o["reason"] or "").startswith(LOST)}
    by_child = [r for r in found.failed if r.startswith(CHILD_DIED)]
    assert by_loss == lost, (by_loss, lost)
    assert len(by_loss) <= max(losses - 1, 0), found.failed
    assert len(by_child) <= max(child_deaths - 1, 0), found.failed
    assert len(found.failed) == len(by_loss) + len(by_child), found.failed


def _check_rungs(place: Place) -> None:
    """Optuna has the same number of trials on each of the three rungs, and none that runs."""
    states = place.ask(
        "SELECT s.study_name, t.state, count(*) FROM trials t "
        "JOIN studies s ON s.study_id = t.study_id GROUP BY s.study_name, t.state"
    )
    assert {state for _, state, _ in states} <= {"COMPLETE", "FAIL"}, states
    rungs = Counter[str]()
    for name, _, count in states:
        rungs[name] += count
    assert set(rungs.values()) == {(TRIALS - 2) // 3}, rungs
    assert len(rungs) == 3, rungs


def check_tracking(place: Place, found: Ended) -> None:
    """MLflow's SQLite store has exactly one run for each trial, with what the storage says."""
    runs = place.runs(RUNS)
    trials = Counter(trial for _, _, trial in runs)
    assert set(trials.values()) == {1}, trials
    params: dict[str, dict[str, str]] = {run: {} for run, _, _ in runs}
    for run, key, value in place.runs("SELECT run_uuid, key, value FROM params"):
        if run in params:
            params[run][key] = value
    query = "SELECT run_uuid, value FROM latest_metrics WHERE key = 'best_val_loss'"
    losses = {row.run_uuid: row.value for row in place.runs(query)}
    jobs = {job_of(params[run]).key: (run, status) for run, status, _ in runs}
    assert jobs.keys() == found.outcomes.keys()
    for job, (run, status) in jobs.items():
        outcome = found.outcomes[job]
        assert status == ("FAILED" if outcome["reason"] else "FINISHED"), (job, status)
        assert losses.get(run) == outcome["val_loss"], job
    parents = place.runs(
        "SELECT status FROM runs r WHERE lifecycle_stage = 'active' AND NOT EXISTS (SELECT 1 FROM "
        "tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'capsearch.trial')"
    )
    assert parents == [("FINISHED",)], parents
    versions = place.runs("SELECT version FROM model_versions")
    assert versions == [(1,)], versions


def job_of(params: dict[str, str]) -> Job:
    """The job that a run's parameters tell of."""
    units = [] if params["units"] == "linear" else params["units"].split("-")
    settings = {d.name: d.kind(params[d.name]) for d in SETTINGS}
    candidate = candidate_of(map(int, units), settings)
    seed, order, epochs, patience = (
        int(params[name]) for name in ("seed", "order", "epochs", "patience")
    )
    return Job(candidate, seed, order, epochs, patience)
