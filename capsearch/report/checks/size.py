"""Is the space wide enough, and the curve what capacity makes it?"""

from collections.abc import Iterator, Mapping
from typing import Any

from capsearch.families.dense import dimensions
from capsearch.records import Candidate, StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import CapacityCurve, Contrasts, judged, tables_of
from capsearch.selection.contrasts import TAIL
from capsearch.selection.curve import name_of


def largest(record: StudyRecord) -> Answer:
    """CS001: the best size against the largest size band."""
    edges, best = record.study.ladder, record.choice.best
    if len(edges) <= 2:
        return not_applicable("the space has only one size band")
    if best.parameters >= edges[-2]:
        return warning(
            "the best network is in the largest size band: even larger ones may do better"
        )
    return ok("the best network is smaller than those of the largest size band")


def smallest(record: StudyRecord) -> Answer:
    """CS002: the selected size against the smallest that the space can build."""
    chosen, least = record.choice.selected, record.study.ladder[0]
    if not chosen.candidate.units:
        return not_applicable("no network is smaller than a linear model of these features")
    if chosen.parameters <= least:
        return warning(
            f"the selected network is the smallest that the space allows ({least:,} parameters): "
            "an even smaller one may be enough"
        )
    return ok("the space has smaller networks than the selected one")


def settings(record: StudyRecord) -> Answer:
    """CS003: every searched setting of the best and the selected network against its range."""
    space, on_edge = record.study.question["space"], dict[str, list[str]]()
    for role, found in (("best", record.choice.best), ("selected", record.choice.selected)):
        for what in _on_edge(found.candidate, space):
            on_edge.setdefault(what, []).append(role)
    if not on_edge:
        return ok("no setting of the best or the selected network is at the edge of its range")
    listed = [f"{what} of the {' and '.join(roles)}" for what, roles in on_edge.items()]
    return warning(
        f"at the edge of what was searched: {', '.join(listed)}; with a wider range a better "
        "network may be found"
    )


def _on_edge(candidate: Candidate, space: Mapping[str, Any]) -> Iterator[str]:
    """Each setting on the edge of its range, with its value."""
    for dimension in dimensions():
        value, said = dimension.of(candidate), space.get(dimension.name)
        if said is not None and dimension.searched(said).on_edge(value):
            yield f"{dimension.title} ({dimension.text(value)})"


def lagging(record: StudyRecord) -> Answer:
    """CS015: a larger network can do what a smaller one does; one that does not was not found.

    Each is compared with the best of the smaller ones, paired by example, seeds counted
    (`selection.Contrasts`); the level of all together is divided among them (Bonferroni).
    """
    points = record.estimates
    if len(points) < 2:
        return not_applicable("only one network was compared")
    curve = CapacityCurve(points)
    contrasts = Contrasts.of(tables_of(curve, judged(record).replicates))
    half, found = contrasts.half_width(TAIL / (len(points) - 1)), list[str]()
    for larger in range(1, len(points)):
        lowest = min(range(larger), key=lambda i: points[i].mean)
        behind = contrasts.gap[larger, lowest]
        if behind > half[larger, lowest]:
            one, other = (name_of(points[i]) for i in (larger, lowest))
            found.append(f"{one} ({behind:.4f} worse than {other})")
    if found:
        return warning(
            f"larger but clearly worse: {', '.join(found)}; more trials may find a better network "
            "of that size"
        )
    return ok("no finalist is clearly worse than a smaller one")
