"""The reference engine: plain `model.fit`, one job after another. Slow, obvious, the oracle.

Every other engine must agree with this one (`tests/contracts/engine.py`).
"""

import time
from collections.abc import Sequence
from math import ceil

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from capsearch.data.source import Rows, SearchData
from capsearch.engines.base import Trained, diverged, looks
from capsearch.families.dense import build, optimizer
from capsearch.randomness import row_order
from capsearch.records import Curve, Job, Outcome

VALIDATION_BATCH = 512  # TensorFlow holds nonzeros x units floats: 8 times more is 0.5 GB more
SERIES = {
    "loss": "cross_entropy",
    "accuracy": "accuracy",
    "val_loss": "val_cross_entropy",
    "val_accuracy": "val_accuracy",
}
VALIDATION = ("val_cross_entropy", "val_accuracy")


class FitEngine:
    """Trains each job with Keras' own loop."""

    pack = 1

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        return [_train(job, data) for job in jobs]


def _train(job: Job, data: SearchData) -> Trained:
    started = time.perf_counter()
    keras.backend.clear_session()  # frees the last job's graph; seeds are in the layers
    is_sparse = sparse.issparse(data.train.x)
    model = build(job.candidate, data.features, job.seed, sparse=is_sparse)
    model.compile(
        optimizer=optimizer(job.candidate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.BinaryCrossentropy(name="cross_entropy", from_logits=True),
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        ],
    )
    stopping = keras.callbacks.EarlyStopping(
        "val_cross_entropy", mode="min", patience=job.patience, restore_best_weights=True
    )
    batches = _Batches(data.train, job.candidate.batch_size)
    stopping_rows, judging_rows = looks(data.validation, job.stop_on)
    judged: list[dict[str, float]] = []
    judging = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: judged.append(_figures(model, judging_rows))
    )
    look_again = [] if judging_rows is stopping_rows else [judging]
    # Not `PyDataset.on_epoch_end`: Keras also calls that after its look at the first batches.
    shuffling = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: batches.reorder(
            row_order(job.shuffle_seed, epoch, len(data.train))
        )
    )
    history = model.fit(
        batches,
        validation_data=_Batches(stopping_rows, VALIDATION_BATCH),
        epochs=job.epochs,
        callbacks=[shuffling, *look_again, stopping, keras.callbacks.TerminateOnNaN()],
        shuffle=False,
        verbose=0,
    ).history
    seconds = time.perf_counter() - started
    shown = history | {name: [each[name] for each in judged] for name in VALIDATION if judged}
    curve = Curve(**{ours: tuple(map(float, shown[theirs])) for ours, theirs in SERIES.items()})
    stopped_on = history["val_cross_entropy"]
    finite = np.isfinite([curve.loss, curve.val_loss, stopped_on]).all(axis=0)
    if not finite.all():
        return Trained(diverged(int(np.argmin(finite)) + 1, curve, seconds), ())
    best = int(np.argmin(stopped_on))
    losses = _losses(model, judging_rows)
    outcome = Outcome(
        curve=curve,
        best_epoch=best + 1,
        val_loss=float(losses.mean(dtype=np.float64)),
        val_accuracy=curve.val_accuracy[best],
        seconds=seconds,
        val_losses=losses,
    )
    return Trained(outcome, tuple(np.asarray(w) for w in model.get_weights()))


def _figures(model: keras.Model, rows: Rows) -> dict[str, float]:
    found = model.evaluate(_Batches(rows, VALIDATION_BATCH), verbose=0, return_dict=True)
    return {name: found[name.removeprefix("val_")] for name in VALIDATION}


def _losses(model: keras.Model, rows: Rows) -> np.ndarray:
    """Cross-entropy of every row, softplus(z) - y z for a logit z; float32, shape (rows,)."""
    logits = model.predict(_Batches(rows, VALIDATION_BATCH), verbose=0).ravel().astype(np.float64)
    losses: np.ndarray = np.logaddexp(0.0, logits) - rows.y * logits
    return losses.astype(np.float32)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Rows in batches, dense or as `tf.SparseTensor`, in an order that `reorder` can change."""

    def __init__(self, rows: Rows, size: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._rows, self._size, self._sequence = rows, size, np.arange(len(rows))

    def __len__(self) -> int:
        return ceil(len(self._rows) / self._size)

    def __getitem__(self, index: int) -> tuple[object, np.ndarray]:
        picked = self._sequence[index * self._size : (index + 1) * self._size]
        return _tensor(self._rows.x[picked]), self._rows.y[picked, None]

    def reorder(self, sequence: np.ndarray) -> None:
        self._sequence = sequence


def _tensor(x: sparse.csr_matrix | np.ndarray) -> object:
    if not sparse.issparse(x):
        return np.asarray(x, np.float32)
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    where = np.stack([rows, x.indices], axis=1).astype(np.int64)
    return tf.SparseTensor(where, x.data.astype(np.float32), x.shape)
