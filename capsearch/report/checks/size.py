"""Is the space wide enough, and the curve what capacity makes it?"""

from collections.abc import Iterator
from math import log

import numpy as np

from capsearch.records import Candidate, Estimate, StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import standard_error

NEAR = 0.02  # of a range, on its own scale: nearer to an end than this is on the edge
CLEARLY = 3.0  # standard errors: about ten sizes are compared, and 0.05 / 10 is at 2.8


def largest(record: StudyRecord) -> Answer:
    """CS001: the best size against the largest rung."""
    edges, best = record.study.ladder, record.choice.best
    if len(edges) <= 2:
        return not_applicable("the space has one rung only")
    if best.parameters >= edges[-2]:
        return warning(
            "the best size lies on the highest rung: larger networks may do better still"
        )
    return ok("the best size lies below the highest rung")


def smallest(record: StudyRecord) -> Answer:
    """CS002: the selected size against the smallest that the space can build."""
    chosen, least = record.choice.selected, record.study.ladder[0]
    if not chosen.candidate.units:
        return not_applicable("no network is smaller than a linear model of these features")
    if chosen.parameters <= least:
        return warning(
            f"the selected network is the smallest that the space allows ({least:,} parameters): "
            "a smaller one might do"
        )
    return ok("the space holds networks smaller than the selected one")


def settings(record: StudyRecord) -> Answer:
    """CS003: every searched setting of the best and the selected network against its range."""
    space = record.study.question["space"]
    on_edge: dict[str, list[str]] = {}
    for role, found in (("best", record.choice.best), ("selected", record.choice.selected)):
        for what in _on_edge(found.candidate, space):
            on_edge.setdefault(what, []).append(role)
    if not on_edge:
        return ok("no setting of the best or the selected network lies on the edge of its range")
    listed = [f"{' and '.join(roles)} {what}" for what, roles in on_edge.items()]
    lies = "lies" if len(listed) == 1 else "lie"
    edge = "edge of its range" if len(listed) == 1 else "edges of their ranges"
    return warning(f"{', '.join(listed)} {lies} on the {edge}")


def lagging(record: StudyRecord) -> Answer:
    """CS015: a larger network can do what a smaller one does; one that does not was not found.

    Losses are compared row by row, replicate by replicate: d[r, i] with its standard error.
    """
    if len(record.estimates) < 2:
        return not_applicable("there is one finalist only")
    lowest, found = record.estimates[0], list[str]()
    for larger in record.estimates[1:]:
        behind = larger.mean - lowest.mean
        if behind > CLEARLY * _error_of_difference(record, larger, lowest):
            found.append(f"{larger.candidate.label} ({behind:.4f} above {lowest.candidate.label})")
        lowest = min(lowest, larger, key=lambda e: e.mean)
    if found:
        return warning(
            f"clearly worse than a smaller network: {', '.join(found)}; with more trials on its "
            "rung a better one may be found"
        )
    return ok("no finalist is clearly worse than a smaller one")


def _on_edge(candidate: Candidate, space: dict[str, dict[str, float] | None]) -> Iterator[str]:
    """Each setting on the edge, with its value. An end at 'none' is no edge."""
    for name in ("dropout", "l1", "l2", "learning_rate"):
        reach, value = space.get(name), getattr(candidate, name)
        if reach is None or value == 0.0 or reach["low"] == reach["high"]:
            continue
        at_low, at_high = _ends(value, reach)
        if at_high or (at_low and not reach["off"] and reach["low"] > 0.0):
            yield f"{_NAMES[name]} ({value:.2g})" if name != "dropout" else f"dropout ({value:.2f})"
    layers, units = space["layers"], space["units"]
    if layers and layers["low"] < layers["high"] == len(candidate.units):
        yield f"number of layers ({len(candidate.units)})"
    if units and units["low"] < units["high"] == max(candidate.units, default=0):
        yield f"width ({max(candidate.units)} units)"


_NAMES = {"l1": "L1", "l2": "L2", "learning_rate": "learning rate"}


def _ends(value: float, reach: dict[str, float]) -> tuple[bool, bool]:
    """Whether a value is on the low and the high edge of a range, on the scale of its draws."""
    low, high, at = reach["low"], reach["high"], value
    if reach["log"]:
        low, high, at = log(low), log(high), log(value)
    share = (at - low) / (high - low)
    return share <= NEAR, share >= 1.0 - NEAR


def _error_of_difference(record: StudyRecord, one: Estimate, other: Estimate) -> float:
    tables = [_losses(record, e) for e in (one, other)]
    replicates = min(map(len, tables))
    return standard_error(tables[0][:replicates] - tables[1][:replicates])


def _losses(record: StudyRecord, estimate: Estimate) -> np.ndarray:
    """Losses of shape (replicates, rows)."""
    runs = [t.outcome for t in record.replicates if t.candidate == estimate.candidate]
    kept = [o.val_losses for o in runs if o and o.complete and o.val_losses is not None]
    return np.stack(kept).astype(np.float64)
