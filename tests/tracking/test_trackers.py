"""Both trackers keep the contract; MLflow's also survives a server that goes away."""

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from capsearch.errors import BadRequest
from capsearch.records import Trial
from capsearch.tracking import Tracker, open_tracker
from capsearch.tracking.background import BackgroundTracker
from capsearch.tracking.mlflow import MlflowTracker
from capsearch.tracking.runs import note_of, trial_tags
from tests.contracts.tracker import TrackerContract
from tests.samples import record_of
from tests.servers import MlflowServer, free_port
from tests.tracking.memory import MemoryTracker
from tests.tracking.place import Flaky, InMlflow, state_of, write_all


@dataclass
class InMemory:
    """Each study has a tracker of its own, as each has a run of its own in MLflow."""

    opened: list[MemoryTracker] = field(default_factory=list)

    def open(self) -> Tracker:
        self.opened.append(MemoryTracker())
        return self.opened[-1]

    def trials(self) -> dict[str, str]:
        by_study: dict[str, dict[str, str]] = {}
        for tracker in self.opened:
            held = by_study.setdefault(tracker.studies[0].key, {})
            for id_, trial in tracker.trials.items():
                assert trial.outcome is not None
                held[id_] = trial.outcome.reason or "complete"
        counted = Counter(id_ for held in by_study.values() for id_ in held)
        assert max(counted.values()) == 1, "doubled"
        return {id_: state for held in by_study.values() for id_, state in held.items()}


class TestMemory(TrackerContract):
    @pytest.fixture
    def place(self) -> InMemory:
        return InMemory()


class InBackground(InMemory):
    """The tracker in memory, behind a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[BackgroundTracker] = []

    def open(self) -> Tracker:
        open_ = super().open
        self.threads.append(BackgroundTracker(lambda _: open_()))
        return self.threads[-1]

    def trials(self) -> dict[str, str]:
        assert [tracker.missing for tracker in self.threads] == [0] * len(self.threads)
        return super().trials()


class TestBackground(TrackerContract):
    @pytest.fixture
    def place(self) -> InBackground:
        return InBackground()


@pytest.mark.parametrize("uri", ["gopher://x", "mlruns", "file:///tmp/x", "http//localhost:5000"])
def test_an_address_of_no_known_kind_is_a_bad_request(uri: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="MLflow cannot use this address"):
        open_tracker(uri, tmp_path, print)


def test_what_waits_is_dropped_when_a_study_is_cut() -> None:
    """Closing must not take as long as a slow server needs for a hundred trials."""

    class Slow(MemoryTracker):
        def log(self, trial: Trial) -> None:
            time.sleep(0.2)
            super().log(trial)

    record, slow = record_of(), Slow()
    tracker = BackgroundTracker(lambda _: slow)
    tracker.begin(record.study)
    for trial in record.trials:
        tracker.log(trial)
    began = time.monotonic()
    tracker.close()
    assert time.monotonic() - began < 2
    assert slow.closed
    assert len(slow.trials) < len(record.trials)


@pytest.mark.integration
class TestMlflow(TrackerContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> InMlflow:
        return InMlflow(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)


@pytest.mark.integration
def test_runs_hold_every_epoch_and_what_the_trial_was(tmp_path: Path) -> None:
    place, record = InMlflow(f"sqlite:///{tmp_path / 'm.db'}", tmp_path), record_of()
    tracker = place.open()
    tracker.begin(record.study)
    trial = record.trials[0]
    tracker.log(trial)
    (run,) = [r for r in place.runs() if r.data.tags.get("capsearch.trial") == trial.id]
    client = MlflowClient(place.uri)
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert trial.outcome is not None
    assert [m.value for m in history] == pytest.approx(trial.outcome.curve.val_loss)
    assert [m.step for m in history] == list(range(1, len(trial.outcome.curve) + 1))
    assert run.data.params["units"] == "16-16"
    assert run.data.params["parameters"] == "160305"
    assert run.info.run_name == "baseline: original"
    (parent,) = [r for r in place.runs() if r.data.tags.get("capsearch.group") == "study"]
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.inputs is not None
    assert {d.dataset.name for d in parent.inputs.dataset_inputs} == {
        "imdb train", "imdb validation", "imdb test",
    }  # fmt: skip
    tracker.close()
    assert client.get_run(parent.info.run_id).info.status == "KILLED"


@pytest.mark.integration
def test_who_slept_through_the_end_of_a_study_leaves_its_run_finished(tmp_path: Path) -> None:
    place, record = InMlflow(f"sqlite:///{tmp_path / 'm.db'}", tmp_path), record_of()
    sleeper = place.open()
    sleeper.begin(record.study)
    write_all(place.open(), record, tmp_path)
    sleeper.close()
    (parent,) = [r for r in place.runs() if r.data.tags.get("capsearch.group") == "study"]
    assert parent.info.status == "FINISHED"


@pytest.mark.integration
def test_a_run_whose_writer_died_half_way_is_written_anew(tmp_path: Path) -> None:
    place, record = InMlflow(f"sqlite:///{tmp_path / 'm.db'}", tmp_path), record_of()
    tracker = place.open()
    tracker.begin(record.study)
    parent = place.runs()[0]
    tags = {"mlflow.parentRunId": parent.info.run_id} | trial_tags(record.trials[0], record.study)
    MlflowClient(place.uri).create_run(parent.info.experiment_id, tags=tags)
    again = place.open()
    again.begin(record.study)
    again.log(record.trials[0])
    assert set(place.trials()) == {record.trials[0].id}


@pytest.mark.integration
def test_a_server_that_was_away_ends_with_everything_once(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capsearch.tracking.mlflow.PAUSE", 0.5)
    place, record = InMlflow(mlflow_server.uri, tmp_path), record_of()
    tracker = place.open()
    tracker.begin(record.study)
    for trial in record.trials[:5]:
        tracker.log(trial)
    mlflow_server.stop()
    began = time.monotonic()
    for trial in record.trials[5:10]:
        tracker.log(trial)
    assert time.monotonic() - began < 20
    assert tracker.missing == 5
    mlflow_server.start()
    for trial in record.trials[10:]:
        tracker.log(trial)
        time.sleep(0.1)
    tracker.log(record.replicates[0])
    assert tracker.missing == 0
    assert set(place.trials()) == {t.id for t in record.trials} | {record.replicates[0].id}
    assert len(place.warnings) == 2
    assert "does not answer" in place.warnings[0]
    assert "answers again" in place.warnings[1]


@pytest.mark.integration
def test_a_server_leaves_standard_output_to_the_result(
    mlflow_server: MlflowServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MLflow prints the address of every run that ends on a server."""
    record = record_of(per_rung=1)
    tracker = MlflowTracker(mlflow_server.uri, tmp_path, print)
    tracker.begin(record.study)
    tracker.log(record.trials[0])
    tracker.close()
    assert tracker.missing == 0
    assert capsys.readouterr().out == ""


@pytest.mark.integration
def test_a_server_that_was_never_there_costs_a_warning_and_nothing_else(tmp_path: Path) -> None:
    place, record = InMlflow(f"http://me:s3cret@127.0.0.1:{free_port()}", tmp_path), record_of()
    tracker = place.open()
    tracker.begin(record.study)
    tracker.log(record.trials[0])
    assert tracker.missing == 2
    report = tmp_path / "r.html"
    report.write_text("")
    assert tracker.finish(record, report, [], tmp_path) is None
    tracker.close()
    (away,) = place.warnings
    assert "does not answer" in away
    assert "s3cret" not in away


@pytest.mark.integration
def test_a_database_that_is_away_costs_a_warning_and_no_time(tmp_path: Path) -> None:
    uri = f"postgresql+psycopg://me:s3cr%2Fet@127.0.0.1:{free_port()}/mlflow"
    place, record = InMlflow(uri, tmp_path), record_of()
    began = time.monotonic()
    tracker = place.open()
    tracker.begin(record.study)
    tracker.log(record.trials[0])
    tracker.close()
    assert time.monotonic() - began < 5
    assert tracker.missing == 2
    (warning,) = place.warnings
    assert "does not answer" in warning
    assert "s3cr" not in warning


@pytest.mark.integration
@pytest.mark.parametrize("after", [True, False])
def test_whichever_call_fails_everything_is_written_once(
    after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call in turn, before it takes effect and after: the reply is lost, not the change."""
    monkeypatch.setattr("capsearch.tracking.mlflow.PAUSE", 0)
    monkeypatch.setattr("capsearch.tracking.writer.MlflowClient", Flaky)
    monkeypatch.setattr(Flaky, "after", after)
    empty = tmp_path / "empty.db"
    MlflowClient(f"sqlite:///{empty}").search_experiments()
    whole = record_of()
    record = replace(whole, trials=whole.trials[:2], replicates=())

    def state_after(fails: int) -> Any:
        folder = tmp_path / str(fails)
        folder.mkdir()
        shutil.copy(empty, folder / "m.db")
        place = InMlflow(f"sqlite:///{folder / 'm.db'}", folder)
        Flaky.calls, Flaky.fails = [], fails
        write_all(place.open(), record, folder)
        assert len(place.warnings) == (2 if fails else 0)
        return state_of(place)

    undisturbed = state_after(0)
    names = list(Flaky.calls)
    assert len(names) > 20
    for number, name in enumerate(names, 1):
        assert state_after(number) == undisturbed, name


def test_the_note_of_a_study_names_its_warnings_by_code() -> None:
    record = record_of()
    assert record.warnings
    for check in record.warnings:
        assert f"- {check.code} {check.sentence}\n" in note_of(record)
    assert "No check warns." in note_of(replace(record, checks=()))
