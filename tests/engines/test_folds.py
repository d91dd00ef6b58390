"""A training over folds: what each fold's network says of its rows, put together."""

from dataclasses import replace

import numpy as np
import pytest

from capsearch.data.source import Fold, SearchData
from capsearch.engines import folds
from capsearch.engines.base import Engine, Trained
from capsearch.engines.packed import PackedEngine
from capsearch.executors.train import kept
from capsearch.records import Candidate, Curve, Job, Outcome
from capsearch.scoring import predictions
from capsearch.tasks import Multiclass, Regression
from tests.fakes import task_data, toy_data

pytestmark = pytest.mark.integration  # kernels are compiled
CANDIDATE = Candidate((3,), learning_rate=0.02, batch_size=32)


def job(**more: object) -> Job:
    return Job.of(CANDIDATE, study_seed=1, replicate=0, **({"epochs": 6, "patience": 2} | more))


def for_(epochs: int) -> Job:
    """The same job for so many epochs."""
    return replace(job(), epochs=epochs, patience=epochs, stop_on="never")


def folded(data: SearchData, count: int = 3, repeats: int = 1) -> SearchData:
    """The training rows of `data` in folds."""
    rows, made = data.train, list[Fold]()
    for repeat in range(repeats):
        fold_of = np.random.default_rng(repeat).permutation(np.arange(len(rows)) % count)
        for fold in range(count):
            inside, outside = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            pair = SearchData(rows.take(inside), rows.take(outside), data.task)
            made.append(Fold(pair, outside))
    return SearchData(rows, rows, data.task, tuple(made))


@pytest.mark.parametrize("repeats", [1, 2])
def test_each_row_is_judged_by_the_network_of_its_fold(repeats: int) -> None:
    data, engine = folded(toy_data(dense=True), repeats=repeats), PackedEngine(threads=2)
    (found,) = folds.train(engine, [job()], data)
    stopped = [engine.train([job()], fold.data)[0].outcome for fold in data.folds]
    epochs = folds.of_others([outcome.best_epoch for outcome in stopped], data)
    alone = [
        engine.train([for_(number)], fold.data)[0].outcome
        for number, fold in zip(epochs, data.folds, strict=True)
    ]
    rows = np.zeros((repeats, len(data.train)))
    for number, (fold, outcome) in enumerate(zip(data.folds, alone, strict=True)):
        rows[number // 3, fold.places] = outcome.val_losses
    assert found.outcome.val_losses is not None
    np.testing.assert_allclose(found.outcome.val_losses, rows.mean(axis=0), rtol=1e-6)
    assert found.outcome.val_loss == pytest.approx(rows.mean(), rel=1e-6)
    bests = sorted(outcome.best_epoch for outcome in stopped)
    assert found.outcome.best_epoch == bests[(len(bests) - 1) // 2]
    assert len(found.outcome.curve) == max(len(outcome.curve) for outcome in stopped)
    sizes = [len(fold.places) for fold in data.folds]
    accuracy = np.average([outcome.val_accuracy or 0.0 for outcome in alone], weights=sizes)
    assert found.outcome.val_accuracy == pytest.approx(accuracy)
    assert found.weights == ()


def test_no_row_has_a_say_in_how_long_its_own_network_is_trained() -> None:
    """Worked by hand: the median of the others, of each repeat apart."""
    assert folds.of_others([3, 9, 4], folded(toy_data(dense=True))) == [4, 3, 3]
    twice = folded(toy_data(dense=True), repeats=2)
    assert folds.of_others([3, 9, 4, 1, 1, 8], twice) == [4, 3, 3, 1, 1, 1]
    assert folds.of_others([3, 9], folded(toy_data(dense=True), count=2)) == [9, 3]


def test_outputs_are_those_that_a_row_got_when_it_was_not_trained_on() -> None:
    task = Multiclass(("a", "b", "c"))
    data, engine = folded(task_data(task, dense=True, weighted=False), repeats=2), PackedEngine()
    (found,) = kept(folds.train(engine, [job()], data), data, keep=True)
    assert found.outputs is not None
    assert found.outputs.shape == (len(data.train), 3)
    stopped = [engine.train([job()], fold.data)[0].outcome for fold in data.folds]
    epochs = folds.of_others([outcome.best_epoch for outcome in stopped], data)
    for fold, number in zip(data.folds[:3], epochs[:3], strict=True):
        (alone,) = engine.train([for_(number)], fold.data)
        told = predictions(alone.weights, fold.data.validation.x, task)
        np.testing.assert_allclose(found.outputs[fold.places], told, atol=1e-6)


def test_a_regression_has_the_error_of_all_rows() -> None:
    data = folded(task_data(Regression(mean=-3.0, scale=12.0), dense=True, weighted=False))
    (found,) = folds.train(PackedEngine(), [job()], data)
    assert found.outcome.val_accuracy is None
    assert found.outcome.val_rmse == pytest.approx(12.0 * found.outcome.val_loss**0.5, rel=1e-4)


def test_a_job_fails_with_the_first_fold_that_fails() -> None:
    class Failing:
        pack = 1

        def __init__(self) -> None:
            self.calls = 0

        def train(self, jobs: object, data: SearchData) -> list[Trained]:
            self.calls += 1
            if self.calls == 2:
                return [Trained(Outcome.failed("diverged"), ())]
            losses = np.ones(len(data.validation), np.float32)
            curve = Curve((0.5,), (1.0,), (1.0,), (1.0,))
            weights = (np.zeros((data.features, 1), np.float32), np.zeros(1, np.float32))
            return [Trained(Outcome(curve, 1, 1.0, 1.0, 0.1, None, losses), weights)]

    engine: Engine = Failing()
    (found,) = folds.train(engine, [job()], folded(toy_data(dense=True)))
    assert found.outcome.failure is not None
    assert found.outcome.failure.kind == "diverged"
    assert "fold 2 of 3" in found.outcome.failure.text


def test_curves_are_means_and_a_fold_that_has_ended_counts_as_it_ended() -> None:
    one = Curve((4.0, 2.0), (0.0, 0.0), (4.0, 2.0), (0.0, 1.0))
    other = Curve((2.0, 0.0, 3.0), (1.0, 1.0, 1.0), (2.0, 0.0, 3.0), (0.0, 0.0, 0.0))
    mean = folds._curve([one, other])
    assert mean.val_loss == (3.0, 1.0, 2.5)
    assert mean.val_accuracy == (0.0, 0.5, 0.5)


def test_without_folds_it_is_the_engine_alone() -> None:
    data, engine = toy_data(dense=True), PackedEngine()
    (plain,), (found,) = engine.train([job()], data), folds.train(engine, [job()], data)
    assert found.outcome.val_loss == plain.outcome.val_loss
    assert all((a == b).all() for a, b in zip(found.weights, plain.weights, strict=True))


def test_the_last_network_is_trained_on_all_rows_to_the_end() -> None:
    data, engine = folded(toy_data(dense=True)), PackedEngine()
    found = folds.refit(engine, job(), 5, data)
    assert found.outcome.best_epoch == len(found.outcome.curve) == 5
    (again,) = engine.train([for_(5)], SearchData(data.train, data.validation, data.task))
    assert all((a == b).all() for a, b in zip(found.weights, again.weights, strict=True))
