"""One study in MLflow: an experiment, a parent run, a child run a trial, one registered model.

Every step looks first for what it would make, so that a step may be cut or repeated anywhere: a new
`Writer` finds what an earlier one left, deletes a child that was not ended, and goes on. Explicit
client calls only: no autologging, no global run. Whatever MLflow raises passes through.
"""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.runs import (
    dataset_inputs,
    measurements,
    note_of,
    params_of,
    result_metrics,
    run_name,
    study_params,
    study_tags,
)

BATCH = 1000  # metrics that MLflow takes at once
EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # opens as model training
PARENT, TRIAL, KEY = "mlflow.parentRunId", "capsearch.trial", "capsearch.key"
CHOICE = "capsearch.choice"


class Writer:
    """A study's experiment and parent run, found or made. `artifacts`: of a store without its own.

    `written` holds the ids of the trials that MLflow has.
    """

    def __init__(self, uri: str, artifacts: str | None, study: Study) -> None:
        self._client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._study, self._remote = study, uri.startswith("http")
        self._experiment = self._experiment_of(f"capsearch/{study.name}", artifacts)
        self._parent = self._parent_run()
        self.written: set[str] = set()
        for run in self._children():
            if run.info.status == "RUNNING":  # its writer died half-way: write it anew
                self._client.delete_run(run.info.run_id)
            else:
                self.written.add(run.data.tags[TRIAL])

    def write(self, trial: Trial) -> None:
        """An ended trial as a child run, ended last of all."""
        outcome = trial.outcome
        if outcome is None or trial.id in self.written:
            return
        end = int(time.time() * 1000)
        start = end - int(outcome.seconds * 1000)
        tags = {PARENT: self._parent, TRIAL: trial.id, KEY: self._study.key}
        tags |= {"capsearch.group": trial.group, "capsearch.rung": str(trial.rung)}
        if outcome.reason:
            tags["capsearch.reason"] = outcome.reason
        run = self._client.create_run(
            self._experiment, start_time=start, tags=tags, run_name=run_name(trial)
        )
        metrics = [Metric(k, v, start, step) for k, v, step in measurements(trial)]
        params = [Param(k, v) for k, v in params_of(trial).items()]
        self._client.log_batch(run.info.run_id, metrics[:BATCH], params)
        for first in range(BATCH, len(metrics), BATCH):
            self._client.log_batch(run.info.run_id, metrics[first : first + BATCH])
        status = "FINISHED" if outcome.complete else "FAILED"
        self._client.set_terminated(run.info.run_id, status, end)
        self.written.add(trial.id)

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path, shown: str
    ) -> Tracking:
        """The result, the report and the model; the parent run is ended last of all."""
        version = self._register(record, model)
        when = int(datetime.fromisoformat(record.test.opened_at).timestamp() * 1000)
        held = self._client.get_run(self._parent).data.metrics
        metrics = [Metric(k, v, when, step) for k, v, step in result_metrics(record)]
        fresh = [m for m in metrics if m.key not in held]
        note = RunTag("mlflow.note.content", note_of(record))
        self._client.log_batch(self._parent, fresh, tags=[note])
        self._client.log_artifact(self._parent, str(report))
        for figure in figures:
            self._client.log_artifact(self._parent, str(figure), "figures")
        self._client.set_terminated(self._parent, "FINISHED")
        return Tracking(shown, self._experiment, self._parent, version)

    def stop(self) -> None:
        """Leave the parent run marked as cut short, unless another process has ended it."""
        if self._client.get_run(self._parent).info.status == "RUNNING":
            self._client.set_terminated(self._parent, "KILLED")

    def _experiment_of(self, name: str, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifacts, EXPERIMENT))

    def _parent_run(self) -> str:
        """Made with the tags by which it is found; described anew whenever it is opened."""
        study = self._study
        mine = f"tags.`{KEY}` = '{study.key}' AND tags.`capsearch.group` = 'study'"
        runs = self._client.search_runs([self._experiment], mine, max_results=1)
        run = runs[0] if runs else self._client.create_run(
            self._experiment, tags=study_tags(study), run_name=f"study {study.key}"
        )  # fmt: skip
        parent: str = run.info.run_id
        self._insist_on_own_place(run.info.artifact_uri)
        self._client.log_batch(parent, params=[Param(*p) for p in study_params(study).items()])
        self._client.log_inputs(parent, dataset_inputs(study))
        self._client.log_text(parent, json.dumps(study.question, indent=2), "study.json")
        self._client.update_run(parent, status="RUNNING")
        return parent

    def _children(self) -> list[Run]:
        mine, found, token = f"tags.`{PARENT}` = '{self._parent}'", [], None
        while True:
            page = self._client.search_runs([self._experiment], mine, page_token=token)
            found += list(page)
            token = page.token
            if not token:
                return found

    def _register(self, record: StudyRecord, model: Path) -> str:
        """Log the model folder below the study's run, and register it; once."""
        name, choice = f"capsearch-{record.study.name}", record.choice.key
        for known in self._client.search_model_versions(f"name = '{name}'"):
            if known.run_id == self._parent and known.tags.get(CHOICE) == choice:
                return f"{name}/{known.version}"
        parameters = str(record.choice.selected.parameters)
        tags = {KEY: record.study.key, CHOICE: choice, "parameters": parameters}
        logged = self._logged_model(tags, model)
        self._make_registered_model(name)
        version = self._client.create_model_version(
            name,
            source=logged.artifact_location,
            run_id=self._parent,
            tags=tags,
            description=record.choice.reason,
            model_id=logged.model_id,
        )
        return f"{name}/{version.version}"

    def _logged_model(self, tags: dict[str, str], model: Path) -> Any:
        """The model below the study's run; one that was cut while it was written is made anew."""
        for known in self._client.search_logged_models([self._experiment]):
            mine = known.source_run_id == self._parent and known.tags.get(KEY) == tags[KEY]
            if mine and known.tags.get(CHOICE) == tags[CHOICE]:
                if str(known.status).endswith("READY"):
                    return known
                self._client.delete_logged_model(known.model_id)
        logged = self._client.create_logged_model(
            self._experiment, "selected", self._parent, tags, model_type="keras"
        )
        self._insist_on_own_place(logged.artifact_location)
        self._client.log_model_artifacts(logged.model_id, str(model))
        self._client.log_outputs(self._parent, [LoggedModelOutput(logged.model_id, step=0)])
        return self._client.finalize_logged_model(logged.model_id, "READY")

    def _insist_on_own_place(self, artifacts: str) -> None:
        """A server that names a folder of this machine would have its files written there."""
        if self._remote and urlsplit(artifacts).scheme in ("", "file"):
            raise ValueError(
                f"the server keeps artifacts in {artifacts}, which would be on this machine; start "
                "it with --artifacts-destination, so that it takes them itself"
            )

    def _make_registered_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
