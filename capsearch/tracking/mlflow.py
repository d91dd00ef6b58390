"""MLflow: one experiment and one parent run a study, one child run a trial, one model at the end.

Explicit client calls only: no autologging, no global run. Whatever MLflow raises stays in here.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from capsearch.errors import BadRequest
from capsearch.records import Study, StudyRecord, Tracking, Trial
from capsearch.tracking.base import Warn
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

PAUSE = 15.0  # seconds before a server that failed is asked again
BATCH = 1000  # metrics that MLflow takes at once
EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # opens as model training
PARENT, TRIAL, KEY = "mlflow.parentRunId", "capsearch.trial", "capsearch.key"


class MlflowTracker:
    """Writes through to MLflow while it answers, and keeps the rest for later."""

    def __init__(self, uri: str, root: Path, warn: Warn) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self._uri, self._root, self._warn = uri, root, warn
        self._client = _client(uri)
        self._study: Study | None = None
        self._experiment, self._parent = "", ""
        self._written: set[str] = set()  # ids of the trials that MLflow has
        self._waiting: list[Trial] = []
        self._silent, self._retry_at, self._finished = False, 0.0, False

    @property
    def missing(self) -> int:
        return len(self._waiting) + (not self._parent)

    def begin(self, study: Study) -> None:
        self._study = study
        self._flush()

    def log(self, trial: Trial) -> None:
        if trial.id not in self._written:
            self._waiting.append(trial)
            self._flush()

    def finish(
        self, record: StudyRecord, report: Path, figures: Sequence[Path], model: Path
    ) -> Tracking | None:
        self._retry_at = 0.0  # the last chance of this run
        self._flush()
        if not self._parent:
            return None
        try:
            version = self._register(record, model)
            self._conclude(record, report, figures)
        except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
            self._fell_silent(error)
            return None
        self._finished = True
        return Tracking(self._shown, self._experiment, self._parent, version)

    def close(self) -> None:
        if self._parent and not self._finished and not self._silent:
            try:
                self._client.set_terminated(self._parent, "KILLED")
            except Exception as error:
                self._fell_silent(error)

    @property
    def _shown(self) -> str:
        """The URI as others may see it: without a password."""
        scheme, mark, rest = self._uri.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}" if "@" in rest else self._uri

    def _flush(self) -> None:
        """Write what waits; stop at the first failure, and leave the server alone for a while."""
        if time.monotonic() < self._retry_at:
            return
        try:
            if not self._parent and self._study is not None:
                self._open(self._study)
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.pop(0)
        except Exception as error:  # MLflow raises its own, requests' and SQLAlchemy's
            self._fell_silent(error)
            return
        if self._silent:
            self._silent = False
            self._warn("MLflow answers again; what was missing is written")

    def _fell_silent(self, error: Exception) -> None:
        if not self._silent:
            cause = str(error).splitlines()[0][:200].replace(self._uri, self._shown)
            self._warn(
                f"MLflow at {self._shown} does not answer ({type(error).__name__}: {cause}). The "
                "study goes on; what is missing is written when it is back"
            )
        self._silent, self._retry_at = True, time.monotonic() + PAUSE

    def _open(self, study: Study) -> None:
        """Find the study's experiment, run and child runs, or make them."""
        name = f"capsearch/{study.name}"
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._new_experiment(name)
        mine = f"tags.`{KEY}` = '{study.key}' AND tags.`capsearch.group` = 'study'"
        runs = self._client.search_runs([self._experiment], mine, max_results=1)
        parent = runs[0].info.run_id if runs else self._new_parent(study)
        for run in self._children(parent):
            if run.info.status == "RUNNING":  # its writer died half-way: write it anew
                self._client.delete_run(run.info.run_id)
            else:
                self._written.add(run.data.tags[TRIAL])
        self._waiting = [t for t in self._waiting if t.id not in self._written]
        self._client.update_run(parent, status="RUNNING")
        self._parent = parent

    def _new_experiment(self, name: str) -> str:
        local = self._uri.startswith("sqlite")
        artifacts = (self._root / "artifacts").absolute().as_uri() if local else None
        experiment: str = self._client.create_experiment(name, artifacts, EXPERIMENT)
        return experiment

    def _new_parent(self, study: Study) -> str:
        """The study's run; it gets its tags first, so that a crash leaves one that is found."""
        name = f"study {study.key}"
        run = self._client.create_run(self._experiment, tags=study_tags(study), run_name=name)
        parent: str = run.info.run_id
        params = [Param(*pair) for pair in study_params(study).items()]
        self._client.log_batch(parent, params=params)
        self._client.log_inputs(parent, dataset_inputs(study))
        self._client.log_text(parent, json.dumps(study.question, indent=2), "study.json")
        return parent

    def _children(self, parent: str) -> list[Run]:
        mine, found, token = f"tags.`{PARENT}` = '{parent}'", [], None
        while True:
            page = self._client.search_runs([self._experiment], mine, page_token=token)
            found += list(page)
            token = page.token
            if not token:
                return found

    def _write(self, trial: Trial) -> None:
        outcome, study = trial.outcome, self._study
        assert study is not None  # `begin` comes first
        if outcome is None or trial.id in self._written:
            return
        end = int(time.time() * 1000)
        start = end - int(outcome.seconds * 1000)
        tags = {PARENT: self._parent, TRIAL: trial.id, KEY: study.key}
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
        self._written.add(trial.id)

    def _conclude(self, record: StudyRecord, report: Path, figures: Sequence[Path]) -> None:
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

    def _register(self, record: StudyRecord, model: Path) -> str:
        """Log the model folder below the study's run, and register it; once."""
        name, choice = f"capsearch-{record.study.name}", record.choice.key
        for known in self._client.search_model_versions(f"name = '{name}'"):
            if known.run_id == self._parent and known.tags.get("capsearch.choice") == choice:
                return f"{name}/{known.version}"
        parameters = str(record.choice.selected.parameters)
        tags = {KEY: record.study.key, "capsearch.choice": choice, "parameters": parameters}
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
            if mine and known.tags.get("capsearch.choice") == tags["capsearch.choice"]:
                if str(known.status).endswith("READY"):
                    return known
                self._client.delete_logged_model(known.model_id)
        logged = self._client.create_logged_model(
            self._experiment, "selected", self._parent, tags, model_type="keras"
        )
        self._client.log_model_artifacts(logged.model_id, str(model))
        self._client.log_outputs(self._parent, [LoggedModelOutput(logged.model_id, step=0)])
        return self._client.finalize_logged_model(logged.model_id, "READY")

    def _make_registered_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _client(uri: str) -> Any:
    try:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        cause = str(error).splitlines()[0]
        raise BadRequest(
            f"--tracking-uri: MLflow cannot use this address ({cause}). Legal: sqlite:///FILE, "
            "postgresql://..., http://HOST:PORT"
        ) from error
