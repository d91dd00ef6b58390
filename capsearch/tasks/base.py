"""The contract of a task, and what all tasks say of themselves in the same form.

Three forms of the same thing, and no others:

- *raw values*: what the last layer gives, (rows, outputs), before any activation;
- *predictions*: what a person gets, float32: probabilities, or values in the target's own unit;
- `y`: the targets as `Rows` holds them, float32.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from capsearch.records import Interval

Kind = Literal["binary", "multiclass", "multilabel", "regression"]
Head = Literal["logit", "softmax", "sigmoids", "squared", "huber"]
"""How an engine turns raw values into losses: each has its own inner loop."""
CLIP = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras' own cross-entropy
HALF = 0.5  # the probability above which a label is predicted, unless a threshold was decided
MARGIN_SHARE = 0.015  # of the blind loss: 0.0104 nats where half of the rows are positive


@dataclass(frozen=True)
class KerasObject:
    """A loss or a metric of Keras by its class, and how it is built."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def build(self, module: Any, **more: Any) -> Any:
        """One, from `keras.losses` or `keras.metrics`."""
        return getattr(module, self.name)(**dict(self.arguments), **more)


@dataclass(frozen=True)
class Headline:
    """The figure that stands beside the loss in every table: a share of hits, or an error."""

    name: str  # in JSON and MLflow
    title: str  # for people, within a sentence
    share: bool  # of what is right, from 0 to 1; or else an error, in the target's own unit

    def text(self, value: float, decimals: int = 1) -> str:
        """'88.6%', or '53.26'."""
        return f"{100 * value:.{decimals}f}%" if self.share else number(value)

    def change(self, before: float, after: float) -> str:
        """'-0.1 points of accuracy', or '+0.014 RMSE': as many decimals as the figure has."""
        by = after - before
        if self.share:
            return f"{100 * by:+z.1f} points of {self.title}"
        return f"{by:+z,.{len(number(before).partition('.')[2])}f} {self.title}"


class Task(Protocol):
    """What is predicted. Final classes satisfy it, all of them frozen values."""

    @property
    def kind(self) -> Kind: ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs or of their numbers; of a number ()."""
        ...

    @property
    def outputs(self) -> int:
        """Units of the last layer."""
        ...

    @property
    def head(self) -> Head: ...

    @property
    def unit(self) -> str:
        """Of a loss, for people."""
        ...

    @property
    def headline(self) -> Headline: ...

    @property
    def blind(self) -> str:
        """What a network does that learned nothing, for people."""
        ...

    @property
    def keras_loss(self) -> KerasObject:
        """What Keras' own loop minimises, of raw values."""
        ...

    @property
    def keras_figure(self) -> KerasObject:
        """The metric of raw values that becomes the headline (`figure`)."""
        ...

    @property
    def class_weights(self) -> tuple[float, ...]:
        """What a row of each class counts in every loss; () where all count alike."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON values from which `task_of` makes it again; empty for plain binary rows."""
        ...

    def check(self, y: np.ndarray) -> None:
        """Raises ValueError for targets that cannot be this task's."""
        ...

    def figure(self, mean: float) -> float:
        """The headline from the mean over rows that engines report (`keras_figure`)."""
        ...

    def raw_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Loss of every row from raw values (rows, outputs): float64, (rows,)."""
        ...

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Float32: (rows,) of a probability or a number, or (rows, outputs) of probabilities."""
        ...

    def losses(self, predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Loss of every row: float64, (rows,)."""
        ...

    def metrics(
        self, predictions: np.ndarray, y: np.ndarray, threshold: float = HALF
    ) -> dict[str, Interval]:
        """What people expect beside the loss, with 95% intervals over rows; what `y` allows."""
        ...

    def statistics(self, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, ...]:
        """Of the targets of a split: what blind loss and balance are made of.

        Rows count by their own weight; class weights are left out.
        """
        ...

    def blind_loss_of(self, statistics: tuple[float, ...]) -> float:
        """The loss, on rows of these statistics, of the best answer that looks at no row."""
        ...

    def blind_loss(self, y: np.ndarray) -> float:
        """The same, of the rows themselves."""
        ...


def number(value: float) -> str:
    """Four significant digits, thousands apart: '53.26', '0.001235', '12,346'."""
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    digits = 3 - int(np.floor(np.log10(abs(value))))
    return f"{value:,.{max(digits, 0)}f}" if digits <= 8 else f"{value:.3e}"


def softplus(values: np.ndarray) -> np.ndarray:
    """log(1 + exp(v)), for any v."""
    found: np.ndarray = np.logaddexp(0.0, values)
    return found


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-v)), for any v; float64."""
    found: np.ndarray = np.exp(-np.logaddexp(0.0, -np.asarray(values, np.float64)))
    return found


def clipped(probabilities: np.ndarray) -> np.ndarray:
    """As Keras takes probabilities into a logarithm; float64."""
    found: np.ndarray = np.clip(probabilities.astype(np.float64), CLIP, 1.0 - CLIP)
    return found


def cross_entropy(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of 0 or 1 labels, element by element; float64."""
    p = clipped(probabilities)
    found: np.ndarray = -(y * np.log(p) + (1.0 - y) * np.log1p(-p))
    return found


def entropy(shares: tuple[float, ...]) -> float:
    """Of a distribution, in nats. By hand: a quarter and three quarters, 0.5623."""
    return -sum(p * float(np.log(p)) for p in shares if p > 0.0)


def weighted(shares: tuple[float, ...], weights: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of classes that are counted by these weights; () counts all alike."""
    if not weights:
        return shares
    counts = [share * weight for share, weight in zip(shares, weights, strict=True)]
    return tuple(count / sum(counts) for count in counts)
