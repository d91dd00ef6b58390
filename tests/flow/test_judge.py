"""A whole study judged by 0-1 error: what decides, what is shown, and what stays log loss."""

import json
from math import log

import numpy as np
import pytest

from capsearch.report.page import draw, render
from capsearch.selection import CapacityCurve, of_finalists
from tests.fakes import spec_of
from tests.flow.test_run import Flow, flow  # noqa: F401 - a fixture


@pytest.mark.parametrize("judge", ["error", "brier"])
def test_a_study_is_decided_by_its_judge_and_still_tells_its_log_loss(
    flow: Flow,  # noqa: F811
    judge: str,
) -> None:
    flow.spec = spec_of(select={"replicates": 2, "judge": judge, "rule": "best"})
    result = flow(hold_test=True)
    record, document = result.record, result.document
    assert record is not None
    rows = {
        e.candidate: np.stack(
            [t.outcome.val_losses for t in record.replicates
             if t.candidate == e.candidate and t.outcome and t.outcome.val_losses is not None]
        ).astype(np.float64)
        for e in record.estimates
    }  # fmt: skip
    for point, shown in zip(record.estimates, document["curve"], strict=True):
        losses = rows[point.candidate]
        wrong, squared = losses > log(2.0), (1.0 - np.exp(-losses)) ** 2
        expected = {"error": wrong.mean(), "brier": squared.mean()}[judge]
        assert point.mean == shown["score"] == pytest.approx(expected, abs=1e-6)
        assert shown["val_loss"] == pytest.approx(losses.mean(), abs=1e-6)
    assert record.choice.best == CapacityCurve(record.estimates).best
    assert document["selected"]["judge"] == judge
    finalists = of_finalists((*record.trials, *record.races), record.replicates)
    kept = {t.job.key: t.outcome for t in finalists}
    outcome = kept[record.choice.key]
    assert outcome is not None
    assert record.choice.val_loss == outcome.val_loss
    page = render(record, None, draw(record))
    assert {"error": "Validation error", "brier": "Validation Brier score"}[judge] in page
    json.dumps(document, allow_nan=False)
