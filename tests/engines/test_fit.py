"""The reference engine keeps the contract, and is what Keras' own loop does."""

import keras
import numpy as np
import pytest

from capsearch.engines.fit import FitEngine
from capsearch.families.dense import build, optimizer
from capsearch.initialization import initial_weights
from capsearch.randomness import row_order
from capsearch.records import Candidate
from tests.contracts.engine import SMALL, EngineContract, job
from tests.fakes import dense_of, toy_data

pytestmark = pytest.mark.integration


class TestFit(EngineContract):
    @pytest.fixture
    def engine(self) -> FitEngine:
        return FitEngine()


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_sparse_rows_train_as_a_hand_written_loop_on_dense_rows_does(name: str) -> None:
    """The oracle itself against `train_on_batch`: same weights, same batches, same losses."""
    data = toy_data()
    candidate = Candidate((4, 3), l1=1e-3, l2=1e-2, optimizer=name, **SMALL)
    asked = job(candidate, epochs=3)
    (trained,) = FitEngine().train([asked], data)
    model = build(candidate, data.features, asked.seed)
    model.compile(optimizer(candidate), keras.losses.BinaryCrossentropy(from_logits=True))
    x, y, seen = dense_of(data.train), data.train.y, []
    for epoch in range(3):
        order = row_order(asked.shuffle_seed, epoch, len(y))
        for start in range(0, len(y), 64):
            picked = order[start : start + 64]
            model.train_on_batch(x[picked], y[picked, None])
        z = np.asarray(model(dense_of(data.validation)), np.float64).ravel()
        seen.append(float((np.logaddexp(0, z) - data.validation.y * z).mean()))
    assert trained.outcome.curve.val_loss == pytest.approx(seen, rel=1e-5)


def test_initial_weights_are_glorot_uniform_and_biases_zero() -> None:
    kernel, bias, last, _ = initial_weights(Candidate((30,)), 50, seed=3)
    limit = np.sqrt(6 / 80)
    assert kernel.shape == (50, 30)
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not bias.any()
    assert last.shape == (30, 1)


def test_an_epoch_visits_every_row_once_in_an_order_of_its_own() -> None:
    first, second = row_order(5, 0, 100), row_order(5, 1, 100)
    assert sorted(first) == list(range(100))
    assert (first != second).any()
