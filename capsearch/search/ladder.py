"""The plan of a search: baselines, then the budget, rung by rung or over the whole space.

Rungs are opened smallest first, a few at a time, and no more are opened once larger networks no
longer pay. Which are opened follows from the outcomes of complete rungs alone, in whatever order
they came in; what the others would have cost is then spent on the open ones, so that a search has
the trials it was given.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from capsearch.families.space import Band, Space, bands
from capsearch.records import RungEvidence, Study, Trial
from capsearch.search.growth import evidence_of, reach
from capsearch.search.plan import baseline_trials
from capsearch.search.rounds import Question, Rounds, Shelf
from capsearch.search.strategies import STRATEGIES
from capsearch.spec import StudySpec


@dataclass
class Ladder:
    """A strategy that does not climb has one rung: the whole space."""

    rungs: list[Rounds]
    trials: int  # the budget
    grow: bool  # whether rungs are opened by the evidence of smaller ones, or all at once
    waiting: list[Trial] = field(default_factory=list)
    owner: dict[str, Rounds] = field(default_factory=dict)
    heard: dict[str, Trial] = field(default_factory=dict)
    stopped: bool = False  # no round is asked any more; those that are open go on to their end

    @classmethod
    def of(cls, study: Study, spec: StudySpec, space: Space, shelf: Shelf) -> "Ladder":
        by_rung = STRATEGIES[spec.search.strategy].by_rung
        parts = bands(study.ladder) if by_rung else [Band(study.ladder[0], study.ladder[-1])]
        question, budgets = Question(study, spec, space), shares(spec.search.trials, len(parts))
        rungs = [
            Rounds(question, shelf, number, band, budget)
            for number, (band, budget) in enumerate(zip(parts, budgets, strict=True))
        ]
        baselines = baseline_trials(study, spec, space)
        plan = cls(rungs, spec.search.trials, by_rung and spec.search.grow, waiting=baselines)
        for rung in rungs:
            plan._add(rung, rung.replay())
        return plan

    @property
    def losses(self) -> bool:
        """What a rung gains is judged by them; a search over the whole space has no rungs."""
        return len(self.rungs) > 1

    @property
    def width(self) -> int:
        """How many trials are open at once, until growth has ended: more workers have no work."""
        return sum(rung.round for rung in (self.rungs[: reach(())] if self.grow else self.rungs))

    @property
    def evidence(self) -> tuple[RungEvidence, ...]:
        """What every rung's own share of the budget says, from the trials told so far."""
        return evidence_of([self._own(rung) for rung in range(len(self.rungs))])

    def take(self, count: int) -> list[Trial]:
        for rung in sorted(self._open(), key=lambda r: r.asked):
            if self.stopped or len(self.waiting) >= count:
                break
            self._add(rung, rung.ask())
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def tell(self, trial: Trial) -> None:
        if trial.group == "search":
            self.owner[trial.id].tell(trial)
            self.heard[trial.id] = trial

    def keep(self) -> None:
        for rung in self.rungs:
            rung.keep()

    def _open(self) -> list[Rounds]:
        """The rungs that may ask, with what each may spend."""
        if not self.grow:
            return self.rungs
        complete = self._complete()
        opened = self.rungs[: reach(evidence_of(complete))]
        if len(complete) == len(opened):  # growth has ended: none is left that could pay
            for rung, budget in zip(opened, shares(self.trials, len(opened)), strict=True):
                rung.budget = budget
        return opened

    def _complete(self) -> list[list[Trial]]:
        """The trials of the smallest rungs, up to the first that has not ended its own share."""
        complete = []
        for rung, share in enumerate(shares(self.trials, len(self.rungs))):
            if len(own := self._own(rung)) < share:
                break
            complete.append(own)
        return complete

    def _own(self, rung: int) -> list[Trial]:
        share = shares(self.trials, len(self.rungs))[rung]
        ids = [self.rungs[rung].id_of(number) for number in range(share)]
        return [self.heard[id_] for id_ in ids if id_ in self.heard]

    def _add(self, rung: Rounds, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self.owner[trial.id] = rung
            self.waiting.append(trial)


def shares(trials: int, parts: int) -> list[int]:
    """The budget in so many parts, as equal as they can be; the first ones get the rest."""
    share, rest = divmod(trials, parts)
    return [share + (part < rest) for part in range(parts)]
