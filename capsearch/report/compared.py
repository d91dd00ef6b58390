"""Any two named networks, in validation loss and accuracy, on the same rows.

A network that is better in loss need not be in accuracy: whoever cares for one is told both. Which
rows are right is read from their losses, which tell it of two classes alone, and without weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import isfinite

from capsearch.records import Candidate, StudyRecord
from capsearch.report.facts import task_in
from capsearch.selection import Contrasts, judge_for
from capsearch.selection.contrasts import TAIL, losses_of
from capsearch.selection.judge import LOG_LOSS


@dataclass(frozen=True)
class Difference:
    """Of two means over rows and fresh seeds: the first less the second, with its 95% interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, contrasts: Contrasts, first: int, second: int, *, scale: float) -> "Difference":
        gap = scale * float(contrasts.gap[first, second])
        half = abs(scale) * float(contrasts.half_width(TAIL)[first, second])
        return cls(gap, gap - half, gap + half)

    def text(self, form: str) -> str:
        """'-0.1 (-0.5 to +0.3)'; without an interval where too few seeds are in common."""
        ends = f" ({self.low:{form}} to {self.high:{form}})" if isfinite(self.low) else ""
        return f"{self.mean:{form}}{ends}"

    @property
    def clear(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class Compared:
    """Two named networks: how much the first differs from the second."""

    first: str
    second: str
    loss: Difference
    accuracy: Difference | None  # in points; None where losses do not tell it


def named(record: StudyRecord) -> dict[str, Candidate]:
    """The selected and the best network, the linear model, and the baselines; each once."""
    choice, found = record.choice, dict[str, Candidate]()
    found["selected"] = choice.selected.candidate
    if choice.best != choice.selected:
        found["best"] = choice.best.candidate
    linear = [e.candidate for e in record.estimates if not e.candidate.units]
    known = [("linear", candidate) for candidate in linear]
    known += [(t.name, t.candidate) for t in record.trials if t.group == "baseline"]
    for name, candidate in known:
        if candidate not in found.values():
            found[name] = candidate
    return found


def compared(record: StudyRecord) -> list[Compared]:
    """Every pair of named networks that could be trained again."""
    known = named(record)
    judges = (LOG_LOSS, "error") if _tell_hits(record) else (LOG_LOSS,)
    found = list[Contrasts]()
    for judge in judges:
        read = judge_for(judge, record.study.data).read(record.replicates)
        tables = dict(zip(known, losses_of(list(known.values()), read), strict=True))
        names = [name for name, table in tables.items() if table]
        if len(names) < 2:
            return []
        found.append(Contrasts.of([tables[name] for name in names]))
    return list(_pairs(names, found[0], found[1] if len(found) > 1 else None))


def _tell_hits(record: StudyRecord) -> bool:
    """Whether a row's loss says whether its more probable class is the true one."""
    data = record.study.data
    return task_in(record).kind == "binary" and not (data.counts_differ or data.averaged)


def _pairs(names: list[str], losses: Contrasts, wrong: Contrasts | None) -> Iterator[Compared]:
    for first, second in combinations(range(len(names)), 2):
        yield Compared(
            first=names[first],
            second=names[second],
            loss=Difference.of(losses, first, second, scale=1.0),
            accuracy=Difference.of(wrong, first, second, scale=-100.0) if wrong else None,
        )
