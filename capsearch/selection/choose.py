"""Every rule by its name, and the choice that a rule makes of a study's replicates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from capsearch.records import Choice, Trial
from capsearch.selection import rules
from capsearch.selection.contrasts import Contrasts, tables_of
from capsearch.selection.curve import CapacityCurve, loss_of, typical
from capsearch.selection.kneedle import knee
from capsearch.selection.noninferiority import non_inferiority
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
        return replace(self, curve=CapacityCurve(points), contrasts=self.contrasts.shifted(moved))


Rule = Callable[[Evidence, Settings], Verdict | None]

RULES: dict[str, Rule] = {
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

    Raises ValueError when the rule does not apply: `budget` without a cap.
    """
    verdict = RULES[rule](Evidence.of(curve, replicates), settings)
    if verdict is None:
        raise ValueError(f"{rule} does not apply to {settings}")
    return _choice(curve, replicates, rule, verdict)


def verdicts(
    curve: CapacityCurve, replicates: Sequence[Trial], settings: Settings
) -> dict[str, Choice]:
    """What each rule that applies would choose."""
    evidence = Evidence.of(curve, replicates)
    found = {name: rule(evidence, settings) for name, rule in RULES.items()}
    return {n: _choice(curve, replicates, n, v) for n, v in found.items() if v is not None}


def _choice(
    curve: CapacityCurve, replicates: Sequence[Trial], rule: str, verdict: Verdict
) -> Choice:
    chosen = typical(replicates, verdict.selected)
    return Choice(
        selected=verdict.selected,
        best=curve.best,
        rule=rule,
        reason=verdict.reason,
        job=chosen.job,
        val_loss=loss_of(chosen),
        undecided=verdict.undecided,
    )
