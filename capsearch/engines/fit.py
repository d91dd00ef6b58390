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
from capsearch.engines.base import Trained, curve_of, diverged, looks, outcome_of, undivided
from capsearch.families.dense import build, optimizer
from capsearch.randomness import row_order
from capsearch.records import Job
from capsearch.tasks import Task
from capsearch.tasks.weights import row_weights

VALIDATION_BATCH = 512  # TensorFlow holds nonzeros x units floats: 8 times more is 0.5 GB more
LOSS, FIGURE = "data_loss", "figure"
SERIES = (LOSS, FIGURE, f"val_{LOSS}", f"val_{FIGURE}")
VALIDATION = SERIES[2:]


class FitEngine:
    """Trains each job with Keras' own loop."""

    pack = 1

    def train(self, jobs: Sequence[Job], data: SearchData) -> list[Trained]:
        return [_train(job, undivided(data)) for job in jobs]


def _train(job: Job, data: SearchData) -> Trained:
    started = time.perf_counter()
    keras.backend.clear_session()  # frees the last job's graph; seeds are in the layers
    is_sparse = sparse.issparse(data.train.x)
    task = data.task
    model = build(job.candidate, data.features, job.seed, sparse=is_sparse, outputs=task.outputs)
    model.compile(
        optimizer=optimizer(job.candidate),
        loss=task.keras_loss.build(keras.losses),
        metrics=[task.keras_figure.build(keras.metrics, name=FIGURE)],
        weighted_metrics=[_loss_metric(task)],
    )
    stopping = keras.callbacks.EarlyStopping(
        f"val_{LOSS}", mode="min", patience=job.patience, restore_best_weights=True
    )
    stops = [] if job.stop_on == "never" else [stopping]
    batches = _Batches(data.train, job.candidate.batch_size, task)
    stopping_rows, judging_rows = looks(data.validation, job.stop_on)
    judged: list[dict[str, float]] = []
    judging = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: judged.append(_figures(model, judging_rows, task))
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
        validation_data=_Batches(stopping_rows, VALIDATION_BATCH, task),
        epochs=job.epochs,
        callbacks=[shuffling, *look_again, *stops, keras.callbacks.TerminateOnNaN()],
        shuffle=False,
        verbose=0,
    ).history
    seconds = time.perf_counter() - started
    shown = history | {name: [each[name] for each in judged] for name in VALIDATION if judged}
    epochs = zip(*(map(float, shown[name]) for name in SERIES), strict=True)
    curve = curve_of(task, list(epochs))
    stopped_on = history[f"val_{LOSS}"]
    finite = np.isfinite([curve.loss, curve.val_loss, stopped_on]).all(axis=0)
    if not finite.all():
        return Trained(diverged(int(np.argmin(finite)) + 1, curve, seconds), ())
    best = int(np.argmin(stopped_on)) if stops else len(stopped_on) - 1
    losses = _losses(model, judging_rows, task)
    mean = float(losses.mean(dtype=np.float64))
    outcome = outcome_of(task, curve, best, mean, seconds, losses)
    return Trained(outcome, tuple(np.asarray(w) for w in model.get_weights()))


def _loss_metric(task: Task) -> keras.metrics.Metric:
    """The mean of the data losses, without penalties."""
    loss = task.keras_loss
    if hasattr(keras.metrics, loss.name):
        return loss.build(keras.metrics, name=LOSS)
    return keras.metrics.MeanMetricWrapper(keras.losses.huber, name=LOSS, **dict(loss.arguments))


def _figures(model: keras.Model, rows: Rows, task: Task) -> dict[str, float]:
    found = model.evaluate(_Batches(rows, VALIDATION_BATCH, task), verbose=0, return_dict=True)
    return {name: found[name.removeprefix("val_")] for name in VALIDATION}


def _losses(model: keras.Model, rows: Rows, task: Task) -> np.ndarray:
    """Loss of every row, times its weight; float32, shape (rows,)."""
    raw = model.predict(_Batches(rows, VALIDATION_BATCH, task), verbose=0)
    losses, weights = task.raw_losses(raw, rows.y), row_weights(task, rows.y, rows.weight)
    return (losses if weights is None else losses * weights).astype(np.float32)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Rows in batches, dense or as `tf.SparseTensor`, in an order that `reorder` can change."""

    def __init__(self, rows: Rows, size: int, task: Task) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._rows, self._size, self._sequence = rows, size, np.arange(len(rows))
        self._y = rows.y if rows.y.ndim == 2 else rows.y[:, None]
        weights = row_weights(task, rows.y, rows.weight)
        self._weights = None if weights is None else weights.astype(np.float32)

    def __len__(self) -> int:
        return ceil(len(self._rows) / self._size)

    def __getitem__(self, index: int) -> tuple[object, ...]:
        picked = self._sequence[index * self._size : (index + 1) * self._size]
        given = _tensor(self._rows.x[picked]), self._y[picked]
        return given if self._weights is None else (*given, self._weights[picked])

    def reorder(self, sequence: np.ndarray) -> None:
        self._sequence = sequence


def _tensor(x: sparse.csr_matrix | np.ndarray) -> object:
    if not sparse.issparse(x):
        return np.asarray(x, np.float32)
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    where = np.stack([rows, x.indices], axis=1).astype(np.int64)
    return tf.SparseTensor(where, x.data.astype(np.float32), x.shape)
