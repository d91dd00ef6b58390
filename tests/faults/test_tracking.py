"""MLflow servers that go away in the middle of a study, are slow, or fail for a while."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from capsearch.records import StudyRecord
from capsearch.tracking.background import BackgroundTracker
from capsearch.tracking.mlflow import MlflowTracker
from tests.faults.outage import outage, undisturbed
from tests.faults.place import NAME, QUICK, SEARCH, Place, ending, until
from tests.faults.proxy import Mood, Proxy
from tests.faults.shown import shown
from tests.samples import record_of
from tests.servers import MlflowServer

pytestmark = pytest.mark.integration
RECORD = record_of(per_rung=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_server_that_comes_back_after_the_study_is_told_all_of_it_once(
    tmp_path: Path, cache: Path
) -> None:
    same = undisturbed(tmp_path / "whole", cache)
    seen = outage(tmp_path / "away", cache, signal.SIGKILL, away=SEARCH, back=None)
    assert seen == same


def finish(tracker: Any, record: StudyRecord, folder: Path) -> None:
    report, model = folder / "report.html", folder / "model"
    report.write_text("<p>report</p>")
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}\n")
    assert any(tracker.finish(record, report, [], model) for _ in range(3))
    assert tracker.missing == 0
    tracker.close()


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """What an undisturbed writer leaves."""
    folder = tmp_path / "whole"
    folder.mkdir()
    tracker = MlflowTracker(f"sqlite:///{folder / 'server.db'}", folder, print)
    tracker.begin(RECORD.study)
    for trial in RECORD.trials:
        tracker.log(trial)
    finish(tracker, RECORD, folder)
    return shown(folder / "server.db", folder / "artifacts")


@pytest.mark.parametrize("mood", ["failing", "deaf", "slow"])
def test_a_server_in_a_bad_mood_ends_with_everything_once_and_delays_nobody(
    mlflow_server: MlflowServer,
    whole: dict[str, Any],
    tmp_path: Path,
    mood: Mood,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capsearch.tracking.mlflow.PAUSE", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    told: list[str] = []
    with Proxy(mlflow_server.port) as proxy:
        tracker = BackgroundTracker(
            lambda may: MlflowTracker(proxy.uri, tmp_path, told.append, may)
        )
        tracker.begin(RECORD.study)
        for number, trial in enumerate(RECORD.trials):
            if number == 3:
                proxy.mood = mood
            began = time.monotonic()
            tracker.log(trial)
            assert time.monotonic() - began < 0.5
            time.sleep(0.05)
        if mood != "slow":
            while not told:  # a first failure is tried again in silence
                time.sleep(0.05)
        proxy.mood = "slow" if mood == "slow" else "fine"
        finish(tracker, RECORD, tmp_path)
    assert shown(tmp_path / "server.db", tmp_path / "artifacts") == whole
    assert ["does not answer" in line for line in told] == [True, False] * (len(told) // 2)
    assert bool(told) == (mood != "slow")


def test_a_run_whose_making_was_never_answered_is_found_and_not_made_again(
    mlflow_server: MlflowServer,
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The study's own run, and then a trial's, whatever the environment says of retries."""
    monkeypatch.setattr("capsearch.tracking.mlflow.PAUSE", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    told: list[str] = []
    with Proxy(mlflow_server.port) as proxy:
        tracker = BackgroundTracker(
            lambda may: MlflowTracker(proxy.uri, tmp_path, told.append, may)
        )
        proxy.lost = ("runs/create",)
        tracker.begin(RECORD.study)
        assert until(lambda: bool(told), 60.0)
        for trial in RECORD.trials:
            time.sleep(0.05)  # some come after the pause
            tracker.log(trial)
        assert until(lambda: proxy.failed > 1, 60.0)
        proxy.lost = ()
        finish(tracker, RECORD, tmp_path)
        assert shown(tmp_path / "server.db", tmp_path / "artifacts") == whole


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Iterator[Place]:
    with ending(Place(tmp_path / "study", cache, QUICK)) as started:
        yield started


TRIALS = "SELECT count(*) FROM capsearch_trials"
BROKEN = {
    "missing": 'raise ModuleNotFoundError("No module named mlflow")',
    "broken": 'raise AttributeError("module numpy has no attribute float_")',
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_study_whose_mlflow_cannot_be_imported_ends_with_its_result(
    how: str, place: Place, tmp_path: Path
) -> None:
    """A later start, when it can, writes every run; the model was not kept in MLflow's form."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").write_text(BROKEN[how])
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    study = place.study(PYTHONPATH=path)
    assert study.wait(300) == 0, place.said(study)
    said = " ".join(place.said(study).split())
    assert "cannot be imported" in said
    assert "does not answer" not in said
    document = json.loads(place.printed(study))
    assert document["tracking"]["run_id"] is None
    assert document["test"]["accuracy"] > 0.5
    again = place.study()
    assert again.wait(300) == 0, place.said(again)
    assert json.loads(place.printed(again))["tracking"]["run_id"]
    runs = "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active' AND status != 'RUNNING'"
    planned = place.ask(TRIALS)[0][0]
    assert place.runs(runs)[0][0] == planned + 1


def test_a_study_whose_experiment_was_deleted_is_written_where_it_was(place: Place) -> None:
    first = place.study()
    assert first.wait(300) == 0, place.said(first)
    client = MlflowClient(f"sqlite:///{place.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(f"capsearch/{NAME}")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with closing(sqlite3.connect(place.root / "studies.db")) as connection:
        connection.execute("UPDATE capsearch_studies SET tracking = NULL")  # as if it had been away
        connection.commit()
    again = place.study()
    assert again.wait(300) == 0, place.said(again)
    assert "does not answer" not in place.said(again)
    assert json.loads(place.printed(again))["tracking"]["experiment_id"] == experiment.experiment_id
    assert client.get_experiment(experiment.experiment_id).lifecycle_stage == "active"


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "mysql+none://h/x"])
def test_an_address_that_mlflow_can_never_use_ends_the_study_before_it_trains(
    uri: str, place: Place
) -> None:
    study = place.study("--tracking-uri", uri)
    assert study.wait(120) == 2
    assert "--tracking-uri" in place.said(study)
    assert place.ask(TRIALS) in ([], [(0,)])
