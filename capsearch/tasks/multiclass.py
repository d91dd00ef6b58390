"""One of several classes: a logit each, their softmax the probabilities."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import logsumexp

from capsearch.records import Interval
from capsearch.tasks import shares
from capsearch.tasks.base import HALF, Head, Headline, KerasObject, clipped, entropy, weighted
from capsearch.tasks.intervals import mean_of


@dataclass(frozen=True)
class Multiclass:
    """`y` numbers the `labels` from 0, (rows,); raw values and predictions are (rows, labels)."""

    labels: tuple[str, ...]
    class_weights: tuple[float, ...] = ()

    kind: ClassVar[Literal["multiclass"]] = "multiclass"
    head: ClassVar[Head] = "softmax"
    unit: ClassVar[str] = "nats"
    headline: ClassVar[Headline] = Headline("accuracy", "accuracy", share=True)
    blind: ClassVar[str] = "always predicting the class frequencies"
    keras_loss: ClassVar[KerasObject] = KerasObject(
        "SparseCategoricalCrossentropy", (("from_logits", True),)
    )
    keras_figure: ClassVar[KerasObject] = KerasObject("SparseCategoricalAccuracy")

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a multiclass task has different labels, not {self.labels}")
        if self.class_weights and len(self.class_weights) != len(self.labels):
            raise ValueError("a multiclass task has a class weight for each label")

    @property
    def outputs(self) -> int:
        return len(self.labels)

    def describe(self) -> dict[str, Any]:
        weights = {"class_weights": list(self.class_weights)} if self.class_weights else {}
        return {"kind": self.kind, "labels": list(self.labels)} | weights

    def check(self, y: np.ndarray) -> None:
        if y.ndim != 1 or not np.isin(y, np.arange(self.outputs)).all():
            raise ValueError(f"the targets of {self.outputs} classes are 0 to {self.outputs - 1}")

    def figure(self, mean: float) -> float:
        return mean

    def raw_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log sum exp(z) - z[y]. By hand, (0, ln 3) of class 0: ln 4 = 1.3863."""
        z = raw.astype(np.float64)
        found: np.ndarray = logsumexp(z, axis=1) - z[np.arange(len(z)), y.astype(np.int64)]
        return found

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        z = raw.astype(np.float64)
        found: np.ndarray = np.exp(z - logsumexp(z, axis=1, keepdims=True)).astype(np.float32)
        return found

    def losses(self, predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
        found: np.ndarray = -np.log(
            clipped(predictions[np.arange(len(predictions)), y.astype(np.int64)])
        )
        return found

    def metrics(
        self, predictions: np.ndarray, y: np.ndarray, threshold: float = HALF
    ) -> dict[str, Interval]:
        """AUC and average precision are of each class against the rest; means count all alike."""
        p, said = predictions.astype(np.float64), predictions.argmax(axis=1)
        masks = [y == k for k in range(self.outputs)]
        return shares.told(
            accuracy=shares.hits(said == y),
            balanced_accuracy=shares.balanced(masks, said == y),
            auc=shares.over_classes([shares.auc(p[:, k], m) for k, m in enumerate(masks)]),
            average_precision=shares.over_classes(
                [shares.average_precision(p[:, k], m) for k, m in enumerate(masks)]
            ),
            macro_f1=shares.macro_f1([(said == k, m) for k, m in enumerate(masks)]),
            log_loss=mean_of(self.losses(predictions, y)),
            brier=mean_of(((p - np.stack(masks, axis=1)) ** 2).sum(axis=1)),
        )

    def statistics(self, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, ...]:
        """The share of each class."""
        masks = (y == k for k in range(self.outputs))
        return tuple(float(np.average(mask, weights=weight)) for mask in masks)

    def blind_loss_of(self, statistics: tuple[float, ...]) -> float:
        """The entropy of the class frequencies, as the classes are weighted.

        By hand, a half and two quarters: 1.0397 nats.
        """
        return entropy(weighted(statistics, self.class_weights))

    def blind_loss(self, y: np.ndarray) -> float:
        return self.blind_loss_of(self.statistics(y))
