"""A whole study on real reviews, by the command people type: undisturbed, cut, and repeated."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.place import ENDED, STUDY, Place, check_whole, lasting

pytestmark = pytest.mark.real

NUMBER, TEXT = {"type": "number"}, {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
SPLITS = ("train", "validation", "test")


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object with exactly these properties."""
    return {
        "type": "object", "properties": properties, "required": list(properties),
        "additionalProperties": False,
    }  # fmt: skip


ESTIMATE = {
    "units": {"type": "array", "items": {"type": "integer", "minimum": 1}},
    **dict.fromkeys(("l1", "l2", "dropout", "learning_rate"), NUMBER),
    "parameters": {"type": "integer", "minimum": 1},
    **dict.fromkeys(("val_loss", "val_loss_se"), NUMBER),
}
CONTRACT = closed(
    {
        "study": TEXT,
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "status": {"const": "complete"},
        "data": closed(
            {
                "source": TEXT,
                "sizes": closed(dict.fromkeys(SPLITS, COUNT)),
                "fingerprints": closed(dict.fromkeys(SPLITS, TEXT)),
            }
        ),
        "trials": closed(dict.fromkeys(("complete", "failed", "pruned"), COUNT)),
        "best": closed(ESTIMATE),
        "selected": closed(ESTIMATE | {"rule": TEXT, "reason": TEXT}),
        "test": closed(
            {"loss": NUMBER, "accuracy": NUMBER, "opened_at": TEXT, "openings": {"const": 1}}
        ),
        "doubt": closed(
            {
                **dict.fromkeys(("stability", "price", "price_low", "price_high"), NUMBER),
                "resamples": COUNT,
                "undecided": {"type": "boolean"},
                "advice": TEXT,
            }
        ),
        "checks": {
            "type": "array",
            "minItems": 1,
            "items": closed(
                {
                    "code": {"type": "string", "pattern": "^CS[0-9]{3}$"},
                    "status": {"enum": ["ok", "warning", "not applicable"]},
                    "message": TEXT,
                }
            ),
        },
        "tracking": closed(dict.fromkeys(("uri", "experiment_id", "run_id"), TEXT)),
        "report": TEXT,
        "seconds": NUMBER,
    }
)


def test_the_document_keeps_its_contract_exactly(done: tuple[Place, dict[str, Any]]) -> None:
    place, document = done
    jsonschema.validate(document, CONTRACT)
    assert document["trials"] == {"complete": 14, "failed": 0, "pruned": 0}
    assert document["selected"]["parameters"] <= document["best"]["parameters"]
    assert Path(document["report"]).is_file()
    check_whole(place)


def test_a_second_run_does_nothing_and_says_the_same(done: tuple[Place, dict[str, Any]]) -> None:
    place, document = done
    before = {p: p.stat().st_mtime_ns for p in place.folder.rglob("report.html")}
    again, err = place.study()
    assert again == document
    assert "Nothing to do" in err
    assert {p: p.stat().st_mtime_ns for p in place.folder.rglob("report.html")} == before
    check_whole(place)


def test_the_report_is_rebuilt_from_the_storage_alone(done: tuple[Place, dict[str, Any]]) -> None:
    place, document = done
    report = Path(document["report"])
    text = report.read_text()
    report.unlink()
    process = place.start("report", "mine")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.strip() == str(report)
    assert report.read_text() == text


def test_the_registered_model_loads_and_reproduces_its_validation_loss(
    done: tuple[Place, dict[str, Any]],
) -> None:
    place, _ = done
    code = """
import sys, mlflow, mlflow.keras, numpy as np
from pathlib import Path
from capsearch.data import cache
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
model = mlflow.keras.load_model("models:/capsearch-mine/1")
rows = cache.load(next(Path(sys.argv[1]).iterdir())).validation
p = np.clip(model.predict(rows.x.toarray(), verbose=0).ravel().astype(float), 1e-7, 1 - 1e-7)
print("loss", -np.mean(rows.y * np.log(p) + (1 - rows.y) * np.log1p(-p)))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(place.cache)],
        cwd=place.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loss = float(run.stdout.split("loss")[1])
    choice = place.rows("studies.db", "SELECT choice FROM capsearch_opening")[0][0]
    query = f"SELECT outcome FROM capsearch_job WHERE job = '{choice}'"
    stored = json.loads(place.rows("studies.db", query)[0][0])["val_loss"]
    assert loss == pytest.approx(stored, rel=1e-5)


def opened(place: Place) -> bool:
    return bool(place.rows("studies.db", "SELECT 1 FROM capsearch_opening"))


def scored(place: Place) -> bool:
    query = "SELECT 1 FROM capsearch_opening WHERE score IS NOT NULL"
    return bool(place.rows("studies.db", query))


MOMENTS: dict[str, Callable[[Place], bool]] = {
    "at the start": lambda place: (place.folder / "mlruns" / "studies.db").exists(),
    "after the first trials": lambda place: place.trained(1),
    "in the search": lambda place: place.trained(6),
    "in the replicates": lambda place: place.trained(15),
    "late in the replicates": lambda place: place.trained(22),
    "between opening and score": opened,
    "before the report": scored,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_a_study_that_was_cut_ends_as_if_it_had_not_been(
    place: Place, done: tuple[Place, dict[str, Any]], moment: str, stop: signal.Signals
) -> None:
    process = place.start("study", "mine", "--engine", "packed")
    while not MOMENTS[moment](place) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 143), err
    known = {row[0] for row in place.rows("studies.db", ENDED)}
    document, _ = place.study()
    jsonschema.validate(document, CONTRACT)
    assert lasting(document) == lasting(done[1])
    assert known <= {row[0] for row in place.rows("studies.db", ENDED)}
    check_whole(place)


def test_a_second_start_while_the_first_runs_leaves_it_alone(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    first = place.start("study", "mine", "--json")
    while not place.trained(1):
        time.sleep(0.01)
    second = place.start("study", "mine", "--json")
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (3, "")
    assert "mine is being run by another process" in " ".join(err.split())
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert lasting(json.loads(out)) == lasting(done[1])
    check_whole(place)


def test_ctrl_c_saves_the_state_and_says_so(place: Place) -> None:
    process = place.start("study", "mine")
    while not place.trained(3):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command to continue" in " ".join(err.split())
    assert "Traceback" not in err
    running = "SELECT name FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'"
    assert place.rows("mlflow.db", running) == []  # nor is there one when MLflow was not begun


def test_a_study_of_which_every_trial_diverges_fails_in_words_and_loses_nothing(
    place: Place,
) -> None:
    wild = STUDY.replace("low = 3e-3, high = 3e-2", "low = 1e30, high = 1e35")
    wild = wild.replace(
        "[training]", '[training]\noptimizer = "sgd"\nlearning_rate = 1e30\nl2 = 1.0'
    )
    (place.folder / "mine.toml").write_text(wild)
    process = place.start("study", "mine", "--json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), err
    assert "every trial of mine failed: 14 x diverged: loss became NaN or infinite" in err
    assert "Traceback" not in err
    assert place.trained(14)
    assert not opened(place)


def test_the_reference_engine_reaches_the_same_end(place: Place) -> None:
    text = STUDY.replace("trials = 12", "trials = 3").replace("replicates = 3", "replicates = 2")
    (place.folder / "mine.toml").write_text(text.replace("epochs = 8", "epochs = 3"))
    process = place.start("study", "mine", "--engine", "fit")
    assert process.stderr is not None
    assert any("sealed test" in line for line in process.stderr)  # reads up to that line
    process.kill()
    process.communicate(timeout=30)
    document, _ = place.study("--engine", "packed")  # the choice is still trained by its own engine
    jsonschema.validate(document, CONTRACT)
    assert place.rows("studies.db", "SELECT DISTINCT engine FROM capsearch_job") == [("fit",)]
    assert np.isfinite(document["test"]["loss"])


def test_on_postgresql_a_study_ends_the_same(
    place: Place, done: tuple[Place, dict[str, Any]], postgres: str
) -> None:
    document, _ = place.study("--storage", postgres)
    assert lasting(document) == lasting(done[1])
    assert not (place.folder / "mlruns" / "studies.db").exists()
    again, err = place.study("--storage", postgres)
    assert again == document
    assert "Nothing to do" in err
