"""The rules that read means and standard errors. Each says what it chose and why.

A rule that cannot decide falls back to the best, never to a smaller network, and says so.
"""

from dataclasses import dataclass, field
from typing import Any

from capsearch.records import Estimate
from capsearch.selection.curve import CapacityCurve, size_of

BYTES = 4  # of a float32 parameter


def _legal(default: float | None, **limits: Any) -> Any:
    """A setting with its default and what else it may be, in pydantic's words."""
    return field(default=default, metadata=limits | {"allow_inf_nan": False})


@dataclass(frozen=True)
class Settings:
    """What the rules are asked: the study file's [select], without its rule and replicates.

    `percent` is for pct_loss, `margin` and `confidence` for non_inferiority, the caps for budget.
    `margin` is in nats per example. Losing 0.01 nats means that the probability given to what is
    true falls by 1 % in the geometric mean (exp(-0.01) = 0.990).
    """

    percent: float = _legal(2.0, ge=0.0)
    margin: float = _legal(0.01, gt=0.0)
    confidence: float = _legal(0.95, ge=0.5, lt=1.0)
    max_parameters: int | None = _legal(None, ge=1)
    max_bytes: int | None = _legal(None, ge=BYTES)


@dataclass(frozen=True)
class Verdict:
    """What a rule selected, why, and whether it only fell back to that."""

    selected: Estimate
    reason: str
    undecided: bool = False


def best(curve: CapacityCurve) -> Verdict:
    """The lowest mean validation loss, whatever its size."""
    return Verdict(curve.best, f"{size_of(curve.best)} has the lowest mean validation loss of all")


def one_std_err(curve: CapacityCurve) -> Verdict:
    """The smallest capacity within one standard error of the best (Breiman et al. 1984, CART).

    By hand: best 0.280 with standard error 0.004, so the limit is 0.284; of 0.300, 0.283 and 0.280
    the second is chosen.
    """
    limit = curve.best.mean + curve.best.se
    margin = f"the best ({curve.best.mean:.4f}) plus one standard error ({curve.best.se:.4f})"
    return _within(curve, limit, margin)


def pct_loss(curve: CapacityCurve, percent: float) -> Verdict:
    """The smallest capacity that loses at most `percent` % of the best mean loss.

    The rule of tidymodels' `select_by_pct_loss`. It knows nothing of noise, and near a loss of zero
    its tolerance vanishes. By hand: best 0.280, 2 %: the limit is 0.2856.
    """
    margin = f"{percent:g} % above the best ({curve.best.mean:.4f})"
    return _within(curve, curve.best.mean * (1.0 + percent / 100.0), margin)


def budget(
    curve: CapacityCurve, max_parameters: int | None, max_bytes: int | None
) -> Verdict | None:
    """The best under a cap of parameters, or of bytes of float32 weights; None without a cap.

    As `best` it takes the lowest mean as it is, so of two that noise cannot tell it may keep the
    larger. By hand: at most 800 bytes is at most 200 parameters; of 0.30 at 100, 0.29 at 200 and
    0.28 at 300 parameters the second is chosen.
    """
    caps = [(max_parameters, f"{max_parameters:,} parameters")] if max_parameters else []
    if max_bytes:
        caps.append((max_bytes // BYTES, f"{max_bytes:,} bytes of weights"))
    if not caps:
        return None
    most, named = min(caps)
    affordable = [p for p in curve.points if p.parameters <= most]
    if not affordable:
        return undecided(curve, f"no size tried keeps to {named}")
    chosen = CapacityCurve(tuple(affordable)).best
    return Verdict(chosen, f"{size_of(chosen)} has the lowest mean validation loss within {named}")


def undecided(curve: CapacityCurve, why: str) -> Verdict:
    """The best, for want of a decision."""
    kept = f"so {size_of(curve.best)}, the best as observed, is kept"
    return Verdict(curve.best, f"undecided: {why}, {kept}", undecided=True)


def _within(curve: CapacityCurve, limit: float, margin: str) -> Verdict:
    chosen = curve.smallest_within(limit)
    if chosen == curve.points[0]:
        start = f"{size_of(chosen)} is the smallest size tried, and"
    else:
        below = curve.points[curve.points.index(chosen) - 1]
        start = f"the next smaller size, {size_of(below)}, is at {below.mean:.4f};"
    if chosen == curve.best:
        return Verdict(chosen, f"{start} no smaller one stays within {margin}")
    times = curve.best.parameters / chosen.parameters
    gain = f"{times:.1f} times fewer parameters than the best" if times > 1 else "see the best"
    return Verdict(chosen, f"{start} its {chosen.mean:.4f} is within {margin}: {gain}")
