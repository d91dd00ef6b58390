"""A number. It is learned in standard deviations of the training rows, and told in its own unit."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, ClassVar, Literal

import numpy as np

from capsearch.records import Interval
from capsearch.tasks.base import HALF, Head, Headline, KerasObject
from capsearch.tasks.intervals import Z95, mean_of


@dataclass(frozen=True)
class Regression:
    """`y` is (target - mean) / scale of the training rows, (rows,); predictions have its own unit.

    So losses have no unit that depends on the target: a squared loss of 1 is that of always
    predicting the training rows' mean, and a margin of 0.015 is 1.5% of their variance. Huber's
    loss, which counts an error beyond `delta` standard deviations only in proportion, is half as
    large near 0, as Keras defines it.
    """

    mean: float = 0.0
    scale: float = 1.0
    loss: Literal["squared", "huber"] = "squared"
    delta: float = 1.0

    kind: ClassVar[Literal["regression"]] = "regression"
    labels: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[int] = 1
    headline: ClassVar[Headline] = Headline("rmse", "RMSE", share=False)
    blind: ClassVar[str] = "always predicting the mean"
    keras_figure: ClassVar[KerasObject] = KerasObject("MeanSquaredError")
    class_weights: ClassVar[tuple[float, ...]] = ()

    def __post_init__(self) -> None:
        if not isfinite(self.mean) or not 0.0 < self.scale < float("inf"):
            raise ValueError(f"a regression needs a scale above 0, not {self.scale}")
        if self.loss not in ("squared", "huber") or not 0.0 < self.delta < float("inf"):
            raise ValueError("a regression's loss is squared, or huber with a delta above 0")

    @classmethod
    def of(cls, target: np.ndarray, **more: Any) -> "Regression":
        """With mean and standard deviation of the training rows' target. Raises ValueError where
        all are equal.
        """
        held = np.asarray(target, np.float64)
        return cls(float(held.mean()), float(held.std()), **more)

    @property
    def head(self) -> Head:
        return self.loss

    @property
    def unit(self) -> str:
        return "variances of the training rows' target"

    @property
    def keras_loss(self) -> KerasObject:
        if self.loss == "huber":
            return KerasObject("Huber", (("delta", self.delta),))
        return KerasObject("MeanSquaredError")

    def describe(self) -> dict[str, Any]:
        told = {"kind": self.kind, "mean": self.mean, "scale": self.scale}
        return told | ({"loss": self.loss, "delta": self.delta} if self.loss == "huber" else {})

    def standardised(self, target: np.ndarray) -> np.ndarray:
        """`y` of a target in its own unit: float32."""
        found: np.ndarray = ((np.asarray(target, np.float64) - self.mean) / self.scale).astype(
            np.float32
        )
        return found

    def natural(self, y: np.ndarray) -> np.ndarray:
        """The target behind `y`, in its own unit: float64."""
        found: np.ndarray = np.asarray(y, np.float64) * self.scale + self.mean
        return found

    def check(self, y: np.ndarray) -> None:
        if y.ndim != 1 or not np.isfinite(y).all():
            raise ValueError("the targets of a regression are finite numbers, one a row")

    def figure(self, mean: float) -> float:
        """RMSE in the target's own unit, from the mean squared error."""
        return self.scale * sqrt(mean) if mean >= 0.0 else mean

    def raw_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._of(raw.ravel().astype(np.float64) - y)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        return self.natural(raw.ravel()).astype(np.float32)

    def losses(self, predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._of((predictions.astype(np.float64) - self.mean) / self.scale - y)

    def metrics(
        self, predictions: np.ndarray, y: np.ndarray, threshold: float = HALF
    ) -> dict[str, Interval]:
        """RMSE and MAE in the target's own unit; R2 is the share of variance that is explained."""
        error = predictions.astype(np.float64) - self.natural(y)
        squared, absolute = mean_of(error**2), mean_of(np.abs(error))
        rmse = Interval(*(sqrt(max(v, 0.0)) for v in (squared.value, squared.low, squared.high)))
        found = {"rmse": rmse, "mae": absolute}
        r2 = _r2(error**2, (self.natural(y) - self.natural(y).mean()) ** 2)
        return found | ({"r2": r2} if r2 else {})

    def statistics(self, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, ...]:
        """Mean and standard deviation of the target, in its own unit."""
        natural = self.natural(y)
        mean = float(np.average(natural, weights=weight))
        return mean, sqrt(float(np.average((natural - mean) ** 2, weights=weight)))

    def blind_loss_of(self, statistics: tuple[float, ...]) -> float:
        """The variance of the rows, in that of the training rows; of Huber's loss what it is about.

        By hand, a standard deviation of 3 where the training rows have 2: 9 / 4 = 2.25. Huber's
        loss of a normal target is computed from its density.
        """
        spread = statistics[1] / self.scale
        if self.loss == "squared":
            return spread**2
        grid = np.linspace(-8.0, 8.0, 4001)
        density = np.exp(-(grid**2) / 2)
        return float((self._of(spread * grid) * density).sum() / density.sum())

    def blind_loss(self, y: np.ndarray) -> float:
        return self.blind_loss_of(self.statistics(y))

    def _of(self, error: np.ndarray) -> np.ndarray:
        """By hand, an error of 3 and a delta of 1: squared 9, Huber 1 * 3 - 1/2 = 2.5."""
        if self.loss == "squared":
            return error**2
        far = self.delta * np.abs(error) - self.delta**2 / 2
        found: np.ndarray = np.where(np.abs(error) <= self.delta, error**2 / 2, far)
        return found


def _r2(squared: np.ndarray, spread: np.ndarray) -> Interval | None:
    """Of squared errors and squared distances from the mean; None where all rows are equal.

    R2 is one less a ratio of two means: its standard error is that of `squared - (1 - R2) spread`
    over the mean of `spread` (the delta method).
    """
    total = float(spread.mean())
    if total == 0.0:
        return None
    left = float(squared.mean()) / total
    reach = 0.0
    if len(squared) > 1:
        own = (squared - left * spread) / total
        reach = Z95 * float(own.std(ddof=1)) / sqrt(len(own))
    return Interval(1.0 - left, 1.0 - left - reach, min(1.0 - left + reach, 1.0))
