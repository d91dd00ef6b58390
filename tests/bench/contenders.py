# mypy: disable-error-code="import-untyped, no-untyped-call"
"""The four contenders. Each trains candidates of the same space and returns what it measured.

`seconds` is what training took, all counted but imports and loading the data; `epochs` are the
seconds of single epochs after a trial's first, which pays for tracing.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsearch.data import cache
from capsearch.records import Candidate
from tests.bench.task import (
    BATCH_SIZE,
    DROPOUT,
    L1,
    L2,
    LAYERS,
    LEARNING_RATE,
    RATES,
    UNITS,
    WIDEST,
    dense,
    jobs_of,
)

Record = dict[str, Any]


def packed(folder: str, candidates: Sequence[Record], epochs: int, pack: int) -> Record:
    """Packs of the candidates, each as often as fills the pack; the first one prepares the data."""
    from capsearch.engines.packed import PackedEngine

    data, engine = cache.load(Path(folder)), PackedEngine()
    chosen = [Candidate.from_dict(c) for c in candidates]
    filled = (chosen * -(-pack // len(chosen)))[:pack]
    packs = []
    for seed in range(5):
        began = time.perf_counter()
        engine.train(jobs_of(filled, epochs, seed), data)
        packs.append(time.perf_counter() - began)
    return {"first": packs[0], "packs": packs[1:]}


def fit(folder: str, candidates: Sequence[Record], epochs: int) -> Record:
    """The reference engine, one job after another, on sparse slices."""
    from capsearch.engines.fit import FitEngine

    data, engine = cache.load(Path(folder)), FitEngine()
    trials = []
    for job in jobs_of([Candidate.from_dict(c) for c in candidates], epochs):
        began = time.perf_counter()
        engine.train([job], data)
        trials.append(time.perf_counter() - began)
    return {"seconds": sum(trials), "trials": trials}


def keras_tuner(folder: str, count: int, epochs: int, seed: int) -> Record:
    """RandomSearch on dense arrays; also returns the candidates that it drew."""
    import keras
    import keras_tuner

    x, y, x_validation, y_validation = dense(cache.load(Path(folder)))
    clock = _clock(keras)

    def build(hp: Any) -> Any:
        return _model(
            keras,
            [hp.Choice(f"units_{i}", list(UNITS)) for i in range(hp.Int("layers", 1, len(LAYERS)))],
            hp.Float("l1", *L1, sampling="log"),
            hp.Float("l2", *L2, sampling="log"),
            hp.Float("dropout", *DROPOUT),
            LEARNING_RATE,
        )

    tuner = keras_tuner.RandomSearch(
        build, objective="val_loss", max_trials=count, seed=seed, directory="tuner"
    )
    began = time.perf_counter()
    tuner.search(
        x, y, epochs=epochs, batch_size=BATCH_SIZE, validation_data=(x_validation, y_validation),
        callbacks=[clock], verbose=0,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    assert len(values) == count
    return {"seconds": seconds, "epochs": EPOCHS, "candidates": [_candidate(v) for v in values]}


def plain(folder: str, candidates: Sequence[Record], epochs: Sequence[int]) -> Record:
    """`study.optimize` with an MLflow run a trial and its metrics every epoch, on dense arrays.

    Each candidate is trained for its own number of epochs.
    """
    import keras
    import mlflow
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, y, x_validation, y_validation = dense(cache.load(Path(folder)))
    clock, trials = _clock(keras), []

    def objective(trial: Any) -> float:
        began = time.perf_counter()
        count = trial.suggest_int("layers", 0, max(LAYERS))
        model = _model(
            keras,
            [trial.suggest_int(f"units_{i}", 1, WIDEST) for i in range(count)],
            trial.suggest_float("l1", 0.0, L1[1]),
            trial.suggest_float("l2", 0.0, L2[1]),
            trial.suggest_float("dropout", *DROPOUT),
            trial.suggest_float("learning_rate", *RATES, log=True),
        )
        log = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, step=epoch)
        )
        with mlflow.start_run():
            mlflow.log_params(trial.params)
            history = model.fit(
                x, y, epochs=epochs[trial.number], batch_size=BATCH_SIZE, callbacks=[clock, log],
                validation_data=(x_validation, y_validation), verbose=0,
            ).history  # fmt: skip
            best = min(history["val_loss"])
            mlflow.log_metric("best_val_loss", best)
        trials.append(time.perf_counter() - began)
        return float(best)

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("plain")
    study = optuna.create_study(storage="sqlite:///optuna.db")
    for candidate in candidates:
        units = {f"units_{i}": width for i, width in enumerate(candidate["units"])}
        given = {name: candidate[name] for name in ("l1", "l2", "dropout", "learning_rate")}
        study.enqueue_trial({"layers": len(units), **units, **given})
    began = time.perf_counter()
    study.optimize(objective, n_trials=len(candidates))
    return {"seconds": time.perf_counter() - began, "trials": trials, "epochs": EPOCHS}


EPOCHS: list[float] = []  # filled by the clock; KerasTuner copies its callbacks


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """Times every epoch of a trial but its first, validation included."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch > 0:
                EPOCHS.append(time.perf_counter() - self.began)

    return Clock()


def _model(
    keras: Any, units: Sequence[int], l1: float, l2: float, dropout: float, rate: float
) -> Any:
    penalty = keras.regularizers.L1L2(l1, l2)
    layers = []
    for width in units:
        layers.append(keras.layers.Dense(width, activation="relu", kernel_regularizer=penalty))
        layers.append(keras.layers.Dropout(dropout))
    layers.append(keras.layers.Dense(1, activation="sigmoid", kernel_regularizer=penalty))
    model = keras.Sequential(layers)
    adam = keras.optimizers.Adam(rate)
    model.compile(optimizer=adam, loss="binary_crossentropy", metrics=["accuracy"])
    return model


def _candidate(values: Record) -> Record:
    units = tuple(values[f"units_{i}"] for i in range(values["layers"]))
    return Candidate(units, values["l1"], values["l2"], values["dropout"]).as_dict()
