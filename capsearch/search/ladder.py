"""The plan of a search: baselines, then the budget, rung by rung or over the whole space.

Rungs are opened smallest first, a few at a time, and no more are opened once larger networks no
longer pay. Which are opened follows from the outcomes of complete rungs alone, in whatever order
they came in; what the others would have cost is then spent on the open ones, so that a search has
the trials it was given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from capsearch.families.space import Band, bands
from capsearch.records import RungEvidence, Trial
from capsearch.search.growth import evidence_of, reach
from capsearch.search.plan import baseline_trials, shares
from capsearch.search.rounds import Question, Rounds
from capsearch.spec.strategies import Sampling


@dataclass
class Ladder:
    """A strategy that does not climb has one rung: the whole space."""

    rungs: list[Rounds]
    trials: int  # the budget
    grow: bool  # whether rungs are opened by the evidence of smaller ones, or all at once
    sampling: Sampling
    waiting: list[Trial] = field(default_factory=list)
    owner: dict[str, Rounds] = field(default_factory=dict)
    ended: dict[str, Trial] = field(default_factory=dict)  # of the search
    stopped: bool = False  # no round is asked any more; those that are open go on to their end

    @classmethod
    def of(
        cls, question: Question, stored: Sequence[Trial] = (), trials: int | None = None
    ) -> "Ladder":
        """The search of a study, going on where its `stored` trials leave off.

        `trials`: the budget, when it is not the study file's.
        """
        study, spec, space = question.study, question.spec, question.space
        sampling, budget = question.sampling, trials or spec.search.trials
        edges = study.ladder
        parts = bands(edges) if sampling.by_rung else [Band(edges[0], edges[-1])]
        rungs = [
            Rounds(question, number, band, share)
            for number, (band, share) in enumerate(
                zip(parts, shares(budget, len(parts)), strict=True)
            )
        ]
        plan = cls(rungs, budget, sampling.by_rung and spec.search.grow, sampling)
        known = {trial.id: trial for trial in stored}
        baselines = baseline_trials(study, spec, space)
        plan.waiting = [t for t in baselines if known.get(t.id, t).outcome is None]
        for rung in rungs:
            asked = list[Trial]()
            while (trial := known.get(rung.id_of(len(asked)))) is not None:
                asked.append(trial)
            rung.restore(asked)
            plan._add(rung, [t for t in asked if t.outcome is None])
            plan.ended |= {t.id: t for t in asked if t.outcome is not None}
        return plan

    @property
    def width(self) -> int:
        """How many trials are open at once, until growth has ended: more workers have no work."""
        opened = self.rungs[: self._reach(())] if self.grow else self.rungs
        return sum(rung.next_round for rung in opened)

    @property
    def evidence(self) -> tuple[RungEvidence, ...]:
        """What every rung's own share of the budget says, from the trials told so far."""
        return evidence_of([self._own(rung) for rung in range(len(self.rungs))])

    def take(self) -> list[Trial]:
        if not self.stopped:
            for rung in sorted(self._open(), key=lambda r: r.asked):
                self._add(rung, rung.ask())
        taken, self.waiting = self.waiting, []
        return taken

    def tell(self, trial: Trial) -> None:
        if trial.group == "search":
            self.ended[trial.id] = trial
            self.owner[trial.id].tell(trial)

    def _open(self) -> list[Rounds]:
        """The rungs that may ask, with what each may spend."""
        if not self.grow:
            return self.rungs
        complete = self._complete()
        opened = self.rungs[: self._reach(evidence_of(complete))]
        if len(complete) == len(opened):  # growth has ended: none is left that could pay
            for rung, budget in zip(opened, shares(self.trials, len(opened)), strict=True):
                rung.budget = budget
        return opened

    def _reach(self, evidence: Sequence[RungEvidence]) -> int:
        return reach(evidence, self.sampling.patience, self.sampling.window)

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
        return [self.ended[id_] for id_ in ids if id_ in self.ended]

    def _add(self, rung: Rounds, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self.owner[trial.id] = rung
            self.waiting.append(trial)
