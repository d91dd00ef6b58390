"""The plan of a search: baselines, then the budget, rung by rung or over the whole space.

Rungs are opened smallest first, a few at a time, and no more are opened once larger networks no
longer pay. Which are opened follows from the outcomes of complete rungs alone, in whatever order
they came in. What is left then, and what the others would have cost, is spent on the open rungs
that may hold the answer, beginning with what was best on their neighbours (`search.exchange`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capsearch.families.space import Band, bands
from capsearch.records import RungEvidence, Trial
from capsearch.search.exchange import beside, contested
from capsearch.search.growth import evidence_of, reach
from capsearch.search.plan import baseline_trials, shares
from capsearch.search.rounds import Question, Rounds
from capsearch.selection import judge_for


@dataclass
class Ladder:
    """A strategy that does not climb has one rung: the whole space."""

    question: Question
    rungs: list[Rounds]
    own: list[int]  # trials that each rung ends before it hears of others; none is added later
    trials: int  # the budget
    grow: bool  # whether rungs are opened by the evidence of smaller ones, or all at once
    waiting: list[Trial] = field(default_factory=list)
    owner: dict[str, Rounds] = field(default_factory=dict)
    ended: dict[str, Trial] = field(default_factory=dict)  # of the search
    spread: bool = False  # growth has ended, and every open rung knows what it may spend in all
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
        own = shares(sampling.own(spec.search.trials), len(parts))
        rungs = [
            Rounds(question, number, band, share)
            for number, (band, share) in enumerate(zip(parts, own, strict=True))
        ]
        grow = sampling.by_rung and spec.search.grow
        plan = cls(question, rungs, own, budget, grow)
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
            complete = self._complete()
            for rung in sorted(self._open(complete), key=lambda r: r.asked):
                self._add(rung, rung.ask(self._tries(rung, complete)))
        taken, self.waiting = self.waiting, []
        return taken

    def tell(self, trial: Trial) -> None:
        if trial.group == "search":
            self.ended[trial.id] = trial
            self.owner[trial.id].tell(trial)

    def _open(self, complete: Sequence[Sequence[Trial]]) -> list[Rounds]:
        """The rungs that may ask, with what each may spend."""
        opened = self.rungs[: self._reach(evidence_of(complete))] if self.grow else self.rungs
        if not self.spread and len(complete) == len(opened):  # none is left that could pay
            self.spread = True
            for rung, budget in zip(opened, self._budgets(complete), strict=True):
                rung.budget = budget
        return opened

    def _budgets(self, complete: Sequence[Sequence[Trial]]) -> list[int]:
        """What each open rung may spend in all once growth has ended."""
        if not self.question.sampling.exchange:
            return shares(self.trials, len(complete))
        budgets, select = self.own[: len(complete)], self.question.spec.select
        judge = judge_for(select.judge, self.question.study.data)
        judged = [judge.read(trials) for trials in complete]
        more = contested(judged, select.settings.margin)
        for number, share in zip(more, shares(self.trials - sum(budgets), len(more)), strict=True):
            budgets[number] += share
        return budgets

    def _tries(
        self, rung: Rounds, complete: Sequence[Sequence[Trial]]
    ) -> Sequence[Mapping[str, Any]]:
        """What a rung that has spent its own share tries first in its next round."""
        over = rung.asked - self.own[rung.number]
        return beside(complete, rung.number, over // rung.round) if over >= 0 else ()

    def _reach(self, evidence: Sequence[RungEvidence]) -> int:
        sampling = self.question.sampling
        return reach(evidence, sampling.patience, sampling.window)

    def _complete(self) -> list[list[Trial]]:
        """The trials of the smallest rungs, up to the first that has not ended its own share."""
        complete = []
        for rung, share in enumerate(self.own):
            if len(own := self._own(rung)) < share:
                break
            complete.append(own)
        return complete

    def _own(self, rung: int) -> list[Trial]:
        ids = [self.rungs[rung].id_of(number) for number in range(self.own[rung])]
        return [self.ended[id_] for id_ in ids if id_ in self.ended]

    def _add(self, rung: Rounds, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self.owner[trial.id] = rung
            self.waiting.append(trial)
