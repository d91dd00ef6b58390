"""One of two classes: a single logit, the probability of the second of them."""

from dataclasses import dataclass
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
    weighted,
)
from capsearch.tasks.intervals import mean_of

UNEQUAL = 0.35  # share of the rarer class below which a threshold of one half names it too rarely


@dataclass(frozen=True)
class Binary:
    """`y` is the number of a label, 0 or 1; raw values are (rows, 1), predictions (rows,)."""

    labels: tuple[str, ...] = ("0", "1")
    class_weights: tuple[float, ...] = ()

    kind: ClassVar[Literal["binary"]] = "binary"
    outputs: ClassVar[int] = 1
    head: ClassVar[Head] = "logit"
    unit: ClassVar[str] = "nats"
    headline: ClassVar[Headline] = Headline("accuracy", "accuracy", share=True)
    blind: ClassVar[str] = "always predicting the class frequencies"
    keras_loss: ClassVar[KerasObject] = KerasObject("BinaryCrossentropy", (("from_logits", True),))
    keras_figure: ClassVar[KerasObject] = KerasObject("BinaryAccuracy", (("threshold", 0.0),))

    def __post_init__(self) -> None:
        if len(self.labels) != 2 or len(set(self.labels)) != 2:
            raise ValueError(f"a binary task has two different labels, not {self.labels}")
        if self.class_weights and len(self.class_weights) != 2:
            raise ValueError("a binary task has two class weights")

    def describe(self) -> dict[str, Any]:
        usual = {"labels": ("0", "1"), "class_weights": ()}
        said = {
            name: list(getattr(self, name)) for name in usual if getattr(self, name) != usual[name]
        }
        return {"kind": self.kind} | said if said else {}

    def check(self, y: np.ndarray) -> None:
        if y.ndim != 1 or not np.isin(y, (0, 1)).all():
            raise ValueError("the targets of a binary task are 0 or 1, one a row")

    def figure(self, mean: float) -> float:
        return mean

    def raw_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """softplus(z) - y z for a logit z."""
        logits = raw.ravel().astype(np.float64)
        return softplus(logits) - y * logits

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        return sigmoid(raw.ravel()).astype(np.float32)

    def losses(self, predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
        return cross_entropy(predictions, y)

    def metrics(
        self, predictions: np.ndarray, y: np.ndarray, threshold: float = HALF
    ) -> dict[str, Interval]:
        """Accuracy is that of the more probable class; where classes are counted alike (balanced
        accuracy, macro F1) labels are those that `threshold` predicts.
        """
        p, true = predictions.astype(np.float64), y > HALF
        said = p > threshold
        return shares.told(
            accuracy=shares.hits((p > HALF) == true),
            balanced_accuracy=shares.balanced([true, ~true], said == true),
            auc=shares.auc(p, true),
            average_precision=shares.average_precision(p, true),
            macro_f1=shares.macro_f1([(said, true), (~said, ~true)]),
            log_loss=mean_of(self.losses(predictions, y)),
            brier=mean_of((p - y) ** 2),
        )

    def statistics(self, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, ...]:
        """The share of the second class."""
        return (float(np.average(y, weights=weight)),)

    def blind_loss_of(self, statistics: tuple[float, ...]) -> float:
        """The entropy of the class frequencies, as the classes are weighted.

        By hand: a quarter positive, 0.5623 nats; with class weights that balance them, ln 2.
        """
        (share,) = statistics
        return entropy(weighted((1.0 - share, share), self.class_weights))

    def blind_loss(self, y: np.ndarray) -> float:
        return self.blind_loss_of(self.statistics(y))


def threshold_of(probabilities: np.ndarray, y: np.ndarray) -> float:
    """The probability above which the second class is predicted, from validation rows.

    One half where the classes are of like size. Else where the mean of both classes' shares of
    right rows is largest (Youden 1950), half-way between two probabilities; of equally good ones
    that nearest to one half. By hand, 0.1, 0.2 and 0.3 of the first class, 0.25 and 0.6 of the
    second: above 0.225 both of the second and two of three are right, 0.833; above 0.45 one of two
    and all three, 0.75.
    """
    true = y > HALF
    share = float(true.mean())
    if not 0.0 < min(share, 1.0 - share) < UNEQUAL:
        return HALF
    p = np.unique(probabilities.astype(np.float64))
    cuts = np.append((p[:-1] + p[1:]) / 2, HALF)
    above = np.sort(probabilities[true].astype(np.float64)), np.sort(probabilities[~true])
    second = 1 - np.searchsorted(above[0], cuts, side="right") / len(above[0])
    first = np.searchsorted(above[1], cuts, side="right") / len(above[1])
    good = first + second
    best = cuts[good >= good.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - HALF))])
