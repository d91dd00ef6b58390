"""One study in MLflow: an experiment, a parent run, and a child run a trial.

Every step looks first for what it would make, so that a step may be cut or repeated anywhere: a new
`Writer` finds what an earlier one left, deletes a child that was not ended, and goes on. Look-ups
see what is active: a deleted run or model is made anew. Explicit client calls only: no autologging,
no global run. Whatever MLflow raises passes through.
"""

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import May, always
from capsearch.tracking.errors import NotAllowed
from capsearch.tracking.registry import check_artifacts, registered
from capsearch.tracking.runs import (
    KEY,
    PARENT,
    TRIAL,
    dataset_inputs,
    measurements,
    note_of,
    params_of,
    result_metrics,
    run_name,
    study_params,
    study_tags,
    trial_tags,
)

BATCH = 1000  # metrics that MLflow takes at once
EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # opens as model training


class AskingClient:
    """MLflow's client, for as long as this process `may` write: asked before every call.

    Every call raises NotAllowed once the answer is no, but for `remove`.
    """

    def __init__(self, uri: str, may: May) -> None:
        self._client, self._may = MlflowClient(tracking_uri=uri, registry_uri=uri), may

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not self._may():
            raise NotAllowed
        call: Callable[..., Any] = getattr(self._client, name)
        return call

    def remove(self, run: str) -> None:
        """Delete a run of this process's own that nobody else knows of."""
        self._client.delete_run(run)


class Writer:
    """A study's experiment and parent run, found or made.

    `written` holds the ids of the trials that MLflow has; `restored` is whether the experiment had
    been deleted.
    """

    def __init__(self, uri: str, artifacts: str | None, study: Study, may: May = always) -> None:
        """`artifacts`: the folder of a store that has none of its own."""
        self._client = AskingClient(uri, may)
        self._study, self._remote = study, uri.startswith("http")
        self.restored = False
        self.written: set[str] = set()
        self._experiment = self._experiment_of(f"capsearch/{study.name}", artifacts)
        runs = self._runs()
        self._parent = self._parent_of(runs)
        self._reconcile(runs)

    def write(self, trial: Trial) -> None:
        """An ended trial as a child run, ended last of all."""
        outcome = trial.outcome
        if outcome is None or trial.id in self.written:
            return
        end = int(time.time() * 1000)
        start = end - int(outcome.seconds * 1000)
        tags = {PARENT: self._parent} | trial_tags(trial, self._study)
        run = self._client.create_run(
            self._experiment, start_time=start, tags=tags, run_name=run_name(trial)
        ).info.run_id
        metrics = [Metric(k, v, start, step) for k, v, step in measurements(trial)]
        params = [Param(k, v) for k, v in params_of(trial).items()]
        try:
            self._client.log_batch(run, metrics[:BATCH], params)
            for first in range(BATCH, len(metrics), BATCH):
                self._client.log_batch(run, metrics[first : first + BATCH])
            self._client.set_terminated(run, "FINISHED" if outcome.complete else "FAILED", end)
        except NotAllowed:  # another process has the study, and may have looked already
            self._client.remove(run)
            raise
        self.written.add(trial.id)

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path, shown: str
    ) -> Tracking:
        """The result, the report and the model; the parent run is ended last of all."""
        version = None
        if model.is_dir():
            version = registered(
                self._client, record, model, self._experiment, self._parent, remote=self._remote
            )
        assert record.complete  # a study whose test split is sealed is not finished here
        ended = record.test.opened_at if record.test else record.decision.decided_at
        when = int(datetime.fromisoformat(ended).timestamp() * 1000)
        held = self._client.get_run(self._parent).data.metrics
        metrics = [Metric(k, v, when, step) for k, v, step in result_metrics(record)]
        fresh = [m for m in metrics if m.key not in held]
        note = RunTag("mlflow.note.content", note_of(record))
        self._client.log_batch(self._parent, fresh, tags=[note])
        self._client.log_artifact(self._parent, str(report))
        for figure in figures:
            self._client.log_artifact(self._parent, str(figure), "figures")
        self._reconcile(self._runs())
        self._client.set_terminated(self._parent, "FINISHED")
        return Tracking(shown, self._experiment, self._parent, version)

    def stop(self) -> None:
        """Leave the parent run marked as cut short, unless another process has ended it."""
        if self._client.get_run(self._parent).info.status == "RUNNING":
            self._client.set_terminated(self._parent, "KILLED")

    def _experiment_of(self, name: str, artifacts: str | None) -> str:
        """One that was deleted comes back with its runs: its name can have no other."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name, artifacts, EXPERIMENT))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
            self.restored = True
        return str(found.experiment_id)

    def _parent_of(self, runs: Sequence[Run]) -> str:
        """Made with the tags by which it is found; described anew whenever it is opened."""
        study = self._study
        run = next((r for r in runs if TRIAL not in r.data.tags), None)
        if run is None:
            run = self._client.create_run(
                self._experiment, tags=study_tags(study), run_name=f"study {study.key}"
            )
        parent: str = run.info.run_id
        check_artifacts(run.info.artifact_uri, self._remote)
        self._client.log_batch(parent, params=[Param(*p) for p in study_params(study).items()])
        self._client.log_inputs(parent, dataset_inputs(study))
        self._client.log_text(parent, json.dumps(study.question, indent=2), "study.json")
        self._client.update_run(parent, status="RUNNING")
        return parent

    def _runs(self) -> list[Run]:
        """The study's own run and its trials', the newest first."""
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`{KEY}` = '{self._study.key}'", page_token=token
            )
            found += list(page)
            token = page.token
            if not token:
                return found

    def _reconcile(self, runs: Sequence[Run]) -> None:
        """Leave one run of the study's own, and below it one ended run a trial.

        Others are there when a writer died half-way, when two drivers wrote at the same moment, or
        when runs were deleted and came back; children of a deleted run get a new parent.
        """
        self.written = set()
        for run in runs:
            id_, tags = run.info.run_id, run.data.tags
            trial = tags.get(TRIAL, "")
            doubled = id_ != self._parent if not trial else trial in self.written
            if doubled or (trial and run.info.status == "RUNNING"):
                self._client.delete_run(id_)
            elif trial:
                if tags.get(PARENT) != self._parent:
                    self._client.set_tag(id_, PARENT, self._parent)
                self.written.add(trial)
