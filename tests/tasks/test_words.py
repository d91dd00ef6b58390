"""What reports say of a task: its own names and figures, and nothing that it has not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.errors import BadRequest
from capsearch.randomness import halves
from capsearch.records import Interval, Outcome, StudyRecord, TestScore
from capsearch.report import facts
from capsearch.report.checks import CHECKS
from capsearch.report.compared import compared
from capsearch.report.document import document
from capsearch.report.page import draw, render
from capsearch.tasks import BINARY, Binary, Multiclass, Multilabel, Regression, Task
from capsearch.tasks.base import number
from capsearch.tasks.words import cut_at, score_of, target_cells, target_columns, with_ends
from capsearch.validation import JudgingRows
from tests.fakes import spec_of
from tests.samples import record_of

THREE = Multiclass(("red", "green", "<blue>"))
HOUSES = Regression(mean=200.0, scale=50.0)


def about(task: Task, *statistics: tuple[float, ...], sizes: int = 10_000) -> StudyRecord:
    """The sample study, as if it were of this task, with these statistics of its three splits."""
    record = record_of()
    data = record.study.data
    splits = tuple(data.sizes)
    targets = dict(zip(splits, statistics, strict=True))
    told = replace(
        data,
        task=task.describe(),
        targets=targets,
        balance={},
        sizes=dict.fromkeys(splits, sizes),
    )
    return replace(record, study=replace(record.study, data=told))


@pytest.mark.parametrize(
    ("value", "said"),
    [(53.264, "53.26"), (0.0012346, "0.001235"), (12345.6, "12,346"), (0.0, "0"), (-2.5, "-2.500")],
)
def test_numbers_have_four_digits(value: float, said: str) -> None:
    assert number(value) == said


def test_figures_are_written_by_what_they_are() -> None:
    figure = Interval(0.5, 0.25, 0.75)
    assert with_ends("accuracy", figure) == "50.0% (25.0% to 75.0%)"
    assert with_ends("auc", figure) == "0.5000 (0.2500 to 0.7500)"
    assert with_ends("rmse", Interval(5000.0, 4000.0, 6000.0)) == "5,000 (4,000 to 6,000)"
    assert BINARY.headline.change(0.886, 0.885) == "-0.1 points of accuracy"
    assert BINARY.headline.change(0.886, 0.8858) == "+0.0 points of accuracy"
    assert HOUSES.headline.change(53.26, 54.76) == "+1.50 RMSE"
    assert HOUSES.headline.change(2.077, 2.0632) == "-0.014 RMSE"
    assert HOUSES.headline.change(123456.0, 124456.4) == "+1,000 RMSE"


def test_targets_of_a_split_have_their_own_names() -> None:
    record = about(THREE, (0.5, 0.25, 0.25), (0.4, 0.3, 0.3), (0.5, 0.5, 0.0))
    assert target_columns(THREE) == ["red", "green", "<blue>"]
    assert target_cells(record.study.data, THREE, "validation") == ["40.0%", "30.0%", "30.0%"]
    many = Multiclass(tuple(f"class {n}" for n in range(20)))
    shares = tuple(n / 190 for n in range(20))
    crowd = about(many, shares, shares, shares).study.data
    assert len(target_columns(many)) == 2
    assert target_cells(crowd, many, "test") == ["class 19 (10.0%)", "class 0 (0.0%)"]
    assert target_columns(Binary(("no", "yes"))) == ["yes"]
    assert target_columns(BINARY) == ["positive"]


@pytest.mark.parametrize(
    ("statistics", "status", "said"),
    [
        ([(0.5, 0.3, 0.2)] * 3, "ok", "'red'"),
        ([(0.9, 0.06, 0.04)] * 3, "warning", "90.0% accurate"),
        ([(0.5, 0.3, 0.2)] * 2 + [(0.5, 0.5, 0.0)], "warning", "absent from a split: '<blue>'"),
        ([(0.5, 0.3, 0.2)] * 2 + [(0.5, 0.2, 0.3)], "warning", "differ in 'green', '<blue>'"),
    ],
)
def test_cs009_of_several_classes(statistics: Any, status: str, said: str) -> None:
    answer = CHECKS["CS009"](about(THREE, *statistics))
    assert answer.status == status
    assert said in answer.sentence


def test_cs009_leaves_to_chance_what_is_chance_in_few_rows() -> None:
    record = about(THREE, (0.5, 0.3, 0.2), (0.5, 0.3, 0.2), (0.5, 0.2, 0.3), sizes=40)
    assert CHECKS["CS009"](record).status == "ok"


@pytest.mark.parametrize(("mean", "status"), [(200.5, "ok"), (210.0, "warning")])
def test_cs009_of_a_number_is_about_the_means_of_the_splits(mean: float, status: str) -> None:
    answer = CHECKS["CS009"](about(HOUSES, (200.0, 50.0), (200.0, 49.0), (mean, 50.0)))
    assert answer.status == status
    assert "50.00" in answer.sentence


def test_cs002_a_linear_model_of_several_classes_may_have_smaller_neighbours() -> None:
    record = record_of()
    linear = record.estimates[0]
    assert not linear.candidate.units
    choice = replace(record.choice, selected=linear)
    smaller = (linear.parameters // 3, *record.study.ladder[1:])
    there = replace(
        record,
        decision=replace(record.decision, choice=choice),
        study=replace(record.study, ladder=smaller),
    )
    assert CHECKS["CS002"](there).status == "ok"


def test_cs016_says_what_a_network_does_that_learned_nothing() -> None:
    answer = CHECKS["CS016"](about(HOUSES, *[(200.0, 50.0)] * 3))
    assert answer.status == "ok"
    assert "always predicting the mean gives a validation loss of 1.0000" in answer.sentence


def test_two_networks_are_compared_in_accuracy_only_where_losses_tell_it() -> None:
    assert all(pair.accuracy is not None for pair in compared(record_of()))
    several = about(THREE, *[(0.5, 0.3, 0.2)] * 3)
    assert all(pair.accuracy is None for pair in compared(several))
    weighted = about(Binary(class_weights=(1.0, 2.0)), *[(0.5,)] * 3)
    assert all(pair.accuracy is None for pair in compared(weighted))


def as_numbers(record: StudyRecord) -> StudyRecord:
    """With curves and a score that a regression has."""

    def told(outcome: Outcome | None) -> Outcome | None:
        if outcome is None or not outcome.complete:
            return outcome
        series = outcome.curve
        curve = replace(
            series, accuracy=(), val_accuracy=(), rmse=series.loss, val_rmse=series.val_loss
        )
        return replace(outcome, curve=curve, val_accuracy=None, val_rmse=27.5)

    found = {"rmse": Interval(27.0, 25.0, 29.0), "r2": Interval(0.7, 0.6, 0.8)}
    score = TestScore(0.3, 0.2, 0.4, None, None, None, 100, "2026-01-02T03:04:05+00:00", 1, found)
    metrics = tuple(found for _ in record.estimates)
    return replace(
        record,
        trials=tuple(replace(t, outcome=told(t.outcome)) for t in record.trials),
        replicates=tuple(replace(t, outcome=told(t.outcome)) for t in record.replicates),
        decision=replace(record.decision, metrics=metrics),
        test=score,
    )


def test_a_page_about_a_number_knows_no_accuracy() -> None:
    record = as_numbers(about(HOUSES, *[(200.0, 50.0)] * 3))
    page = render(record, None, draw(record))
    assert "accuracy" not in page.lower()
    assert "Test RMSE" in page
    assert "R2" in page
    assert score_of(record.test, HOUSES).value == 27.0  # type: ignore[arg-type]
    assert facts.figure_change(record).endswith(" RMSE")


def test_labels_are_text_wherever_they_come_from() -> None:
    page = render(several := about(THREE, *[(0.5, 0.3, 0.2)] * 3), None, draw(several))
    assert "&lt;blue&gt;" in page
    assert "<blue>" not in page


def test_the_document_of_a_study_that_was_decided_before_there_were_metrics() -> None:
    record = record_of()
    told = document(record, None, Path("report.html"))
    assert told["task"]["threshold"] is None
    assert told["test"]["metrics"] == {}
    assert score_of(record.test, BINARY).value == record.test.accuracy  # type: ignore[arg-type,union-attr]


def test_a_threshold_is_told_where_it_is_not_one_half() -> None:
    fraud = Binary(("legal", "fraud"))
    assert "'fraud' is predicted from a probability of 0.218" in cut_at(fraud, 0.218)
    assert cut_at(fraud, 0.5) == cut_at(fraud, None) == cut_at(THREE, None) == ""


def test_metrics_are_of_the_rows_that_judge_and_of_every_seed() -> None:
    """Half of the rows stop training: their outputs, which are wrong here, count for nothing."""
    record = record_of()
    y = (np.arange(50) % 2).astype(np.float32)
    rows = JudgingRows.of(BINARY, y, "half")
    outputs = 1.0 - y
    outputs[halves(50)[1]] = y[halves(50)[1]]
    stored = outputs.astype(np.float32)
    found = rows.metrics(record.estimates, record.replicates, lambda _: stored, 0.5)
    assert len(found) == len(record.estimates)
    assert {each["accuracy"].value for each in found} == {1.0}
    assert rows.threshold(record.choice, lambda _: stored) == 0.5
    assert JudgingRows.of(THREE, y, "all").threshold(record.choice, lambda _: stored) is None


def test_outputs_of_several_classes_are_read_row_by_row() -> None:
    rows = JudgingRows.of(Multilabel(("a", "b")), np.zeros((4, 2), np.float32), "all")
    assert rows.outputs(np.arange(8, dtype=np.float32)).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("task", [THREE, HOUSES, Binary(class_weights=(1.0, 2.0))])
def test_a_judge_that_needs_two_classes_without_weights_is_refused_elsewhere(task: Task) -> None:
    statistics = task.statistics(np.array([0.0, 1.0, 1.0]))
    data = about(task, *[statistics] * 3).study.data
    asked = spec_of(select={"replicates": 2, "judge": "error"})
    with pytest.raises(BadRequest, match=r"select\.judge.*log_loss"):
        asked.for_data(data, sparse=False)
    assert spec_of().for_data(data, sparse=False).select.margin


def test_the_default_margin_is_a_share_of_the_blind_loss() -> None:
    data = about(HOUSES, (200.0, 50.0), (200.0, 75.0), (200.0, 50.0)).study.data
    assert spec_of().for_data(data, sparse=False).select.margin == pytest.approx(0.015 * 2.25, 1e-2)
