"""Whole studies of every task, from a source of their own to report, JSON and MLflow."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

SOURCE = '''
"""Tables of scikit-learn and made ones, each for a task."""
import numpy as np
from capsearch.data.source import RawData

WINES = np.array(["Barolo <b>", "Grignolino", "Barbera"])


def table(name):
    from sklearn import datasets

    if name in ("wine", "diabetes"):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return x, WINES[y].astype(object) if name == "wine" else y
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 6))
    raw = x @ rng.normal(size=(6, 3)) + 0.5 * rng.normal(size=(600, 3))
    if name == "labels":
        return x, (raw > 0).astype(int)
    rare = raw[:, 0] > np.quantile(raw[:, 0], 0.85)
    return x, np.where(rare, "fraud", "legal").astype(object)


class Source:
    def __init__(self, options):
        self.name = options["table"]

    def identity(self):
        return f"tables {self.name}"

    def read(self):
        x, target = table(self.name)
        return RawData({"x": x}, target)
'''
STUDY = """
[data]
source = "tables"
table = "{name}"
{said}
[space]
layers = {{ low = 0, high = 1 }}
units = {{ low = 1, high = 16, log = true }}
learning_rate = {{ low = 1e-2, high = 1e-1, log = true }}
[training]
epochs = 25
patience = 5
batch_size = 32
[search]
trials = 12
rungs = 3
[select]
replicates = 3
[[baseline]]
name = "original"
units = [16]
"""
TABLES = {  # and what [data] says of each
    "wine": 'task = "multiclass"',
    "diabetes": 'task = "regression"',
    "labels": 'task = "multilabel"\nlabels = ["warm", "dry & cold", "=cmd()"]',
    "fraud": 'labels = ["legal", "fraud"]',
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the studies, and the package of the source as pip would install it."""
    folder = tmp_path_factory.mktemp("tasks")
    for name, said in TABLES.items():
        (folder / f"{name}.toml").write_text(STUDY.format(name=name, said=said))
    info = folder / "site" / "tables-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "site" / "some_tables.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tables\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[capsearch.data]\ntables = some_tables:Source\n")
    return folder


def capsearch(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(home / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths), "CAPSEARCH_CACHE": str(home / "cache"),
        "COLUMNS": "200",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "capsearch", *arguments], cwd=home, env=environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended


def strict(text: str) -> dict[str, Any]:
    """A JSON document without NaN and infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return read


@pytest.fixture(scope="module", params=TABLES)
def done(home: Path, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], str, str]:
    """The table, the document of its study, what was printed beside it, and the page."""
    ended = capsearch(home, "study", request.param, "--json")
    document = strict(ended.stdout)
    page = Path(document["report"]).read_text()
    return request.param, document, ended.stderr, page


def visible(page: str) -> str:
    """The words of a page, without markup and figures."""
    bare = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<pre>.*?</pre>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


KINDS = {"wine": "multiclass", "diabetes": "regression", "labels": "multilabel", "fraud": "binary"}
HEADLINES = {
    "wine": "accuracy",
    "diabetes": "rmse",
    "labels": "label_accuracy",
    "fraud": "accuracy",
}


def test_a_study_is_told_in_its_tasks_words(
    done: tuple[str, dict[str, Any], str, str],
) -> None:
    name, document, said, page = done
    assert document["task"]["kind"] == KINDS[name]
    assert document["task"]["headline"] == HEADLINES[name]
    words = visible(page)
    if name == "diabetes":
        assert "accuracy" not in words.lower()
        assert "accuracy" not in said.lower()
        assert "RMSE" in said
        assert "R2" in words
        assert document["test"]["accuracy"] is None
    if name == "labels":
        assert "label accuracy" in said
        assert "label accuracy" in words.lower()
    if name == "wine":
        assert document["test"]["accuracy"] > 0.8
        assert "accuracy" in said
        assert "Barolo &lt;b&gt;" in page
        assert "Barolo <b>" not in page
    if name == "fraud":
        assert 0.0 < document["task"]["threshold"] < 0.5
        assert document["task"]["labels"] == ["legal", "fraud"]
        assert "'fraud' is predicted from a probability of" in " ".join(said.split())
    assert "nan" not in words.lower().split()


def test_few_rows_are_judged_in_folds_and_the_choice_is_trained_again(
    done: tuple[str, dict[str, Any], str, str],
) -> None:
    _, document, said, page = done
    assert document["data"]["folds"] == {"folds": 5, "repeats": 1}
    assert document["data"]["sizes"].keys() == {"train", "test"}
    again = f"trained again on all {document['data']['sizes']['train']:,} rows"
    assert again in " ".join(said.split())
    assert again in visible(page)
    (surprise,) = (check for check in document["checks"] if check["code"] == "CS017")
    assert again in surprise["message"]
    (epoch,) = (check for check in document["checks"] if check["code"] == "CS013")
    assert epoch["status"] == "not applicable"  # no row chooses the epoch of its own network


def test_figures_have_intervals_and_the_networks_learned_something(
    done: tuple[str, dict[str, Any], str, str],
) -> None:
    name, document, _, _ = done
    for metrics in (document["test"]["metrics"], *(p["metrics"] for p in document["curve"])):
        assert HEADLINES[name] in metrics
        for figure in metrics.values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    checks = {check["code"]: check["status"] for check in document["checks"]}
    assert checks["CS016"] == "ok"
    assert checks["CS018"] == "ok"
    if name == "diabetes":
        assert 40.0 < document["test"]["metrics"]["rmse"]["value"] < 80.0  # its own unit
        assert 0.2 < document["test"]["metrics"]["r2"]["value"] < 0.8


def test_sizes_count_every_output(done: tuple[str, dict[str, Any], str, str]) -> None:
    name, document, _, _ = done
    features, outputs = {"wine": (13, 3), "diabetes": (10, 1), "labels": (6, 3), "fraud": (6, 1)}[
        name
    ]
    for point in document["curve"]:
        widths = [features, *point["units"], outputs]
        assert point["parameters"] == sum((i + 1) * o for i, o in pairwise(widths))


def test_mlflow_has_the_tasks_figures(
    home: Path, done: tuple[str, dict[str, Any], str, str]
) -> None:
    name, document, _, _ = done
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as connection:
        asked = (
            "SELECT key FROM metrics m JOIN runs r ON r.run_uuid = m.run_uuid "
            "WHERE r.experiment_id = ?"
        )
        keys = {
            key for (key,) in connection.execute(asked, [document["tracking"]["experiment_id"]])
        }
    assert f"test.{HEADLINES[name]}" in keys
    assert ("val_rmse" in keys) == (name == "diabetes")
    assert ("val_accuracy" in keys) == (name != "diabetes")


def test_the_kept_model_gives_what_people_can_use(
    home: Path, done: tuple[str, dict[str, Any], str, str]
) -> None:
    """Its predictions on validation rows score what the report says of it."""
    import keras

    from capsearch.data import cache
    from capsearch.kept import reader
    from capsearch.scoring import summary

    name, document, _, _ = done
    (folder,) = (home / "mlruns" / "models").glob(f"{name}-*/*")
    data = next(
        found for f in (home / "cache").glob("tables-*")
        if (found := cache.load(f)).task.kind == KINDS[name]
    )  # fmt: skip
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    said = model.predict(data.validation.x, verbose=0)
    said = said.ravel() if data.task.outputs == 1 else said
    told = summary(said, data.validation.y, data.task)
    assert told["loss"] == pytest.approx(document["selected"]["val_loss"], abs=0.1)
    kept = reader.load(folder)
    outputs = kept.outputs(data.validation.x)
    assert outputs == pytest.approx(said, rel=1e-5, abs=1e-6)
    assert len(kept.told(outputs)) == {"wine": 4, "diabetes": 1, "labels": 3, "fraud": 3}[name]
    stored = json.loads((folder / "task.json").read_text())
    assert stored["task"] == data.task.describe()
    assert stored["threshold"] == document["task"]["threshold"]


def test_a_probe_speaks_of_what_is_learned(
    home: Path, done: tuple[str, dict[str, Any], str, str]
) -> None:
    name, _, _, _ = done
    ended = capsearch(home, "probe", name, "--seeds", "1", "--epochs", "16", "--json")
    document = strict(ended.stdout)
    figures = {"diabetes": "R2", "labels": "label accuracy"}
    assert document["figure"] == figures.get(name, "accuracy")
    assert all(0.0 <= share <= 1.0 for size in document["sizes"] for share in size["learned"])
    assert document["reachable"] == 1.0


def test_data_are_shown_with_their_targets(
    home: Path, done: tuple[str, dict[str, Any], str, str]
) -> None:
    shown = capsearch(home, "data", done[0])
    words = {"wine": "Grignolino", "diabetes": "standard deviation", "labels": "dry & cold"}
    assert words.get(done[0], "fraud") in shown.stdout + shown.stderr
