"""The smallest network shown not to be worse than the best, with its error held."""

from dataclasses import dataclass

import numpy as np

from capsearch.records import Estimate
from capsearch.selection.contrasts import Contrasts
from capsearch.selection.curve import CapacityCurve, name_of
from capsearch.selection.rules import Verdict, undecided


def non_inferiority(
    curve: CapacityCurve, contrasts: Contrasts, margin: float, confidence: float
) -> Verdict:
    """The smallest capacity shown to be at most `margin` nats worse than any other.

    The promise: P(it decides, and what it chooses is truly worse than the truly best by more than
    the margin) <= 1 - confidence. Undecided, it keeps the best as observed and promises nothing.

    "The best" is picked by the data, so comparing with it alone would flatter it (the winner's
    curse). A candidate therefore passes only if its upper limit against *every* other lies below
    the margin, the truly best among them, whichever it is: an intersection-union test (Berger 1982,
    Technometrics 24), as in Hsu's multiple comparisons with the best (1984, Annals of Statistics
    12). With K candidates up to K - 1 could pass wrongly (the truly best cannot), and of those that
    pass the smallest is chosen, so the levels are Holm's (1979, Scandinavian Journal of Statistics
    6): (1 - confidence)/(K - 1) at first, and (1 - confidence)/(K - m) once m > 1 have passed. The
    limits are those of `Contrasts.moderated_half_width`: paired by example, seeds and examples both
    counted, the seeds' variances borrowing from each other.
    Never is a network chosen that is larger than the best as observed.

    By hand: three candidates 0.02, 0.004 and 0 above the best, every half-width 0.0050 at 2.5%,
    margin 0.01: the third (at most 0.0010 worse than the second) and the second (0.0090 worse than
    the third) pass, the first (0.0250) does not, and not at 5% either, where the half-width is
    0.0042: the second is chosen.

    It pays for its promise: with few seeds that differ much, or few examples, it says undecided.
    Its limits suppose means near to normal. Where differences of 200 losses were skewed by 2.8
    towards the worse network it erred in 8% of simulated studies instead of 5% and, by 8.2, in 23%
    (tests/bench/README.md).
    """
    tested = _step_down(contrasts, margin, 1.0 - confidence)
    best = curve.points.index(curve.best)
    passed = tested.passed[: best + 1]
    shown = f"with {confidence * 100:g}% confidence, to be at most {margin:g} worse in {curve.noun}"
    if len(curve.points) == 1:
        return Verdict(curve.best, f"{name_of(curve.best)} is the only network compared")
    if not passed.any():
        rival = curve.points[int(tested.rival[best])]
        why = f"no network up to the best can be shown, {shown} than every other"
        return undecided(curve, f"{why} (the best itself: {_limit(tested.limit[best], rival)})")
    chosen = int(np.argmax(passed))
    point, rival = curve.points[chosen], curve.points[int(tested.rival[chosen])]
    smaller = "None smaller was compared" if chosen == 0 else "No smaller one can be"
    limit = _limit(tested.limit[chosen], rival)
    said = f"{name_of(point)} is shown, {shown} than every other network ({limit}). {smaller}"
    return Verdict(point, said)


def shown_good(contrasts: Contrasts, margin: float, confidence: float) -> np.ndarray:
    """Which networks are shown to be at most `margin` worse than any other, shape (K,)."""
    if len(contrasts.gap) == 1:
        return np.array([True])
    return _step_down(contrasts, margin, 1.0 - confidence).passed


@dataclass(frozen=True)
class _Tested:
    """For each candidate: its highest upper limit, against whom, and whether it is low enough.

    Limits are at the level at which the candidate passed first, or failed first.
    """

    limit: np.ndarray
    rival: np.ndarray
    passed: np.ndarray


def _step_down(contrasts: Contrasts, margin: float, alpha: float) -> _Tested:
    """Holm's steps; what has passed never fails again, for the levels only rise."""
    k = len(contrasts.gap)
    limit, rival, passed = _against_all(contrasts, margin, alpha / max(k - 1, 1))
    while 1 < (passing := int(passed.sum())) < k:
        again = _against_all(contrasts, margin, alpha / (k - passing))
        newly = again[2] & ~passed
        if not newly.any():
            break
        limit, rival = np.where(newly, again[0], limit), np.where(newly, again[1], rival)
        passed = again[2]
    return _Tested(limit, rival, passed)


def _against_all(
    contrasts: Contrasts, margin: float, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    limits = contrasts.gap + contrasts.moderated_half_width(level)
    np.fill_diagonal(limits, -np.inf)
    highest = limits.max(axis=1)
    return highest, limits.argmax(axis=1), highest < margin


def _limit(limit: float, rival: Estimate) -> str:
    if np.isinf(limit):
        return f"fewer than two seeds in common with {name_of(rival)}"
    return f"at most {max(limit, 0.0):.4f} worse than {name_of(rival)}"
