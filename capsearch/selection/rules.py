"""The rules that read means and standard errors. Each says what it chose and why.

A rule that cannot decide falls back to the best, never to a smaller network, and says so.
"""

from dataclasses import dataclass, field
from typing import Any

from capsearch.records import Estimate
from capsearch.selection.curve import CapacityCurve, name_of

BYTES = 4  # of a float32 parameter


def _legal(default: float | None, **limits: Any) -> Any:
    """A setting with its default and what else it may be, in pydantic's words."""
    return field(default=default, metadata=limits | {"allow_inf_nan": False})


@dataclass(frozen=True)
class Settings:
    """What the rules are asked: the study file's [select], without its rule and replicates.

    `percent` is for pct_loss, `margin` and `probability` for probably_good, `margin` and
    `confidence` for non_inferiority, the caps for budget. `margin` is in the unit
    of what networks are judged by: of log loss, nats per example. Losing
    0.01 nats means that the probability given to what is true falls by 1% in the geometric mean
    (exp(-0.01) = 0.990).
    """

    probability: float = _legal(0.95, ge=0.5, lt=1.0)
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
    return Verdict(
        curve.best, f"{name_of(curve.best)} has the lowest validation {curve.noun} of all"
    )


def one_std_err(curve: CapacityCurve) -> Verdict:
    """The smallest capacity within one standard error of the best (Breiman et al. 1984, CART).

    By hand: best 0.280 with standard error 0.004, so the limit is 0.284; of 0.300, 0.283 and 0.280
    the second is chosen.
    """
    mean, error = curve.best.mean, curve.best.se
    near = f"within one standard error of the best ({mean:.4f} + {error:.4f})"
    return _within(curve, mean + error, near)


def pct_loss(curve: CapacityCurve, percent: float) -> Verdict:
    """The smallest capacity that loses at most `percent` percent of the best mean loss.

    The rule of tidymodels' `select_by_pct_loss`. It knows nothing of noise, and near a loss of zero
    its tolerance vanishes. By hand: best 0.280, 2%: the limit is 0.2856.
    """
    near = f"within {percent:g}% of the best ({curve.best.mean:.4f})"
    return _within(curve, curve.best.mean * (1.0 + percent / 100.0), near)


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
        return undecided(curve, f"no network compared keeps to {named}")
    chosen = CapacityCurve(tuple(affordable)).best
    lowest = f"{name_of(chosen)} has the lowest validation {curve.noun}"
    return Verdict(chosen, f"{lowest} within {named}")


def undecided(curve: CapacityCurve, why: str) -> Verdict:
    """The best, for want of a decision."""
    said = f"undecided: {why}. So the best network, {name_of(curve.best)}, is kept"
    return Verdict(curve.best, said, undecided=True)


def _within(curve: CapacityCurve, limit: float, near: str) -> Verdict:
    """The smallest whose loss is at most `limit`; `near` says so in words."""
    chosen = curve.smallest_within(limit)
    name, smaller = name_of(chosen), curve.points[: curve.points.index(chosen)]
    below = f"{smaller[-1].mean:.4f}" if smaller else ""
    if chosen != curve.best:
        next_ = f"The next smaller one is not ({below})" if smaller else "None smaller was compared"
        smallest = f"{name} is the smallest network whose {curve.noun} ({chosen.mean:.4f})"
        said = f"{smallest} is {near}. {next_}"
    elif smaller:
        said = f"{name} is the best network. No smaller one is {near}; the next one has {below}"
    else:
        said = f"{name} is the best network, and the smallest that was compared"
    return Verdict(chosen, said)
