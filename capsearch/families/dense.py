"""Dense networks: their settings, and a candidate as a Keras model.

The model ends in the task's raw values, such as one logit; `exported` adds what makes predictions
of them, so that the saved model gives probabilities, or numbers in the target's own unit. L1 and L2
penalise every kernel and no bias; dropout follows every hidden layer. Keras is imported where a
model is built and not before: it takes seconds, and whoever reads a study file needs the settings
alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from capsearch.families.dimension import Choices, Dimension, Integers
from capsearch.initialization import INITIALIZATIONS, KERAS, initial_weights
from capsearch.records import Candidate
from capsearch.tasks import BINARY, Regression, Task

if TYPE_CHECKING:
    import keras

USUAL = Candidate(())
MOSTLY = 0.75  # of draws have no L1, as many have no L2: about half have neither
OPTIMIZERS = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}  # Keras' name of each


def mostly(_: Sequence[int]) -> float:
    """How often a penalty is off, whatever the widths."""
    return MOSTLY


def where_narrow(units: Sequence[int]) -> float:
    """How often dropout is off: 1/2, 1/4, 1/8, ... where the narrowest layer has 1, 2, 3 units.

    With this probability a dropout of one half drops all units of that layer, and nothing passes.
    """
    return float(0.5 ** min(units))


LAYERS = Dimension(
    "layers", "number of layers", kind=int, range=Integers, least=0, form="{}",
    read=lambda candidate: len(candidate.units),
)  # fmt: skip
UNITS = Dimension(
    "units", "width", kind=int, range=Integers, least=1, form="{} units",
    read=lambda candidate: max(candidate.units, default=0),
)  # fmt: skip
SETTINGS = (
    Dimension("l1", "L1", USUAL.l1, least=0, off=mostly),
    Dimension("l2", "L2", USUAL.l2, least=0, off=mostly),
    Dimension(
        "dropout", "dropout", USUAL.dropout, least=0, below=1.0, form="{:.2f}", hidden=True,
        off=where_narrow,
    ),
    Dimension("learning_rate", "learning rate", USUAL.learning_rate, above=0),
    Dimension(
        "batch_size", "batch size", USUAL.batch_size, int, Choices, least=1, form="{}"
    ),
    Dimension(
        "optimizer", "optimizer", USUAL.optimizer, str, Choices, choices=OPTIMIZERS, form="{}"
    ),
    Dimension(
        "initialization", "initialization", KERAS, str, Choices, choices=INITIALIZATIONS, form="{}",
        hidden=True, by_rows=True,
    ),
)  # fmt: skip
"""In the order in which they are drawn."""


def dimensions() -> tuple[Dimension, ...]:
    """All that a study can search, in the order in which it is drawn."""
    return (LAYERS, UNITS, *SETTINGS)


def candidate_of(units: Iterable[int], settings: Mapping[str, Any]) -> Candidate:
    """What is at its default is left out, so that a new setting changes no candidate's key."""
    known = {d.name: settings.get(d.name, d.default) for d in SETTINGS}
    told = {d.name: known[d.name] for d in SETTINGS if known[d.name] != d.default}
    return Candidate.from_dict({"units": units} | told)


def settings_of(candidate: Candidate) -> dict[str, Any]:
    """Every setting but the layers, by its name: for JSON and MLflow."""
    return {d.name: d.of(candidate) for d in SETTINGS}


def shown_settings(
    candidate: Candidate, among: Iterable[Candidate] = ()
) -> list[tuple[str, str, str]]:
    """Name, title and value of every setting but the layers, for people.

    For a row of a table `among` are the candidates of all its rows: only settings in which they
    differ are worth a column; one that follows from the rows of the data, if they have it in more
    than one way that is not the default.
    """
    rows = list(among)
    found = {d.name: {d.of(row) for row in rows} for d in SETTINGS}
    columns = [
        d
        for d in SETTINGS
        if not rows or (len(found[d.name]) > 1 and len(found[d.name] - {d.default}) > d.by_rows)
    ]
    return [(d.name, d.title, d.text(d.of(candidate))) for d in columns]


def common_settings(candidates: Iterable[Candidate]) -> list[tuple[str, str]]:
    """Title and value of the settings that all candidates share, and otherwise than by default."""
    rows = list(candidates)
    shared = [
        d
        for d in SETTINGS
        if not d.by_rows and {d.of(row) for row in rows} == {d.of(rows[0])} != {d.default}
    ]
    return [(d.title, d.text(d.of(rows[0]))) for d in shared]


def build(
    candidate: Candidate, features: int, seed: int, *, sparse: bool = False, outputs: int = 1
) -> "keras.Sequential":
    """An untrained model. Float32 rows (batch, features) in, raw values (batch, outputs) out."""
    import keras

    penalty = keras.regularizers.L1L2(candidate.l1, candidate.l2)
    layers: list[Any] = [keras.Input((features,), sparse=sparse)]
    for depth, width in enumerate(candidate.units):
        layers.append(keras.layers.Dense(width, activation="relu", kernel_regularizer=penalty))
        if candidate.dropout > 0.0:
            layers.append(keras.layers.Dropout(candidate.dropout, seed=seed + depth))
    layers.append(keras.layers.Dense(outputs, kernel_regularizer=penalty))
    model = keras.Sequential(layers)
    model.set_weights(initial_weights(candidate, features, seed, outputs))
    return model


def optimizer(candidate: Candidate) -> "keras.optimizers.Optimizer":
    """Keras' defaults but for the learning rate; SGD has momentum 0.9."""
    import keras

    settings: dict[str, Any] = {"momentum": 0.9} if candidate.optimizer == "sgd" else {}
    kind = getattr(keras.optimizers, OPTIMIZERS[candidate.optimizer])
    return kind(learning_rate=candidate.learning_rate, **settings)


def exported(
    candidate: Candidate, features: int, weights: Sequence[np.ndarray], task: Task = BINARY
) -> "keras.Model":
    """The trained model as users get it: dense float32 rows in, predictions (batch, outputs) out.

    Those are probabilities, of the second class alone in a binary task; of a regression values in
    the target's own unit.
    """
    import keras

    model = build(candidate, features, seed=0, outputs=task.outputs)
    model.set_weights(list(weights))
    if isinstance(task, Regression):
        model.add(keras.layers.Rescaling(task.scale, task.mean, name="prediction"))
    else:
        activation = "softmax" if task.head == "softmax" else "sigmoid"
        model.add(keras.layers.Activation(activation, name="probability"))
    return model
