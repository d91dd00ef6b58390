"""With dropout: the packed engine learns what Keras learns from the same masks, and the masks are
as good as random.

Together the two say all that a comparison of means over seeds could say, and without luck: that
training is the same for given masks, and that the masks are drawn as dropout asks.
"""

from collections.abc import Sequence
from itertools import pairwise

import keras
import numpy as np
import pytest

from capsearch.data.source import SearchData
from capsearch.engines.packed import PackedEngine
from capsearch.engines.packed.batches import pays_sparse
from capsearch.engines.packed.kernels import _activate
from capsearch.engines.packed.network import network
from capsearch.families.dense import build, optimizer
from capsearch.randomness import row_order
from capsearch.records import Candidate, Job
from tests.contracts.engine import SMALL, job
from tests.engines.test_packed import Form, rows_of
from tests.fakes import dense_of

pytestmark = pytest.mark.integration

LOW_32, LOW_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def mixed(value: int) -> int:
    """SplitMix64's finalizer, on Python's own integers."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & LOW_64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & LOW_64
    return value ^ (value >> 31)


def kept(rate: float, seed: int, layer: int, step: int, size: int) -> np.ndarray:
    """Which of the first `size` places of a batch dropout keeps: what `_activate` says it does."""
    key = mixed((mixed(seed) + (layer << 32) + step) & LOW_64)
    low, high = np.uint32(key & LOW_32), np.uint32(key >> 32)
    h: np.ndarray = np.arange(size, dtype=np.uint32) * np.uint32(0x9E3779B9) + low
    h = (h ^ (h >> 16)) * np.uint32(0x21F0AAAD) ^ high
    h = (h ^ (h >> 15)) * np.uint32(0xD35A2D97)
    above: np.ndarray = (h ^ (h >> 15)) >= np.uint32(rate * 2**32)
    return above


def masks(
    candidate: Candidate, widths: Sequence[int], seed: int, step: int, rows: int
) -> list[np.ndarray]:
    """One (rows, units) mask a hidden layer, scaled; of sparse rows the padded `widths` count."""
    rate, drawn = candidate.dropout, []
    for layer, (wide, width) in enumerate(zip(widths, candidate.units, strict=True), start=1):
        whole = kept(rate, seed, layer, step, rows * wide).reshape(rows, wide)
        drawn.append(whole[:, :width] / np.float32(1.0 - rate))
    return drawn


def masked(candidate: Candidate, features: int, seed: int) -> keras.Model:
    """The model that every engine trains, its dropout layers replaced by masks given as inputs."""
    x, given = keras.Input((features,)), [keras.Input((width,)) for width in candidate.units]
    h, left = x, iter(given)
    for layer in build(candidate, features, seed).layers:
        is_dropout = isinstance(layer, keras.layers.Dropout)
        h = keras.layers.multiply([h, next(left)]) if is_dropout else layer(h)
    model = keras.Model([x, *given], h)
    model.compile(
        optimizer=optimizer(candidate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryCrossentropy(name="cross_entropy", from_logits=True)],
    )
    return model


def losses_of_keras(
    asked: Job, data: SearchData, mask_seed: int | None = None
) -> tuple[list[float], list[float]]:
    """Training and validation loss of each epoch, by Keras' `train_on_batch`."""
    candidate, size, step = asked.candidate, asked.candidate.batch_size, 0
    widths, seed = list(candidate.units), asked.seed if mask_seed is None else mask_seed
    if pays_sparse(data.train):
        widths = network(asked, data.features).widths[:-1].tolist()
    model = masked(candidate, data.features, asked.seed)
    x, y = dense_of(data.train), data.train.y
    everything = [np.ones((len(data.validation), width), np.float32) for width in candidate.units]
    training, validation = [], []
    for epoch in range(asked.epochs):
        order, total = row_order(asked.shuffle_seed, epoch, len(y)), 0.0
        for begin in range(0, len(y), size):
            rows, step = order[begin : begin + size], step + 1
            drawn = masks(candidate, widths, seed, step, len(rows))
            measured = model.train_on_batch([x[rows], *drawn], y[rows, None], return_dict=True)
            total += float(measured["cross_entropy"]) * len(rows)  # Keras forgets earlier batches
        training.append(total / len(y))
        inputs, labels = [dense_of(data.validation), *everything], data.validation.y[:, None]
        measured = model.evaluate(inputs, labels, return_dict=True, verbose=0)
        validation.append(float(measured["cross_entropy"]))
    return training, validation


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("units", [(3,), (20, 7), (6, 17, 5)])
def test_every_epoch_agrees_with_keras_given_the_same_masks(
    name: str, units: tuple[int, ...]
) -> None:
    agree(Candidate(units, l2=1e-3, dropout=0.4, optimizer=name, **SMALL), "ones")


@pytest.mark.parametrize("rate", [0.1, 0.75])
@pytest.mark.parametrize("form", ["values", "dense"])
def test_so_it_does_on_other_rows_and_at_other_rates(form: Form, rate: float) -> None:
    agree(Candidate((18, 5), dropout=rate, **SMALL), form)


def agree(candidate: Candidate, form: Form) -> None:
    asked = job(candidate, epochs=3)
    curve = PackedEngine().train([asked], rows_of(form))[0].outcome.curve
    training, validation = losses_of_keras(asked, rows_of(form))
    assert curve.loss == pytest.approx(training, rel=1e-4)
    assert curve.val_loss == pytest.approx(validation, rel=1e-4)


def test_with_masks_of_another_seed_keras_learns_something_else() -> None:
    asked = job(Candidate((20, 7), dropout=0.4, **SMALL), epochs=3)
    curve = PackedEngine().train([asked], rows_of("ones"))[0].outcome.curve
    training, _ = losses_of_keras(asked, rows_of("ones"), mask_seed=asked.seed + 1)
    assert abs(curve.loss[0] / training[0] - 1) > 1e-2


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.6, 0.95])
def test_a_mask_is_what_the_kernel_draws_and_what_keras_multiplies_by(rate: float) -> None:
    ones = np.ones((500, 40), np.float32)
    drawn = ones.copy()
    _activate(drawn, rate, 123, 2, 77)
    expected = kept(rate, 123, 2, 77, drawn.size).reshape(drawn.shape) / np.float32(1.0 - rate)
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    by_keras = np.unique(keras.layers.Dropout(rate)(ones, training=True))
    np.testing.assert_allclose(by_keras, np.unique(drawn), rtol=1e-6)


SIZE = 1 << 20
PLACES = [(1, 1, 1), (2, 1, 1), (2**31 - 1, 3, 1), (1_234_567_890, 2, 900), (7, 1, 40_000)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.5, 0.6, 0.95])
def test_the_share_dropped_is_the_rate_within_four_sigma(
    rate: float, place: tuple[int, int, int]
) -> None:
    dropped = ~kept(rate, *place, SIZE)
    assert abs(dropped.mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) / SIZE)


def z_of(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two masks drawn at rate 0.5, in its standard errors."""
    return float((2.0 * (a == b).mean() - 1.0) * np.sqrt(a.size))


@pytest.mark.parametrize("vary", ["seed", "layer", "step"])
def test_neighbouring_seeds_layers_and_steps_are_uncorrelated(vary: str) -> None:
    """400 pairs of neighbours: z-scores of mean 0 and variance 1, within 4 sigma of each."""
    at = {"seed": 1, "layer": 1, "step": 1}
    drawn = [kept(0.5, **(at | {vary: at[vary] + n}), size=8192) for n in range(401)]
    z = np.array([z_of(a, b) for a, b in pairwise(drawn)])
    assert abs(z.mean()) <= 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) <= 4 * np.sqrt(2 / z.size)
    assert len({mask.tobytes() for mask in drawn}) == len(drawn)


@pytest.mark.parametrize("lag", [1, 2, 4, 8, 16, 32, 64, 100, 512])
def test_places_beside_or_below_each_other_are_uncorrelated(lag: int) -> None:
    """`lag` 1 is the next unit of a row; 4, 8, 16 ... the same unit of the next row."""
    mask = kept(0.5, 5, 1, 1, SIZE)
    assert abs(z_of(mask[lag:], mask[:-lag])) <= 4
