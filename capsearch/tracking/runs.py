"""What a study and its trials look like as MLflow runs: names, parameters, metrics, tags. Pure."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from capsearch.families.dense import settings_of
from capsearch.records import Estimate, Study, StudyRecord, TestScore, Trial
from capsearch.selection import by_log_loss
from capsearch.words import network

PARENT, TRIAL, KEY = "mlflow.parentRunId", "capsearch.trial", "capsearch.key"
FORBIDDEN = re.compile(r"[^\w. :-]", re.ASCII)  # in MLflow's names
Measurement = tuple[str, float, int]  # key, value, step


def run_name(trial: Trial) -> str:
    """'baseline: original', 'rung 3: 16-22', 'replicate: 16-22 #2'."""
    group = f"rung {trial.rung}" if trial.group == "search" else trial.group
    return f"{group}: {trial.name}"


def params_of(trial: Trial) -> dict[str, str]:
    """The candidate and the job that trained it."""
    job = trial.job
    values: dict[str, Any] = settings_of(trial.candidate) | {"units": trial.candidate.label}
    values |= {"layers": len(trial.candidate.units), "parameters": trial.parameters}
    values |= {"seed": job.seed, "order": job.shuffle_seed, "epochs": job.epochs}
    return {name: str(value) for name, value in (values | {"patience": job.patience}).items()}


def measurements(trial: Trial) -> list[Measurement]:
    """Every epoch's losses and accuracies (step = epoch, from 1), then the summary. No NaN."""
    outcome = trial.outcome
    assert outcome is not None  # ended trials only
    curve = outcome.curve
    series = {
        "loss": curve.loss,
        "accuracy": curve.accuracy,
        "val_loss": curve.val_loss,
        "val_accuracy": curve.val_accuracy,
    }
    found = [(k, v, step) for k, values in series.items() for step, v in enumerate(values, 1)]
    found.append(("seconds", outcome.seconds, 0))
    found.append(("parameters", float(trial.parameters), 0))
    if outcome.complete:
        found.append(("best_epoch", float(outcome.best_epoch), 0))
        found.append(("best_val_loss", outcome.val_loss, 0))
        found.append(("best_val_accuracy", outcome.val_accuracy, 0))
    return [m for m in found if math.isfinite(m[1])]


def trial_tags(trial: Trial, study: Study) -> dict[str, str]:
    """By which a trial is found again, and why it failed."""
    tags = {TRIAL: trial.id, KEY: study.key, "capsearch.group": trial.group}
    tags["capsearch.rung"] = str(trial.rung)
    reason = trial.outcome.reason if trial.outcome else None
    return tags | ({"capsearch.reason": reason} if reason else {})


def study_tags(study: Study) -> dict[str, str]:
    prints = {f"capsearch.data.{k}": v for k, v in study.data.fingerprints.items()}
    own = {"capsearch.group": "study", KEY: study.key}
    own |= {"mlflow.source.name": f"capsearch study {study.name}", "mlflow.source.type": "JOB"}
    return own | {"capsearch.digest": study.digest} | prints


def study_params(study: Study) -> dict[str, str]:
    """The question, flattened to 'table.key'; at most 100, each at most 500 characters."""
    flat = dict(_flatten("", {k: v for k, v in study.question.items() if k != "baseline"}))
    flat = {FORBIDDEN.sub("_", key)[:250]: value for key, value in flat.items()}
    baselines = {f"baseline.{b['name']}": json.dumps(b) for b in study.question["baseline"]}
    return {k: v[:500] for k, v in list((flat | baselines).items())[:100]}


def dataset_inputs(study: Study) -> list[DatasetInput]:
    """The three splits as MLflow shows data sets: name, digest and size, no rows."""
    return [
        DatasetInput(
            Dataset(
                name=f"{study.data.source} {split}",
                digest=study.data.fingerprints[split][:32],
                source_type="capsearch",
                source=json.dumps({"source": study.data.source}),
                profile=json.dumps({"rows": rows, "positive": study.data.balance[split]}),
            ),
            [InputTag("mlflow.data.context", split)],
        )
        for split, rows in study.data.sizes.items()
    ]


def result_metrics(record: StudyRecord) -> list[Measurement]:
    """The choice, the best, the one test score, and the capacity curve (step = parameters)."""
    test = record.test
    scored = (
        [] if test is None else [("test.loss", test.loss, 0), ("test.accuracy", test.accuracy, 0)]
    )
    return [
        *_estimate(record, "selected", record.choice.selected),
        *_estimate(record, "best", record.choice.best),
        *scored,
        ("seconds", record.seconds, 0),
        *(
            ("capacity_curve.val_loss", by_log_loss(record, e).mean, e.parameters)
            for e in record.estimates
        ),
        *(("capacity_curve.score", e.mean, e.parameters) for e in record.estimates),
    ]


def note_of(record: StudyRecord) -> str:
    """The description of the study's run, in Markdown."""
    chosen, test = record.choice.selected, record.test
    doubts = "".join(f"- {check.code} {check.sentence}\n" for check in record.warnings)
    return (
        f"**Selected: {network(chosen.candidate.units)}, {chosen.parameters:,} parameters** "
        f"({record.choice.rule}): {record.choice.reason}.\n\n"
        f"{_tested(test)}.\n\n"
        f"{'Read with care:' if doubts else 'No check warns.'}\n\n{doubts}\n"
        "`report.html` is below *Artifacts*. Trials are the runs nested in this one: "
        "baselines, the search, and fresh-seed runs (replicates) of the finalists and baselines."
    )


def _tested(test: TestScore | None) -> str:
    if test is None:
        return "Test: none, for this study has no test split"
    return (
        f"Test, opened once: accuracy {test.accuracy:.2%} (95% interval {test.accuracy_low:.2%} "
        f"to {test.accuracy_high:.2%}), loss {test.loss:.4f}"
    )


def _estimate(record: StudyRecord, prefix: str, estimate: Estimate) -> list[Measurement]:
    """The score is what the choice was judged by."""
    loss = by_log_loss(record, estimate)
    return [
        (f"{prefix}.val_loss", loss.mean, 0),
        (f"{prefix}.val_loss_se", loss.se, 0),
        (f"{prefix}.score", estimate.mean, 0),
        (f"{prefix}.parameters", float(estimate.parameters), 0),
    ]


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)
    elif value is not None:
        yield prefix, str(value)
