"""Any number of labels at once: a logit each, on its own."""

from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar, Literal

import numpy as np

from capsearch.records import Interval
from capsearch.tasks import shares
from capsearch.tasks.base import (
    HALF,
    Head,
    Headline,
    KerasObject,
    cross_entropy,
    entropy,
    sigmoid,
    softplus,
)
from capsearch.tasks.intervals import mean_of


@dataclass(frozen=True)
class Multilabel:
    """`y`, raw values and predictions are (rows, labels). A row's loss is the mean of its labels',
    as Keras takes it.
    """

    labels: tuple[str, ...]

    kind: ClassVar[Literal["multilabel"]] = "multilabel"
    head: ClassVar[Head] = "sigmoids"
    unit: ClassVar[str] = "nats a label"
    headline: ClassVar[Headline] = Headline("label_accuracy", "label accuracy", share=True)
    blind: ClassVar[str] = "always predicting each label's frequency"
    keras_loss: ClassVar[KerasObject] = KerasObject("BinaryCrossentropy", (("from_logits", True),))
    keras_figure: ClassVar[KerasObject] = KerasObject("BinaryAccuracy", (("threshold", 0.0),))
    class_weights: ClassVar[tuple[float, ...]] = ()

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a multilabel task has different labels, not {self.labels}")

    @property
    def outputs(self) -> int:
        return len(self.labels)

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels)}

    def check(self, y: np.ndarray) -> None:
        if y.ndim != 2 or y.shape[1] != self.outputs or not np.isin(y, (0, 1)).all():
            raise ValueError(f"the targets of {self.outputs} labels are as many 0 or 1 a row")

    def figure(self, mean: float) -> float:
        return mean

    def raw_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The mean over labels of softplus(z) - y z."""
        z = raw.astype(np.float64)
        found: np.ndarray = (softplus(z) - y * z).mean(axis=1)
        return found

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        return sigmoid(raw).astype(np.float32)

    def losses(self, predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
        found: np.ndarray = cross_entropy(predictions, y).mean(axis=1)
        return found

    def metrics(
        self, predictions: np.ndarray, y: np.ndarray, threshold: float = HALF
    ) -> dict[str, Interval]:
        """Means over labels, each counted alike; `exact_match` is of rows with every label right.

        Labels of one row are not independent, so the interval of `label_accuracy` is that of a mean
        over rows.
        """
        p, true = predictions.astype(np.float64), y > HALF
        said, columns = p > HALF, range(self.outputs)
        right = said == true
        sides = [shares.balanced([true[:, k], ~true[:, k]], right[:, k]) for k in columns]
        return shares.told(
            label_accuracy=mean_of(right.mean(axis=1)),
            exact_match=shares.hits(right.all(axis=1)),
            balanced_accuracy=shares.over_classes(sides),
            auc=shares.over_classes([shares.auc(p[:, k], true[:, k]) for k in columns]),
            average_precision=shares.over_classes(
                [shares.average_precision(p[:, k], true[:, k]) for k in columns]
            ),
            macro_f1=shares.macro_f1([(said[:, k], true[:, k]) for k in columns]),
            log_loss=mean_of(self.losses(predictions, y)),
            brier=mean_of(((p - y) ** 2).mean(axis=1)),
        )

    def statistics(self, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, ...]:
        """The share of rows with each label."""
        return tuple(map(float, np.average(y, axis=0, weights=weight)))

    def blind_loss_of(self, statistics: tuple[float, ...]) -> float:
        """The mean entropy of the labels. By hand, shares 0.5 and 0.25: (0.6931 + 0.5623) / 2."""
        return fmean(entropy((share, 1.0 - share)) for share in statistics)

    def blind_loss(self, y: np.ndarray) -> float:
        return self.blind_loss_of(self.statistics(y))
