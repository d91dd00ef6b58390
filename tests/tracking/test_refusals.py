"""MLflow that says no, has lost things, or is not installed: one warning, and the study goes on."""

import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from capsearch.records import StudyRecord
from capsearch.tracking import open_tracker
from tests.faults.proxy import Proxy
from tests.samples import record_of
from tests.servers import MlflowServer, free_port
from tests.tracking.place import Flaky, InMlflow, state_of, write_all

pytestmark = pytest.mark.integration
EXPERIMENT = "capsearch/imdb"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """MLflow's tables: making them takes seconds."""
    file = tmp_path_factory.mktemp("empty") / "m.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file.read_bytes()


@pytest.fixture
def place(tmp_path: Path, empty: bytes) -> InMlflow:
    (tmp_path / "m.db").write_bytes(empty)
    return InMlflow(f"sqlite:///{tmp_path / 'm.db'}", tmp_path)


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    whole = record_of()
    return replace(whole, trials=whole.trials[:3], replicates=())


def write(place: InMlflow, record: StudyRecord, name: str) -> Any:
    folder = place.root / name
    folder.mkdir()
    write_all(place.open(), record, folder)
    return state_of(place)


def client_of(place: InMlflow) -> MlflowClient:
    return MlflowClient(place.uri, place.uri)


def delete_experiment(place: InMlflow) -> None:
    client = client_of(place)
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None
    client.delete_experiment(found.experiment_id)


def test_a_deleted_experiment_is_restored_with_its_runs(
    place: InMlflow, record: StudyRecord
) -> None:
    whole = write(place, record, "first")
    delete_experiment(place)
    assert write(place, record, "again") == whole
    (told,) = place.warnings
    assert "restored" in told


def test_an_experiment_that_is_deleted_while_the_study_runs_is_told_of_once_and_restored_at_its_end(
    place: InMlflow, record: StudyRecord
) -> None:
    tracker = place.open()
    tracker.begin(record.study)
    tracker.log(record.trials[0])
    delete_experiment(place)
    for trial in record.trials[1:]:
        tracker.log(trial)
    (told,) = place.warnings
    assert "does not answer" not in told
    assert "when it is back" not in told
    assert "Restore it" in told
    assert tracker.missing == 2
    assert tracker.finish(record, place.root / "m.db", [], place.root / "none") is not None
    assert tracker.missing == 0
    assert set(place.trials()) == {t.id for t in record.trials}


def test_a_deleted_run_of_the_study_is_made_anew_and_nothing_is_doubled(
    place: InMlflow, record: StudyRecord
) -> None:
    runs, models, logged = write(place, record, "first")
    (parent,) = [r for r in place.runs() if r.data.tags.get("capsearch.group") == "study"]
    client_of(place).delete_run(parent.info.run_id)
    assert write(place, record, "again") == (runs, models, logged)
    (new,) = [r for r in place.runs() if r.data.tags.get("capsearch.group") == "study"]
    assert new.info.run_id != parent.info.run_id
    children = [r for r in place.runs() if r.info.run_id != new.info.run_id]
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {new.info.run_id}
    assert new.outputs is not None
    assert len(new.outputs.model_outputs) == 1


@pytest.mark.parametrize("what", ["a trial's run", "the model's version", "the registered model"])
def test_what_was_deleted_is_written_again(what: str, place: InMlflow, record: StudyRecord) -> None:
    runs, models, logged = write(place, record, "first")
    client, name = client_of(place), "capsearch-imdb"
    if what == "a trial's run":
        (run,) = [
            r for r in place.runs() if r.data.tags.get("capsearch.trial") == record.trials[0].id
        ]
        client.delete_run(run.info.run_id)
    elif what == "the model's version":
        client.delete_model_version(name, "1")
    else:
        client.delete_registered_model(name)
    again = write(place, record, "again")
    assert again[0] == runs
    assert len(again[1]) == len(models)
    assert again[2] == logged
    assert place.warnings == []


def test_runs_that_came_back_with_a_restored_experiment_are_not_doubled(
    place: InMlflow, record: StudyRecord
) -> None:
    """MLflow restores every run with it, also those that were deleted and made anew before."""
    whole = write(place, record, "first")
    for run in place.runs():
        client_of(place).delete_run(run.info.run_id)
    assert write(place, record, "second") == whole
    delete_experiment(place)
    assert write(place, record, "third") == whole


def test_a_run_that_another_driver_made_at_the_same_moment_is_gone_at_the_end(
    place: InMlflow, record: StudyRecord
) -> None:
    first = place.open()
    first.begin(record.study)
    sleeper = place.open()  # it looked before the first one wrote
    sleeper.begin(record.study)
    for tracker in (first, sleeper):
        for trial in record.trials:
            tracker.log(trial)
    assert first.finish(record, place.root / "m.db", [], place.root / "none") is not None
    assert set(place.trials()) == {t.id for t in record.trials}


def test_who_may_write_is_asked_before_every_call_and_nothing_is_written_after_a_no(
    tmp_path: Path, empty: bytes, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at every call in turn; the next driver ends with everything once."""
    monkeypatch.setattr("capsearch.tracking.writer.MlflowClient", Flaky)
    record = replace(record, trials=record.trials[:1])

    def cut_after(calls: int) -> tuple[Any, int]:
        folder = tmp_path / str(calls)
        folder.mkdir()
        (folder / "m.db").write_bytes(empty)
        place = InMlflow(f"sqlite:///{folder / 'm.db'}", folder)
        Flaky.calls, Flaky.fails = [], 0
        tracker = place.open(lambda: len(Flaky.calls) < calls)
        tracker.begin(record.study)
        for trial in record.trials:
            tracker.log(trial)
        report, model = folder / "report.html", folder / "model"
        report.write_text("<p>report</p>")
        model.mkdir()
        tracker.finish(record, report, [], model)
        tracker.close()
        made = Flaky.calls[calls:]
        assert made in ([], ["delete_run"])  # the one that it had just made
        done = len(Flaky.calls) - len(made)
        assert place.warnings == []
        return write(place, record, "next"), done

    whole, calls = cut_after(1000)
    assert calls > 20
    for count in range(calls):
        state, done = cut_after(count)
        assert done == count
        assert state == whole, count


def test_a_check_that_fails_counts_as_a_no(tmp_path: Path, record: StudyRecord) -> None:
    from capsearch.errors import StoreUnavailable

    def fails() -> bool:
        raise StoreUnavailable("away")

    told: list[str] = []
    tracker = open_tracker(f"sqlite:///{tmp_path / 'm.db'}", tmp_path, told.append, fails)
    tracker.begin(record.study)
    assert tracker.missing == 1
    tracker.close()
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_is_told_of_once_and_made_up_for_by_a_later_start(
    mlflow_server: MlflowServer, tmp_path: Path, record: StudyRecord
) -> None:
    with Proxy(mlflow_server.port) as proxy:
        place = InMlflow(proxy.uri, tmp_path)
        proxy.mood = "refusing"
        tracker = place.open()
        tracker.begin(record.study)
        for trial in record.trials:
            tracker.log(trial)
        assert proxy.asked == 1  # asking on and on with a wrong password locks people out
        assert tracker.finish(record, tmp_path, [], tmp_path) is None
        tracker.close()
        assert proxy.asked == 2
        (told,) = place.warnings
        assert "does not answer" not in told
        assert "Check " in told
        assert "back" not in told
        proxy.mood = "fine"
        write(place, record, "later")
    assert set(InMlflow(mlflow_server.uri, tmp_path).trials()) == {t.id for t in record.trials}


def test_a_server_that_accepts_again_before_the_end_has_everything(
    mlflow_server: MlflowServer, tmp_path: Path, record: StudyRecord
) -> None:
    with Proxy(mlflow_server.port) as proxy:
        place = InMlflow(proxy.uri, tmp_path)
        tracker = place.open()
        tracker.begin(record.study)
        proxy.mood = "refusing"
        for trial in record.trials:
            tracker.log(trial)
        proxy.mood = "fine"
        report = tmp_path / "r.html"
        report.write_text("<p>report</p>")
        assert tracker.finish(record, report, [], tmp_path / "none") is not None
        assert tracker.missing == 0


@pytest.mark.parametrize("fault", ["no database", "another version", "read only"])
def test_a_store_that_cannot_be_used_is_known_at_once_and_is_no_outage(
    fault: str, place: InMlflow, record: StudyRecord
) -> None:
    file = place.root / "m.db"
    if fault == "no database":
        file.write_text("this is no database" * 100)
    elif fault == "another version":
        with closing(sqlite3.connect(file)) as store:
            store.execute("UPDATE alembic_version SET version_num = 'another'")
            store.commit()
    else:
        place.uri = f"sqlite:///file:{file}?mode=ro&uri=true"
    began = time.monotonic()
    tracker = place.open()
    tracker.begin(record.study)
    tracker.log(record.trials[0])
    assert time.monotonic() - began < 10
    assert tracker.missing == 2
    (told,) = place.warnings
    assert "does not answer" not in told


def test_a_store_that_another_process_holds_is_an_outage(
    place: InMlflow, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capsearch.tracking.mlflow.PAUSE", 0)
    tracker = place.open()
    with closing(sqlite3.connect(place.root / "m.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        tracker.begin(record.study)
        other.execute("ROLLBACK")
    tracker.log(record.trials[0])
    assert ["does not answer" in told for told in place.warnings] == [True, False]
    assert tracker.missing == 0


def test_a_trial_that_mlflow_does_not_accept_is_left_out_and_the_others_are_written(
    place: InMlflow, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = record.trials[1].id

    class Strict(Flaky):
        def __getattr__(self, name: str) -> Any:
            call = super().__getattr__(name)

            def checked(*args: Any, **more: Any) -> Any:
                run = call(*args, **more)
                if more.get("tags", {}).get("capsearch.trial") == strange:
                    raise MlflowException("Invalid value", INVALID_PARAMETER_VALUE)
                return run

            return checked if name == "create_run" else call

    with monkeypatch.context() as patched:
        patched.setattr("capsearch.tracking.writer.MlflowClient", Strict)
        tracker = place.open()
        tracker.begin(record.study)
        for trial in (*record.trials, *record.trials):
            tracker.log(trial)
        assert tracker.missing == 1
        assert set(place.trials()) == {t.id for t in record.trials} - {strange}
        (told,) = place.warnings
        assert "does not accept" in told
    write(place, record, "later")
    assert set(place.trials()) == {t.id for t in record.trials}


@pytest.mark.parametrize("through", ["http_proxy", "no_proxy"])
def test_a_server_is_reached_as_its_client_reaches_it(
    through: str,
    mlflow_server: MlflowServer,
    tmp_path: Path,
    record: StudyRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a proxy of the environment, where no direct connection can be made; and beside one."""
    for name in ("HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy(mlflow_server.port) as proxy:
        if through == "http_proxy":
            monkeypatch.setenv("http_proxy", proxy.uri)
            monkeypatch.setenv("no_proxy", "")
            place = InMlflow("http://mlflow.invalid", tmp_path)
        else:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            place = InMlflow(proxy.uri, tmp_path)
        tracker = place.open()
        tracker.begin(record.study)
        tracker.log(record.trials[0])
        tracker.close()
        assert place.warnings == []
        assert tracker.missing == 0
        assert proxy.asked > 3


def test_an_mlflow_that_cannot_be_imported_costs_a_warning(
    tmp_path: Path, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "capsearch.tracking.writer", None)
    told: list[str] = []
    tracker = open_tracker(f"sqlite:///{tmp_path / 'm.db'}", tmp_path, told.append)
    tracker.begin(record.study)
    for trial in record.trials:
        tracker.log(trial)
    assert tracker.missing == 4
    assert tracker.finish(record, tmp_path, [], tmp_path) is None
    tracker.close()
    (line,) = told
    assert "cannot be imported" in line
    assert list(tmp_path.iterdir()) == []
