"""The knee of the capacity curve."""

import warnings
from math import log10

from capsearch.selection.contrasts import TAIL, Contrasts
from capsearch.selection.curve import CapacityCurve, name_of
from capsearch.selection.rules import Verdict, undecided

FEWEST = 4  # points; the ends cannot be knees, and of one inner point there is nothing to choose


def knee(curve: CapacityCurve, contrasts: Contrasts) -> Verdict:
    """Where the mean loss over log capacity bends most (Satopaa et al. 2011, "Kneedle"; kneed).

    Only the part up to the best is read: what rises after it is no fall that has ended. The points
    are scaled to a unit square, so the method sees the shape and not the noise: a curve of pure
    noise has knees, too. Hence it refuses a fall from the smallest to the best that lies within its
    own 95% interval of none. A knee is no evidence that it costs little: it moves with the sizes
    that were tried, and noise moves it from size to size.

    By hand, sizes 10, 100, ..., 10^5 with losses 0.60, 0.32, 0.30, 0.29, 0.28: scaled, x = 0, 1/4,
    1/2, 3/4, 1 and the fall is 0, 0.875, 0.9375, 0.96875, 1; fall - x is largest, 0.625, at 100.
    """
    falling = curve.points[: curve.points.index(curve.best) + 1]
    first, last = falling[0], falling[-1]
    if len(falling) < FEWEST:
        return undecided(curve, f"there are fewer than {FEWEST} networks up to the best")
    ends = (0, len(falling) - 1)
    fall, noise = contrasts.gap[ends], contrasts.half_width(TAIL)[ends]
    if fall <= noise:
        return undecided(
            curve,
            f"the {curve.noun} falls by {fall:.4f} in all, which its error ({noise:.4f}) may "
            "explain",
        )
    from kneed import KneeLocator  # it imports matplotlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "No knee found": the verdict says so
        found = KneeLocator(
            [log10(p.parameters) for p in falling],
            [p.mean for p in falling],
            curve="convex",
            direction="decreasing",
        ).knee
    chosen = next((p for p in falling if found is not None and log10(p.parameters) == found), None)
    if chosen is None or chosen in (first, last):
        return undecided(curve, "the curve has no knee")
    return Verdict(
        chosen,
        f"{name_of(chosen)} is where the {curve.noun} stops falling fast: the bend of the curve",
    )
