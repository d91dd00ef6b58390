"""Is the space wide enough, and the curve what capacity makes it?"""

from collections.abc import Iterator, Mapping
from typing import Any

from capsearch.families.dense import dimensions
from capsearch.records import Candidate, StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import CapacityCurve, Contrasts, tables_of

UNLIKELY = 0.025  # one-sided level of all comparisons of CS015 together


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
    space, on_edge = record.study.question["space"], dict[str, list[str]]()
    for role, found in (("best", record.choice.best), ("selected", record.choice.selected)):
        for what in _on_edge(found.candidate, space):
            on_edge.setdefault(what, []).append(role)
    if not on_edge:
        return ok("no setting of the best or the selected network lies on the edge of its range")
    listed = [f"{' and '.join(roles)} {what}" for what, roles in on_edge.items()]
    lies = "lies" if len(listed) == 1 else "lie"
    edge = "edge of its range" if len(listed) == 1 else "edges of their ranges"
    return warning(f"{', '.join(listed)} {lies} on the {edge}")


def _on_edge(candidate: Candidate, space: Mapping[str, Any]) -> Iterator[str]:
    """Each setting on the edge of its range, with its value."""
    for dimension in dimensions():
        value, said = dimension.of(candidate), space.get(dimension.name)
        if said is not None and dimension.searched(said).on_edge(value):
            yield f"{dimension.title} ({dimension.text(value)})"


def lagging(record: StudyRecord) -> Answer:
    """CS015: a larger network can do what a smaller one does; one that does not was not found.

    Each is compared with the best of the smaller ones, paired by example, seeds counted
    (`selection.Contrasts`); the level is divided among the comparisons (Bonferroni).
    """
    points = record.estimates
    if len(points) < 2:
        return not_applicable("there is one finalist only")
    curve = CapacityCurve(points)
    contrasts = Contrasts.of(tables_of(curve, record.replicates))
    half, found = contrasts.half_width(UNLIKELY / (len(points) - 1)), list[str]()
    for larger in range(1, len(points)):
        lowest = min(range(larger), key=lambda i: points[i].mean)
        behind = contrasts.gap[larger, lowest]
        if behind > half[larger, lowest]:
            one, other = points[larger].candidate.label, points[lowest].candidate.label
            found.append(f"{one} ({behind:.4f} above {other})")
    if found:
        return warning(
            f"clearly worse than a smaller network: {', '.join(found)}; with more trials on its "
            "rung a better one may be found"
        )
    return ok("no finalist is clearly worse than a smaller one")
