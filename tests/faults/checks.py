"""What must hold of a study that is complete, whatever happened to it on the way."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.faults.place import TRIALS, Place
from tests.place import lasting

RUNS = """
SELECT r.run_uuid, r.status, t.value FROM runs r
JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'capsearch.trial'
WHERE r.lifecycle_stage = 'active'
"""
PARENTS = """
SELECT status FROM runs r WHERE lifecycle_stage = 'active' AND NOT EXISTS
(SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'capsearch.trial')
"""


@dataclass(frozen=True)
class Ended:
    """What a complete study came to: its lasting result, and by trial its job and outcome."""

    document: dict[str, Any]
    jobs: dict[str, str]
    outcomes: dict[str, dict[str, Any]]


def ended(place: Place) -> Ended:
    """Without times."""
    ((text,),) = place.ask("SELECT document FROM capsearch_studies")
    rows = place.ask("SELECT id, job_key, outcome FROM capsearch_trials")
    outcomes = {
        id_: {k: v for k, v in json.loads(outcome).items() if k != "seconds"}
        for id_, _, outcome in rows
    }
    return Ended(lasting(json.loads(text)), {id_: job for id_, job, _ in rows}, outcomes)


def check_complete(place: Place) -> Ended:
    """The storage is whole, every trial has ended well, and the test split was opened once."""
    assert place.ask("SELECT id FROM capsearch_trials WHERE outcome IS NULL") == []
    openings = place.ask("SELECT score IS NOT NULL FROM capsearch_opening")
    assert [bool(row[0]) for row in openings] == [True], openings
    found = ended(place)
    assert found.document["status"] == "complete"
    assert found.document["test"]["openings"] == 1
    failed = {id_: o["failure"] for id_, o in found.outcomes.items() if o["failure"] is not None}
    assert failed == {}
    kinds = Counter(id_.partition("/")[0] for id_ in found.jobs)
    assert kinds["baseline"] + kinds["search"] == TRIALS, kinds
    ((positions, count),) = place.ask(
        "SELECT count(DISTINCT position), count(*) FROM capsearch_trials"
    )
    assert positions == count == len(found.jobs)
    ((proof,),) = place.ask("SELECT proof FROM capsearch_studies")
    assert json.loads(proof)["difference"] is not None, proof
    return found


def check_tracking(place: Place, found: Ended) -> None:
    """MLflow's SQLite store has exactly one run for each trial, with what the storage says."""
    runs = place.runs(RUNS)
    doubled = Counter(trial for _, _, trial in runs)
    assert doubled == dict.fromkeys(found.outcomes, 1), doubled
    query = "SELECT run_uuid, value FROM latest_metrics WHERE key = 'best_val_loss'"
    losses = {row.run_uuid: row.value for row in place.runs(query)}
    query = "SELECT run_uuid, count(*) FROM metrics WHERE key = 'val_loss' GROUP BY run_uuid"
    epochs = dict(map(tuple, place.runs(query)))
    params = {
        row.run_uuid: row.value for row in place.runs("SELECT * FROM params WHERE key = 'seed'")
    }
    seeds = {
        id_: json.loads(j)["seed"] for id_, j in place.ask("SELECT id, job FROM capsearch_trials")
    }
    for run, status, trial in runs:
        outcome = found.outcomes[trial]
        assert status == "FINISHED", (trial, status)
        assert losses.get(run, math.nan) == outcome["val_loss"], trial
        assert epochs.get(run) == len(outcome["curve"]["val_loss"]), trial
        assert params[run] == str(seeds[trial]), trial
    assert place.runs(PARENTS) == [("FINISHED",)], place.runs(PARENTS)
    versions = place.runs("SELECT version FROM model_versions")
    assert versions == [(1,)], versions
