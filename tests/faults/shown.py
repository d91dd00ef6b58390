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
    names = [str(run.info.run_name) for run in runs]
    assert len(names) == len(set(names)), sorted(names)
    versions = client.search_model_versions()
    logged = client.search_logged_models(experiments)
    ids = {run.info.run_id: str(run.info.run_name) for run in runs}
    ids |= {str(model.model_id): "model" for model in logged}
    return {
        "runs": {str(run.info.run_name): _run(client, run) for run in runs},
        "models": [(m.name, m.version, ids[str(m.run_id)]) for m in versions],
        "logged": [(str(m.status), m.name) for m in logged],
        "files": _files(artifacts, ids),
    }


def _run(client: MlflowClient, run: Run) -> dict[str, Any]:
    metrics = [key for key in run.data.metrics if key not in TIMED]
    return {
        "status": run.info.status,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if k not in NAMED_ANEW},
        "metrics": {key: _history(client, run.info.run_id, key) for key in metrics},
        "inputs": sorted(d.dataset.name for d in run.inputs.dataset_inputs) if run.inputs else [],
    }


def _history(client: MlflowClient, run: str, key: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in client.get_metric_history(run, key))


def _files(artifacts: Path, ids: dict[str, str]) -> list[str]:
    """Paths, with the names of runs in place of their ids."""
    found = []
    for file in artifacts.rglob("*"):
        if file.is_file():
            parts = file.relative_to(artifacts).parts
            found.append("/".join(ids.get(part, part) for part in parts))
    return sorted(found)
