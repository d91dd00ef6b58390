"""A whole study on real reviews, by the command people type: its document, and what stays."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.place import STUDY, Place, check_whole, lasting, until

pytestmark = pytest.mark.integration

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
    "batch_size": {"type": "integer", "minimum": 1},
    **dict.fromkeys(("optimizer", "initialization"), TEXT),
    "parameters": {"type": "integer", "minimum": 1},
    **dict.fromkeys(("val_loss", "val_loss_se", "score", "score_se"), NUMBER),
}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
FIGURES = ("accuracy", "balanced_accuracy", "auc", "average_precision", "macro_f1", "log_loss")
FIGURE = closed(dict.fromkeys(("value", "low", "high"), NUMBER))
METRICS = closed(dict.fromkeys((*FIGURES, "brier"), FIGURE))
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
                "folds": {"const": None},
            }
        ),
        "task": closed(
            {
                "kind": {"const": "binary"},
                "labels": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2},
                "unit": {"const": "nats"},
                "headline": {"const": "accuracy"},
                "threshold": SHARE,
            }
        ),
        "trials": closed(dict.fromkeys(("complete", "failed", "pruned"), COUNT)),
        "best": closed(ESTIMATE),
        "selected": closed(
            ESTIMATE
            | {"rule": TEXT, "reason": TEXT, "judge": {"const": "log_loss"}, "margin": NUMBER}
            | {"claim": {"enum": ["proved", "probable", "open"]}, "probability": SHARE}
        ),
        "curve": {
            "type": "array",
            "minItems": 1,
            "items": closed(ESTIMATE | {"probability": SHARE, "metrics": METRICS}),
        },
        "test": closed(
            {"loss": NUMBER, "accuracy": NUMBER, "opened_at": TEXT, "openings": {"const": 1}}
            | {"metrics": METRICS}
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
        "model": closed(
            {
                "path": TEXT,
                "manifest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "rows": {"enum": ["table", "texts", "numbers", "sparse"]},
                "features": {"type": "integer", "minimum": 1},
                "columns": {"type": "array", "items": TEXT},
                "registered": {"type": "string", "pattern": "^models:/capsearch-mine/[0-9]+$"},
                "python": {"type": "array", "items": TEXT, "minItems": 3, "maxItems": 3},
            }
        ),
        "seconds": NUMBER,
        "engine": TEXT,
        "decided_at": TEXT,
        "versions": {"type": "object", "additionalProperties": TEXT, "minProperties": 1},
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
    again, _ = place.study()
    assert again == document
    assert {p: p.stat().st_mtime_ns for p in place.folder.rglob("report.html")} == before
    check_whole(place)


def test_the_report_is_rebuilt_from_the_storage_alone(done: tuple[Place, dict[str, Any]]) -> None:
    place, document = done
    report = Path(document["report"])
    text = report.read_text()
    report.unlink()
    ended = place.run("report", "mine")
    assert ended.code == 0, ended.raw
    assert ended.out.strip() == str(report)
    assert report.read_text() == text


def test_the_study_proves_that_its_engine_is_keras(done: tuple[Place, dict[str, Any]]) -> None:
    place, document = done
    (check,) = (c for c in document["checks"] if c["code"] == "CS018")
    assert check["status"] == "ok"
    proof = json.loads(place.column("proof"))
    assert 0.0 <= proof["difference"] <= 1e-3
    assert proof["rows"] == 1706  # all of them: there are fewer than 2,000
    assert json.loads(place.column("decision"))["proof"] == proof


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
        cwd=place.folder, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    loss = float(run.stdout.split("loss")[1])
    opening = place.opening()
    assert opening is not None
    query = f"SELECT outcome FROM capsearch_trials WHERE job_key = '{opening[0]}'"
    stored = json.loads(place.rows("studies.db", query)[0][0])["val_loss"]
    assert loss == pytest.approx(stored, rel=1e-5)


@pytest.mark.parametrize("workers", ["2", "4"])
def test_with_more_workers_a_study_ends_the_same(
    place: Place, done: tuple[Place, dict[str, Any]], workers: str
) -> None:
    document, _ = place.study("--workers", workers)
    assert lasting(document) == lasting(done[1])
    check_whole(place)


@pytest.mark.system
def test_on_postgresql_a_study_ends_the_same(
    place: Place, done: tuple[Place, dict[str, Any]], postgres: str
) -> None:
    document, _ = place.study("--storage", postgres)
    assert lasting(document) == lasting(done[1])
    assert not (place.folder / "mlruns" / "studies.db").exists()
    assert place.study("--storage", postgres)[0] == document


def test_a_study_of_which_every_trial_diverges_fails_in_words_and_loses_nothing(
    place: Place,
) -> None:
    wild = STUDY.replace("low = 3e-3, high = 3e-2", "low = 1e30, high = 1e35")
    wild = wild.replace(
        "[training]", '[training]\noptimizer = "sgd"\nlearning_rate = 1e30\nl2 = 1.0'
    )
    (place.folder / "mine.toml").write_text(wild)
    ended = place.run("study", "mine", "--json")
    assert (ended.code, ended.out) == (1, ""), ended.raw
    assert "14 x diverged" in ended.err
    assert "Traceback" not in ended.err
    assert place.trained(14)
    assert place.opening() is None


def test_a_test_is_held_and_then_opened_by_a_command_of_its_own(
    place: Place, done: tuple[Place, dict[str, Any]]
) -> None:
    held, _ = place.study("--hold-test", "--workers", "2")
    assert held["test"] is None
    assert place.opening() is None
    trained = place.ended()
    ended = place.run("test", "mine", "--json")
    assert ended.code == 0, ended.raw
    document = json.loads(ended.out)
    jsonschema.validate(document, CONTRACT)
    assert lasting(document) == lasting(done[1])
    assert place.ended() == trained
    check_whole(place)
    refused = place.run("study", "mine", "--add-trials", "3")
    assert refused.code == 4, refused.raw
    assert place.ended() == trained


def test_what_was_never_run_cannot_be_opened(place: Place) -> None:
    ended = place.run("test", "mine", "--json")
    assert (ended.code, ended.out) == (2, ""), ended.raw
    assert not (place.folder / "mlruns").exists()


def test_keras_own_loop_serves_a_whole_study_and_no_other_engine_can_go_on_with_it(
    place: Place,
) -> None:
    text = STUDY.replace("trials = 12", "trials = 3").replace("replicates = 3", "replicates = 2")
    (place.folder / "mine.toml").write_text(text.replace("epochs = 8", "epochs = 3"))
    process = place.start("study", "mine", "--engine", "fit", "--threads", "1")
    until(lambda: place.trained(2) or process.poll() is not None)
    process.kill()
    process.communicate(timeout=30)
    for wrong in (("--engine", "packed"), ("--threads", "2")):
        refused = place.run("study", "mine", *wrong)
        assert refused.code == 2, refused.raw
        assert "Traceback" not in refused.err
    document, _ = place.study()
    jsonschema.validate(document, CONTRACT)
    assert document["engine"] == "fit/1/cpu/1 threads"
    engines = "SELECT DISTINCT json_extract(job, '$.engine') FROM capsearch_trials"
    assert place.rows("studies.db", engines) == [("fit/1/cpu/1 threads",)]
    (check,) = (c for c in document["checks"] if c["code"] == "CS018")
    assert check["status"] == "not applicable"
