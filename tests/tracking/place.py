"""MLflow's tracker on a store of its own: what it left there, and a client that fails."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mlflow import MlflowClient
from mlflow.entities import Run

from capsearch.records import StudyRecord
from capsearch.tracking import Tracker
from capsearch.tracking.base import always
from capsearch.tracking.mlflow import MlflowTracker


@dataclass
class InMlflow:
    """A store of its own, on SQLite."""

    uri: str
    root: Path
    warnings: list[str] = field(default_factory=list)

    def open(self, may: Callable[[], bool] = always) -> MlflowTracker:
        return MlflowTracker(self.uri, self.root, self.warnings.append, may)

    def runs(self) -> list[Run]:
        client = MlflowClient(self.uri, self.uri)
        experiments = [e.experiment_id for e in client.search_experiments()]
        return list(client.search_runs(experiments, max_results=5000))

    def trials(self) -> dict[str, str]:
        children = [r for r in self.runs() if "capsearch.trial" in r.data.tags]
        counted = Counter(r.data.tags["capsearch.trial"] for r in children)
        assert max(counted.values()) == 1, "doubled"
        assert {r.info.status for r in children} <= {"FINISHED", "FAILED"}
        return {
            r.data.tags["capsearch.trial"]: r.data.tags.get("capsearch.reason", "complete")
            for r in children
        }


class Flaky:
    """A client whose call number `fails` raises, after it took effect or before."""

    calls: ClassVar[list[str]] = []
    fails = 0
    after = True

    def __init__(self, **address: str) -> None:
        self._client = MlflowClient(**address)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self.calls.append(name)
            fails = len(self.calls) == self.fails
            if fails and not self.after:
                raise ConnectionError("refused")
            answer = getattr(self._client, name)(*args, **more)
            if fails:
                raise ConnectionError("reset")
            return answer

        return call


def write_all(tracker: Tracker, record: StudyRecord, folder: Path) -> None:
    """As the pipeline does; a finish that fails is tried again."""
    report, model = folder / "report.html", folder / "model"
    report.write_text("<p>report</p>")
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}\n")
    tracker.begin(record.study)
    for trial in record.trials:
        tracker.log(trial)
    assert any(tracker.finish(record, report, [], model) for _ in range(2))
    assert tracker.missing == 0
    tracker.close()


def state_of(place: InMlflow) -> Any:
    """Everything that a person would see, without ids and times."""
    client = MlflowClient(place.uri, place.uri)
    seen = []
    for run in place.runs():
        id_, data = run.info.run_id, run.data
        points = {key: len(client.get_metric_history(id_, key)) for key in data.metrics}
        artifacts = sorted(a.path for a in client.list_artifacts(id_))
        inputs = len(run.inputs.dataset_inputs) if run.inputs else 0
        seen.append((run.info.run_name, run.info.status, data.params, points, artifacts, inputs))
    models = [(m.version, m.tags.get("capsearch.choice")) for m in client.search_model_versions()]
    experiments = [e.experiment_id for e in client.search_experiments()]
    logged = [str(m.status) for m in client.search_logged_models(experiments)]
    return sorted(seen, key=str), models, logged
