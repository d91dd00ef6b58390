"""Everything that a person sees of a study in MLflow, without ids and times: to compare two."""

from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

TIMED = ("seconds",)  # metrics that no two runs share
NAMED_ANEW = ("mlflow.parentRunId", "mlflow.user", "mlflow.source.git.commit")


def shown(store: Path, artifacts: Path) -> dict[str, Any]:
    """Of one server's store: runs by their names, models, and every file of theirs."""
    uri = f"sqlite:///{store}"
    client = MlflowClient(uri, uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = list(client.search_runs(experiments, max_results=5000))
    names = [_name(run) for run in runs]
    assert len(names) == len(set(names)), sorted(names)
    versions = client.search_model_versions()
    logged = client.search_logged_models(experiments)
    ids = {run.info.run_id: _name(run) for run in runs}
    ids |= {str(model.model_id): "model" for model in logged}
    return {
        "runs": {_name(run): _run(client, run) for run in runs},
        "models": [(m.name, m.version, ids[str(m.run_id)]) for m in versions],
        "logged": [(str(m.status), m.name) for m in logged],
        "files": _files(artifacts, ids),
    }


def _name(run: Run) -> str:
    """The trial's, for two candidates of a rung may have the same layers; or the study's own."""
    return str(run.data.tags.get("capsearch.trial", run.info.run_name))


def _run(client: MlflowClient, run: Run) -> dict[str, Any]:
    metrics = [key for key in run.data.metrics if key not in TIMED]
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if k not in NAMED_ANEW},
        "metrics": {key: _history(client, run.info.run_id, key) for key in metrics},
        "inputs": sorted(d.dataset.name for d in run.inputs.dataset_inputs) if run.inputs else [],
    }


def _history(client: MlflowClient, run: str, key: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in client.get_metric_history(run, key))


def _files(artifacts: Path, ids: dict[str, str]) -> list[str]:
    """Paths below the runs and models that are there, by their names."""
    found = []
    for file in filter(Path.is_file, artifacts.rglob("*")):
        place = next((n for n, part in enumerate(file.parts) if part in ids), None)
        if place is not None:
            found.append("/".join([ids[file.parts[place]], *file.parts[place + 1 :]]))
    return sorted(found)
