"""How probable it is of each size that it is good: within the margin of the truly best."""

from dataclasses import dataclass

import numpy as np

from capsearch.records import Estimate
from capsearch.selection.contrasts import Contrasts
from capsearch.selection.curve import CapacityCurve, name_of
from capsearch.selection.rules import Verdict, undecided

EVEN = 0.5
SLIGHT = 0.01  # a size less probable than this is no contender any more


@dataclass(frozen=True)
class Goodness:
    """Of each point of a curve: P(its true loss <= the best's + margin), shape (K,)."""

    probability: np.ndarray
    best: int  # place of the best as observed

    @classmethod
    def of(cls, curve: CapacityCurve, contrasts: Contrasts, margin: float) -> "Goodness":
        """By the errors of `Contrasts.errors` around the observed means.

        By hand: two networks 0.01 apart, the difference known to within a standard error of 0.005,
        margin 0.015: the worse one is good with the probability that a standard normal variable
        lies below (0.015 - 0.01) / 0.005 = 1: 0.84.
        """
        means = np.array([point.mean for point in curve.points])
        true = contrasts.errors + means
        good = true <= true.min(axis=1, keepdims=True) + margin
        return cls(good.mean(axis=0), curve.points.index(curve.best))

    def smallest(self, least: float) -> int | None:
        """The smallest network, up to the best, of at least this probability; None if none has."""
        passed = np.flatnonzero(self.probability[: self.best + 1] >= least)
        return int(passed[0]) if len(passed) else None


def probably_good(
    curve: CapacityCurve, contrasts: Contrasts, margin: float, probability: float
) -> Verdict:
    """The smallest network that is good with at least this probability.

    Validation rows and seeds both count: errors of rows are normal with the covariance of the
    losses over rows, those of seeds follow t with moderated variances, and a vague prior takes the
    means as observed. It is the probability of that model. On simulated curves it is too modest
    where several sizes are nearly as good as the best, and too sure where one size alone is ahead
    of all others by just the margin (tests/bench/README.md). Never is a network chosen that is
    larger than the best as observed.
    """
    goodness = Goodness.of(curve, contrasts, margin)
    place, enough = goodness.smallest(probability), f"{probability * 100:g}%"
    within = f"within {margin:g} of the truly best network's validation {curve.noun}"
    if len(curve.points) == 1:
        return Verdict(curve.best, f"{name_of(curve.best)} is the only network compared")
    if place is None:
        why = f"no network has a probability of {enough} to be {within}"
        even = goodness.smallest(EVEN)
        if even is not None and even != goodness.best:
            named = f"{name_of(curve.points[even])}, {goodness.probability[even]:.0%}"
            why += f" (the smallest that has at least even odds: {named})"
        return undecided(curve, why)
    point = curve.points[place]
    said = (
        f"{name_of(point)} is the smallest network that is {within} with a probability of at least "
        f"{enough} ({shown(goodness.probability[place])})"
    )
    if place:
        smaller = goodness.probability[:place].max()
        most = "even 1%" if smaller < SLIGHT else f"more than {smaller:.0%}"
        said += f". No smaller one has {most}"
    return Verdict(point, said)


def able_to_decide(
    curve: CapacityCurve, contrasts: Contrasts, margin: float, probability: float
) -> tuple[Estimate, ...]:
    """The networks whose fresh seeds can still decide; none when it is decided."""
    goodness = Goodness.of(curve, contrasts, margin)
    if goodness.smallest(probability) is not None:
        return ()
    able = goodness.probability > SLIGHT
    able[goodness.best] = True
    return tuple(point for point, may in zip(curve.points, able, strict=True) if may)


def shown(probability: float) -> str:
    """'97%'; what thousands of draws cannot tell from certainty is 'above 99%' or 'below 1%'."""
    if probability > 0.99:
        return "above 99%"
    return "below 1%" if probability < 0.01 else f"{probability:.0%}"
