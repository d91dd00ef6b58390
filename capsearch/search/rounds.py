"""An Optuna study that is asked in rounds, whatever its sampler.

A round is asked only when the last one is told, in memory, of a study made anew from the trials of
all rounds before. What is suggested depends then on those trials alone: not on the size of a pack,
on the order in which outcomes come in, on a restart, or on anything a sampler keeps to itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from capsearch.families.space import Band, Space, rung_of
from capsearch.records import Candidate, Study, Trial
from capsearch.search.plan import job_of
from capsearch.search.strategies import STRATEGIES, sampler_of
from capsearch.spec import StudySpec
from capsearch.storage import PLACE


class Shelf(Protocol):
    """Where Optuna's studies are kept: `StudyStore`, or a stand-in."""

    def optuna_trials(self, name: str, objectives: int) -> list[FrozenTrial]: ...
    def keep_trials(self, name: str, objectives: int, trials: Sequence[FrozenTrial]) -> None: ...


@dataclass(frozen=True)
class Question:
    """What every part of a search needs to know of the study."""

    study: Study
    spec: StudySpec
    space: Space


class Rounds:
    """A share of the budget, spent inside one band of the space.

    Drawn in memory, where a suggestion costs no transaction, and stored when a whole round has
    ended and the next one is put up: Optuna takes 50 statements to store a trial. A round that was
    cut, or not stored, is drawn again, the same: nothing is ever left running.
    """

    def __init__(
        self, question: Question, shelf: Shelf, number: int, band: Band, budget: int
    ) -> None:
        self._question, self._number, self._band = question, number, band
        self._strategy = STRATEGIES[question.spec.search.strategy]
        self._shelf, self._name = shelf, f"{question.study.key}/rung-{number}"
        self.round = min(self._strategy.round_of(budget), budget)  # trials asked for at once
        self._told = shelf.optuna_trials(self._name, self._strategy.objectives)
        self._kept = len(self._told)
        self._drawn: optuna.Study | None = None
        self._open: dict[str, int] = {}  # trial id -> Optuna's number, asked and not yet told
        self.budget, self.asked = budget, len(self._told)

    def id_of(self, number: int) -> str:
        """The id of this part's trial of Optuna's number."""
        return f"search/{self._number}/{number}"

    def replay(self) -> list[Trial]:
        """The trials of the rounds that have ended; their outcomes are stored."""
        return [
            self._trial(t.user_attrs[PLACE], Candidate.from_dict(t.user_attrs["candidate"]))
            for t in self._told
        ]

    def ask(self) -> list[Trial]:
        """The next round; empty while the last is open, and when the budget is spent."""
        count = min(self.round, self.budget - self.asked)
        if self._open or count <= 0:
            return []
        self._drawn = optuna.create_study(directions=["minimize"] * self._strategy.objectives)
        self._drawn.add_trials(self._told)
        return [self._ask(self._drawn) for _ in range(count)]

    def tell(self, trial: Trial) -> None:
        number = self._open.pop(trial.id, None)
        if number is None or trial.outcome is None or self._drawn is None:
            return  # told before the restart
        if trial.outcome.complete:
            values = [trial.outcome.val_loss, float(trial.parameters)]
            self._drawn.tell(number, values[: self._strategy.objectives])
        else:
            self._drawn.tell(number, state=TrialState.FAIL)
        if not self._open:
            self._told = self._drawn.get_trials(deepcopy=False)

    def keep(self) -> None:
        """Store the rounds that have ended."""
        if self._kept < len(self._told):
            self._shelf.keep_trials(self._name, self._strategy.objectives, self._told)
            self._kept = len(self._told)

    def _ask(self, drawn: optuna.Study) -> Trial:
        question = self._question
        drawn.sampler = sampler_of(question.spec.search, self._number, self.asked, self.round)
        asked = drawn.ask()
        candidate = question.space.draw(asked, self._band)
        asked.set_user_attr("candidate", candidate.as_dict())
        asked.set_user_attr(PLACE, asked.number)
        trial = self._trial(asked.number, candidate)
        self.asked += 1
        self._open[trial.id] = asked.number
        return trial

    def _trial(self, number: int, candidate: Candidate) -> Trial:
        parameters = self._question.space.parameters(candidate)
        return Trial(
            id=self.id_of(number),
            group="search",
            rung=rung_of(parameters, self._question.study.ladder),
            name=candidate.label,
            job=job_of(self._question.spec, candidate),
            parameters=parameters,
        )
