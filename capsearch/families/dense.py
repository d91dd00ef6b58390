"""A candidate as a Keras model.

The model ends in one logit; `exported` adds the sigmoid, so that the saved model gives
probabilities. L1 and L2 penalise every kernel and no bias; dropout follows every hidden layer.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from capsearch.randomness import initial_weights
from capsearch.records import Candidate

OPTIMIZERS: dict[str, type[keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def build(
    candidate: Candidate, features: int, seed: int, *, sparse: bool = False
) -> keras.Sequential:
    """An untrained model with a single logit as output. Input: float32, (batch, features)."""
    penalty = keras.regularizers.L1L2(candidate.l1, candidate.l2)
    layers: list[Any] = [keras.Input((features,), sparse=sparse)]
    for depth, width in enumerate(candidate.units):
        layers.append(keras.layers.Dense(width, activation="relu", kernel_regularizer=penalty))
        if candidate.dropout > 0.0:
            layers.append(keras.layers.Dropout(candidate.dropout, seed=seed + depth))
    layers.append(keras.layers.Dense(1, kernel_regularizer=penalty))
    model = keras.Sequential(layers)
    model.set_weights(initial_weights(candidate, features, seed))
    return model


def optimizer(candidate: Candidate) -> keras.optimizers.Optimizer:
    """Keras' defaults but for the learning rate; SGD has momentum 0.9."""
    settings: dict[str, Any] = {"momentum": 0.9} if candidate.optimizer == "sgd" else {}
    return OPTIMIZERS[candidate.optimizer](learning_rate=candidate.learning_rate, **settings)


def exported(candidate: Candidate, features: int, weights: Sequence[np.ndarray]) -> keras.Model:
    """The trained model as users get it: dense float32 rows in, probabilities (batch, 1) out."""
    model = build(candidate, features, seed=0)
    model.set_weights(list(weights))
    model.add(keras.layers.Activation("sigmoid", name="probability"))
    return model
