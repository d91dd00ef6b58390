"""What every engine promises; `tests/engines/` runs these against each of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capsearch.data.source import Fold, Rows, SearchData
from capsearch.engines.base import Engine, looks
from capsearch.families.space import count_parameters
from capsearch.records import Candidate, Job
from capsearch.scoring import predictions, summary
from capsearch.tasks import Binary, Multiclass, Multilabel, Regression, Task
from capsearch.tasks.weights import row_weights
from tests.fakes import dense_of, task_data, toy_data


def job(candidate: Candidate, *, replicate: int = 0, epochs: int = 4, patience: int = 4) -> Job:
    return Job.of(candidate, study_seed=1, replicate=replicate, epochs=epochs, patience=patience)


SMALL: dict[str, Any] = {
    "learning_rate": 0.02,
    "batch_size": 64,
}  # 200 rows: three full batches and a rest of 8


TASKS: dict[str, Task] = {
    "weighted classes": Binary(("no", "yes"), (1.0, 2.5)),
    "softmax": Multiclass(("a", "b", "c", "d", "e")),
    "weighted softmax": Multiclass(("a", "b", "c"), (1.0, 2.0, 0.5)),
    "sigmoids": Multilabel(("a", "b", "c")),
    "squared": Regression(mean=-3.0, scale=12.0),
    "huber": Regression(mean=-3.0, scale=12.0, loss="huber", delta=0.5),
}


class EngineContract:
    """Subclass with an `engine` fixture."""

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("name", TASKS)
    def test_every_task_learns_and_its_outcome_adds_up(
        self, engine: Engine, name: str, weighted: bool
    ) -> None:
        """The weights give the losses and the figure that are told, by the task's own formulas."""
        task = TASKS[name]
        data = task_data(task, dense=weighted, weighted=weighted)
        (trained,) = engine.train([job(Candidate((6,), **SMALL), epochs=15, patience=15)], data)
        outcome, rows = trained.outcome, data.validation
        found = predictions(trained.weights, dense_of(rows), task)
        told = summary(found, rows.y, task, rows.weight)
        counts = row_weights(task, rows.y, rows.weight)
        losses = task.losses(found, rows.y) * (1.0 if counts is None else counts)
        assert outcome.val_losses is not None
        np.testing.assert_allclose(outcome.val_losses, losses, rtol=1e-3, atol=1e-5)
        assert outcome.val_loss == pytest.approx(told["loss"], rel=1e-4)
        headline = task.headline
        assert outcome.figure == pytest.approx(told["metrics"][headline.name]["value"], rel=1e-4)
        assert (outcome.val_accuracy is None) == (outcome.val_rmse is not None)
        assert outcome.val_loss < 0.9 * task.blind_loss(rows.y)
        curve = outcome.curve
        assert len(curve.accuracy if headline.share else curve.rmse) == len(curve) == 15

    @pytest.mark.parametrize("dense", [False, True])
    def test_an_outcome_is_complete_and_adds_up(self, engine: Engine, dense: bool) -> None:
        data = toy_data(dense=dense)
        (trained,) = engine.train([job(Candidate((4, 3), **SMALL))], data)
        outcome = trained.outcome
        assert outcome.complete
        assert len(outcome.curve) == 4
        assert outcome.val_losses is not None
        assert outcome.val_losses.shape == (100,)
        assert outcome.val_losses.dtype == np.float32
        assert outcome.val_loss == pytest.approx(float(outcome.val_losses.mean()), rel=1e-5)
        assert outcome.val_loss == pytest.approx(min(outcome.curve.val_loss), rel=1e-4)
        assert outcome.curve.val_loss[outcome.best_epoch - 1] == min(outcome.curve.val_loss)

    def test_rows_in_folds_are_refused(self, engine: Engine) -> None:
        """Their validation rows are those that are trained on."""
        data = toy_data(dense=True)
        whole = SearchData(data.train, data.train, folds=(Fold(data, np.arange(100)),))
        with pytest.raises(ValueError, match="folds"):
            engine.train([job(Candidate((2,), **SMALL))], whole)

    def test_with_never_all_epochs_are_trained_and_the_last_one_counts(
        self, engine: Engine
    ) -> None:
        asked = replace(job(Candidate((4,), **SMALL), epochs=12, patience=1), stop_on="never")
        data = toy_data(dense=True)
        (trained,) = engine.train([asked], data)
        outcome, found = trained.outcome, predictions(trained.weights, data.validation.x)
        assert outcome.best_epoch == len(outcome.curve) == 12
        told = summary(found, data.validation.y)["loss"]
        assert outcome.val_loss == pytest.approx(told, rel=1e-4)
        assert outcome.val_loss == pytest.approx(outcome.curve.val_loss[-1], rel=1e-4)

    def test_it_learns(self, engine: Engine) -> None:
        (trained,) = engine.train([job(Candidate((8,), **SMALL), epochs=30)], toy_data())
        assert trained.outcome.val_loss < 0.45
        assert trained.outcome.figure > 0.8

    def test_the_same_job_has_the_same_outcome(self, engine: Engine) -> None:
        jobs = [job(Candidate((4,), dropout=0.3, **SMALL))]
        first, second = (engine.train(jobs, toy_data())[0].outcome for _ in range(2))
        assert first == second or first.curve == second.curve

    def test_another_replicate_has_another_outcome(self, engine: Engine) -> None:
        jobs = [job(Candidate((4,), **SMALL), replicate=r) for r in (1, 2)]
        first, second = engine.train(jobs, toy_data())
        assert first.outcome.curve != second.outcome.curve

    def test_an_outcome_does_not_depend_on_who_else_is_trained(self, engine: Engine) -> None:
        candidates = [
            Candidate((4,), dropout=0.2, **SMALL),
            Candidate((), **SMALL),
            Candidate((3, 5), **SMALL),
        ]
        jobs = [job(c) for c in candidates]
        together = engine.train(jobs, toy_data())
        backwards = engine.train(jobs[::-1], toy_data())[::-1]
        alone = [engine.train([j], toy_data())[0] for j in jobs]
        for a, b, c in zip(together, backwards, alone, strict=True):
            assert a.outcome.curve == b.outcome.curve == c.outcome.curve

    def test_training_ends_patience_epochs_after_the_best(self, engine: Engine) -> None:
        hasty = Candidate((16,), learning_rate=0.3, batch_size=64)
        (trained,) = engine.train([job(hasty, epochs=60, patience=3)], toy_data())
        outcome = trained.outcome
        assert len(outcome.curve) == outcome.best_epoch + 3 < 60

    def test_the_weights_are_those_of_the_best_epoch(self, engine: Engine) -> None:
        from capsearch.families.dense import build  # TensorFlow: not for whoever imports SMALL

        data, candidate = toy_data(), Candidate((16,), learning_rate=0.3, batch_size=64)
        (trained,) = engine.train([job(candidate, epochs=20, patience=3)], data)
        model = build(candidate, data.features, seed=0)
        model.set_weights(list(trained.weights))
        z = np.asarray(model(dense_of(data.validation)), np.float64).ravel()
        losses = np.logaddexp(0.0, z) - data.validation.y * z
        assert float(losses.mean()) == pytest.approx(trained.outcome.val_loss, rel=1e-4)
        assert model.count_params() == count_parameters(candidate.units, data.features)

    def test_one_half_of_the_validation_rows_can_stop_and_the_other_judge(
        self, engine: Engine
    ) -> None:
        """Each half alone gives the same: one stops where it stops, one says what that is worth."""
        data, hasty = toy_data(), Candidate((16,), learning_rate=0.3, batch_size=64)
        asked = job(hasty, epochs=60, patience=3)
        stop, judge = (SearchData(data.train, rows) for rows in looks(data.validation, "half"))
        (divided,) = engine.train([replace(asked, stop_on="half")], data)
        (stopped,) = engine.train([asked], stop)
        judged = engine.train([replace(asked, patience=60)], judge)[0].outcome.curve
        outcome, epochs = divided.outcome, len(divided.outcome.curve)
        assert outcome.best_epoch == stopped.outcome.best_epoch == epochs - 3
        assert outcome.curve.val_loss == pytest.approx(judged.val_loss[:epochs], rel=1e-4)
        assert outcome.curve.val_accuracy == pytest.approx(judged.val_accuracy[:epochs], abs=1e-6)
        assert outcome.val_loss == pytest.approx(judged.val_loss[outcome.best_epoch - 1], rel=1e-4)
        assert outcome.val_losses is not None
        assert outcome.val_losses.shape == (50,)
        for ours, theirs in zip(divided.weights, stopped.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)

    def test_a_diverging_job_is_an_outcome_and_spares_the_others(self, engine: Engine) -> None:
        wild = Candidate((4,), learning_rate=1e30, batch_size=64, optimizer="sgd")
        bad, good = engine.train([job(wild), job(Candidate((4,), **SMALL))], toy_data())
        assert bad.outcome.reason is not None
        assert bad.outcome.reason.startswith("diverged: loss became NaN or infinite at epoch")
        assert bad.weights == ()
        assert good.outcome.complete

    def test_penalties_steer_training_and_are_not_counted(self, engine: Engine) -> None:
        candidate = Candidate((4,), l1=1.0, **SMALL)
        (heavy,) = engine.train([job(candidate, epochs=15, patience=15)], toy_data())
        chance = pytest.approx(np.log(2), rel=0.1)  # what a network without weights scores
        assert heavy.outcome.curve.val_loss[-1] == chance
        assert heavy.outcome.curve.loss[-1] == chance

    def test_labels_of_one_class_are_no_reason_to_fail(self, engine: Engine) -> None:
        data = toy_data()
        ones = SearchData(Rows(data.train.x, np.ones_like(data.train.y)), data.validation)
        assert engine.train([job(Candidate((2,), **SMALL))], ones)[0].outcome.complete
