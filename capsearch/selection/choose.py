"""Every rule by its name, and the choice that a rule makes of a study's replicates."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from capsearch.records import Candidate, Choice, Standing, Trial
from capsearch.selection import rules
from capsearch.selection.contrasts import Contrasts, tables_of
from capsearch.selection.curve import CapacityCurve, loss_of, typical
from capsearch.selection.kneedle import knee
from capsearch.selection.noninferiority import non_inferiority, shown_good
from capsearch.selection.probability import Goodness, able_to_decide, probably_good
from capsearch.selection.rules import Settings, Verdict


@dataclass(frozen=True)
class Evidence:
    """What rules decide on: the curve, and the differences between its points."""

    curve: CapacityCurve
    contrasts: Contrasts

    @classmethod
    def of(cls, curve: CapacityCurve, replicates: Sequence[Trial]) -> Self:
        return cls(curve, Contrasts.of(tables_of(curve, replicates)))

    def at(self, means: np.ndarray) -> Self:
        """The same evidence had the means been these, shape (points,), with the same errors."""
        old = self.curve.points
        points = tuple(replace(p, mean=float(m)) for p, m in zip(old, means, strict=True))
        moved = means - np.array([p.mean for p in old])
        return replace(
            self, curve=replace(self.curve, points=points), contrasts=self.contrasts.shifted(moved)
        )


Rule = Callable[[Evidence, Settings], Verdict | None]

RULES: dict[str, Rule] = {
    "probably_good": lambda on, asked: probably_good(
        on.curve, on.contrasts, asked.margin, asked.probability
    ),
    "one_std_err": lambda on, _: rules.one_std_err(on.curve),
    "pct_loss": lambda on, asked: rules.pct_loss(on.curve, asked.percent),
    "non_inferiority": lambda on, asked: non_inferiority(
        on.curve, on.contrasts, asked.margin, asked.confidence
    ),
    "knee": lambda on, _: knee(on.curve, on.contrasts),
    "budget": lambda on, asked: rules.budget(on.curve, asked.max_parameters, asked.max_bytes),
    "best": lambda on, _: rules.best(on.curve),
}
"""By the names of the study file; None where a rule does not apply."""


def choose(
    curve: CapacityCurve, replicates: Sequence[Trial], rule: str, settings: Settings
) -> Choice:
    """The choice of `rule`, with the replicate that stands for it: the one of median loss.

    Raises KeyError when the rule does not apply: `budget` without a cap.
    """
    return verdicts(curve, replicates, settings, [rule])[rule]


def verdicts(
    curve: CapacityCurve,
    replicates: Sequence[Trial],
    settings: Settings,
    among: Iterable[str] = RULES,
) -> dict[str, Choice]:
    """What each of these rules that applies would choose, and how sure that is."""
    evidence = Evidence.of(curve, replicates)
    sure = Sureness.of(evidence, settings)
    found = {name: RULES[name](evidence, settings) for name in among}
    return {
        name: _choice(curve, replicates, name, verdict, sure)
        for name, verdict in found.items()
        if verdict is not None
    }


def probabilities_of(
    curve: CapacityCurve, replicates: Sequence[Trial], settings: Settings
) -> tuple[float, ...]:
    """Of each point: the probability of being within the margin of the truly best."""
    evidence = Evidence.of(curve, replicates)
    found = Goodness.of(curve, evidence.contrasts, settings.margin).probability
    return tuple(map(float, found))


def undecided_among(
    curve: CapacityCurve, replicates: Sequence[Trial], settings: Settings
) -> tuple[Candidate, ...]:
    """The networks whose fresh seeds can still decide what probably_good chooses; often none."""
    contrasts = Evidence.of(curve, replicates).contrasts
    able = able_to_decide(curve, contrasts, settings.margin, settings.probability)
    return tuple(point.candidate for point in able)


@dataclass(frozen=True)
class Sureness:
    """What can be claimed of each point of a curve, whichever rule chooses it."""

    proved: np.ndarray  # bool (K,): by non_inferiority
    probability: np.ndarray  # (K,): of being within the margin of the truly best
    enough: float

    @classmethod
    def of(cls, evidence: Evidence, settings: Settings) -> Self:
        curve, contrasts, margin = evidence.curve, evidence.contrasts, settings.margin
        probability = Goodness.of(curve, contrasts, margin).probability
        proved = shown_good(contrasts, margin, settings.confidence)
        return cls(proved, probability, settings.probability)

    def standing(self, place: int) -> Standing:
        """The word for a network: nothing is claimed of one that is "open"."""
        if self.proved[place]:
            return "proved"
        return "probable" if self.probability[place] >= self.enough else "open"


def _choice(
    curve: CapacityCurve,
    replicates: Sequence[Trial],
    rule: str,
    verdict: Verdict,
    sure: Sureness,
) -> Choice:
    chosen, place = typical(replicates, verdict.selected), curve.points.index(verdict.selected)
    return Choice(
        selected=verdict.selected,
        best=curve.best,
        rule=rule,
        reason=verdict.reason,
        job=chosen.job,
        val_loss=loss_of(chosen),
        undecided=verdict.undecided,
        standing="open" if verdict.undecided else sure.standing(place),
        probability=float(sure.probability[place]),
    )
