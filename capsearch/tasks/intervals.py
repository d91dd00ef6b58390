"""95% intervals over rows, each from a formula that holds at the ends of its range, too.

A share of hits is Wilson's; means are normal. A mean over classes has the mean of its classes' ends
where these share rows: that is their interval if the classes were wrong together, and too wide, if
anything, where they are not.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean

import numpy as np

from capsearch.records import Interval

Z95 = NormalDist().inv_cdf(0.975)


def mean_of(values: np.ndarray) -> Interval:
    """Of a mean over rows: normal. Of a single row both ends are the mean.

    What is never negative has no mean below 0: few rows with one large loss among them are skewed.
    """
    held = np.asarray(values, np.float64)
    mean = float(held.mean())
    reach = Z95 * float(held.std(ddof=1)) / sqrt(len(held)) if len(held) > 1 else 0.0
    low = mean - reach
    return Interval(mean, max(low, 0.0) if held.min() >= 0.0 else low, mean + reach)


def share_of(share: float, rows: float) -> Interval:
    """Wilson (1927), of a share of so many rows.

    By hand, 8 of 10: centre (0.8 + 0.192073) / 1.384146, half width 1.959964 / 1.384146 * 0.15994:
    0.4902 to 0.9433.
    """
    z = Z95**2 / rows
    centre = (share + z / 2) / (1 + z)
    half = Z95 / (1 + z) * sqrt(share * (1 - share) / rows + z / (4 * rows))
    return Interval(share, max(centre - half, 0.0), min(centre + half, 1.0))


def apart(parts: Sequence[Interval]) -> Interval:
    """The mean of independent figures (classes have no row in common).

    Each end lies as far from the mean as the root of the summed squares of the parts' own distances
    (Zou and Donner 2008). By hand, 0.8 (0.6 to 0.9) and 0.6 (0.3 to 0.7): half of sqrt(0.04 + 0.09)
    below 0.7, half of sqrt(0.01 + 0.01) above it: 0.5197 to 0.7707.
    """
    mean, count = fmean(p.value for p in parts), len(parts)
    below = sqrt(sum((p.value - p.low) ** 2 for p in parts)) / count
    above = sqrt(sum((p.high - p.value) ** 2 for p in parts)) / count
    return Interval(mean, mean - below, mean + above)


def together(parts: Sequence[Interval]) -> Interval:
    """The mean of figures of the same rows, from the means of their ends."""
    return Interval(
        fmean(p.value for p in parts), fmean(p.low for p in parts), fmean(p.high for p in parts)
    )


def auc_of(auc: float, positives: int, negatives: int) -> Interval:
    """Newcombe (2006), method 5: where the observed area is z standard errors of the true one away.

    The variance is Hanley and McNeil's (1982) with both sizes replaced by their mean. By hand, 0.5
    of 10 and 10: variance 0.25 (1 + 9 (1/3 + 1/3)) / 100 = 0.0175 at 0.5 itself.
    """

    def apart(true: float) -> float:
        half = (positives + negatives) / 2 - 1
        spread = true * (1 - true) * (1 + half * ((1 - true) / (2 - true) + true / (1 + true)))
        return abs(auc - true) - Z95 * sqrt(spread / (positives * negatives))

    def end(far: float) -> float:
        """Between the observed area, which is near enough, and an end that is not."""
        near = auc
        for _ in range(60):
            middle = (near + far) / 2
            near, far = (middle, far) if apart(middle) < 0 else (near, middle)
        return near

    low = end(0.0) if auc > 0.0 else 0.0
    high = end(1.0) if auc < 1.0 else 1.0
    return Interval(auc, low, high)
