"""Seed variances that borrow from each other: five seeds know little, ten networks' know more."""

from dataclasses import dataclass
from math import inf, isfinite, log

import numpy as np

MOST = 1e6  # degrees of freedom beyond which t is normal
LEAST = 1e-5  # of the median: a variance below it is taken for that, since its logarithm is wanted


@dataclass(frozen=True)
class Moderated:
    """Variances over a network's seeds of its mean loss, and what they are worth; shape (K,)."""

    variances: np.ndarray
    freedom: np.ndarray  # degrees of freedom


def moderated(variances: np.ndarray, runs: np.ndarray) -> Moderated:
    """Each variance drawn towards that of all, as far as they agree (Smyth 2004, SAGMB 3).

    The true variances are taken for draws of s0^2 d0 / chi-square(d0), whose s0^2 and d0 the
    logarithms of the observed ones tell. With d = runs - 1 the moderated one is
    (d0 s0^2 + d s^2) / (d0 + d), on d0 + d degrees of freedom.

    By hand: three variances of 4 from 5 runs each differ less than chance would have them, so d0 is
    infinite and each becomes s0^2 = 4 (d/2) / exp(digamma(d/2)) = 4 * 2 / exp(0.4228) = 5.242: the
    logarithm of a variance lies below that of its mean.

    Args:
        variances: observed, shape (K,); of a network with one run it is not read.
        runs: how many completed, shape (K,).
    """
    from scipy.special import digamma

    d = np.maximum(np.asarray(runs, dtype=np.float64) - 1.0, 0.0)
    known = d > 0
    if not known.any():
        return Moderated(np.full(len(d), inf), np.ones(len(d)))
    observed = np.asarray(variances, dtype=np.float64)[known]
    floor = LEAST * float(np.median(observed))
    if floor == 0.0:
        return Moderated(np.where(known, variances, inf), np.maximum(d, 1.0))
    centred = np.log(np.maximum(observed, floor)) - digamma(d[known] / 2) + np.log(d[known] / 2)
    prior, scale = _prior(centred, d[known])
    own = np.where(known, variances, 0.0)
    if not isfinite(prior):
        return Moderated(np.full(len(d), scale), np.full(len(d), MOST))
    found = (prior * scale + d * own) / (prior + d)
    return Moderated(found, np.minimum(prior + d, MOST))


def _prior(centred: np.ndarray, d: np.ndarray) -> tuple[float, float]:
    """d0 and s0^2, from log variances whose own bias was taken away."""
    from scipy.special import digamma, polygamma

    mean = float(centred.mean())
    if len(centred) < 2:
        return 0.0, float(np.exp(mean))
    beyond = float(centred.var(ddof=1) - polygamma(1, d / 2).mean())
    if beyond <= 0.0:
        return inf, float(np.exp(mean))
    prior = 2.0 * _inverse_trigamma(beyond)
    return prior, float(np.exp(mean + digamma(prior / 2) - log(prior / 2)))


def _inverse_trigamma(value: float) -> float:
    """The x > 0 of trigamma(x) = value, by Newton's steps on its reciprocal."""
    from scipy.special import polygamma

    x = 0.5 + 1.0 / value
    for _ in range(50):
        step = float(polygamma(1, x))
        change = step * (1.0 - step / value) / float(polygamma(2, x))
        x += change
        if abs(change) < 1e-8 * x:
            break
    return x
