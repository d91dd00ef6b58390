"""A finished study as the JSON document of `--json`: the contract that batch jobs rely on."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import zip_longest
from math import isfinite
from pathlib import Path
from typing import Any

from capsearch.families.dense import settings_of
from capsearch.records import DataProfile, Estimate, Interval, StudyRecord, Tracking
from capsearch.report.facts import task_in
from capsearch.selection import by_log_loss
from capsearch.selection.judge import LOG_LOSS


def document(
    record: StudyRecord,
    tracking: Tracking | None,
    report: Path,
    model: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plain JSON values. `trials` counts baselines and search trials; replicates are not trials.

    `model` is what `kept.folder.about` tells; None while there is no kept model.
    """
    study, choice, uncertainty, test = record.study, record.choice, record.uncertainty, record.test
    task = task_in(record)
    complete = sum(1 for t in record.trials if t.outcome and t.outcome.complete)
    return {
        "study": study.name,
        "digest": study.digest,
        "status": "complete" if record.complete else "test held",
        "data": {
            "source": study.data.source,
            "sizes": study.data.sizes,
            "fingerprints": study.data.fingerprints,
            "folds": _folds(study.data),
        },
        "task": {
            "kind": task.kind,
            "labels": list(task.labels),
            "unit": task.unit,
            "headline": task.headline.name,
            "threshold": record.decision.threshold,
        },
        "trials": {"complete": complete, "failed": len(record.trials) - complete, "pruned": 0},
        "best": _estimate(record, choice.best),
        "selected": _estimate(record, choice.selected)
        | {
            "rule": choice.rule,
            "reason": choice.reason,
            "judge": study.question["select"].get("judge", LOG_LOSS),
            "margin": study.question["select"]["margin"],
            "claim": choice.standing,
            "probability": choice.probability,
        },
        "curve": [
            _estimate(record, point)
            | {"probability": probability, "metrics": _metrics(metrics or {})}
            for point, probability, metrics in zip_longest(
                record.estimates, record.decision.probabilities, record.decision.metrics
            )
        ],
        "test": {
            "loss": test.loss,
            "accuracy": test.accuracy,
            "opened_at": test.opened_at,
            "openings": test.openings,
            "metrics": _metrics(test.metrics),
        }
        if test
        else None,
        "doubt": {
            "stability": uncertainty.stability,
            "resamples": uncertainty.resamples,
            "price": uncertainty.loss_increase,
            "price_low": _finite(uncertainty.loss_increase_low),
            "price_high": _finite(uncertainty.loss_increase_high),
            "undecided": uncertainty.undecided,
            "advice": uncertainty.advice,
        },
        "checks": [
            {"code": c.code, "status": c.status, "message": c.sentence} for c in record.checks
        ],
        "tracking": {
            "uri": tracking.uri if tracking else None,
            "experiment_id": tracking.experiment_id if tracking else None,
            "run_id": tracking.run_id if tracking else None,
        },
        "report": str(report),
        "model": dict(model) if model else None,
        "seconds": round(record.seconds, 1),
        "engine": study.engine,
        "decided_at": record.decision.decided_at,
        "versions": record.decision.versions,
    }


def _folds(data: DataProfile) -> dict[str, int] | None:
    """None where some rows are held out for validation."""
    folds = data.folds
    return {"folds": folds.folds, "repeats": folds.repeats} if folds else None


def _metrics(metrics: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: asdict(figure) for name, figure in metrics.items()}


def _finite(value: float) -> float | None:
    """JSON knows no infinity: the end of an interval that too few replicates leave open."""
    return value if isfinite(value) else None


def _estimate(record: StudyRecord, estimate: Estimate) -> dict[str, Any]:
    """`val_loss` is log loss, `score` what the choice was judged by."""
    candidate, loss = estimate.candidate, by_log_loss(record, estimate)
    return {
        "units": list(candidate.units),
        **settings_of(candidate),
        "parameters": estimate.parameters,
        "val_loss": loss.mean,
        "val_loss_se": loss.se,
        "score": estimate.mean,
        "score_se": estimate.se,
    }
