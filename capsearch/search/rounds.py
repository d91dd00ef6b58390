"""An Optuna study that is asked in rounds, whatever its sampler.

A round is asked only when the last one is told, in memory, of a study made anew from the trials of
all rounds before. What is suggested depends then on those trials alone: not on the size of a pack,
on the order in which outcomes come in, on a restart, or on anything a sampler keeps to itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from capsearch.families.space import Band, Space, rung_of
from capsearch.records import Candidate, Study, Trial
from capsearch.search.plan import job_of, shares
from capsearch.search.strategies import sampler_of
from capsearch.spec import StudySpec
from capsearch.spec.strategies import Sampling

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what is worth a word, a listener says


@dataclass(frozen=True)
class Question:
    """What every part of a search needs to know of the study."""

    study: Study
    spec: StudySpec
    space: Space
    sampling: Sampling


class Rounds:
    """A share of the budget, spent inside one band of the space.

    What was drawn is stored with the trial, so a study that goes on, under a later Optuna too,
    reads its past and draws only rounds that were never asked.
    """

    def __init__(self, question: Question, number: int, band: Band, budget: int) -> None:
        self._question, self.number, self._band = question, number, band
        self._sampling = question.sampling
        rounds = self._sampling.rounds_of(budget)
        self.round = budget // rounds  # trials asked for at once, at least
        self._ends = list(accumulate(shares(budget, rounds)))  # of rounds, in trials
        self._told: list[FrozenTrial] = []
        self._round: list[Trial] = []  # the latest one asked, ended or not
        self._open: set[str] = set()
        self.budget, self.asked = budget, 0

    def id_of(self, number: int) -> str:
        """The id of this part's trial of this number, from 0."""
        return f"search/{self.number}/{number}"

    @property
    def next_round(self) -> int:
        """How many trials are asked for next: rounds are equal, for a short one wastes workers.

        By hand, a budget of 50 in six rounds: 9, 9, 8, 8, 8, 8; what is added later, 8 at a time.
        """
        return next((end - self.asked for end in self._ends if end > self.asked), self.round)

    def ask(self, tries: Sequence[Mapping[str, Any]] = ()) -> list[Trial]:
        """The next round; empty while the last is open, and when the budget is spent.

        `tries`: values of draws with which it begins, as far as they are legal in this band.
        """
        count = min(self.next_round, self.budget - self.asked)
        if self._open or count <= 0:
            return []
        drawn = optuna.create_study(directions=["minimize"] * self._sampling.objectives)
        drawn.add_trials(self._told)
        for values in tries[:count]:
            drawn.enqueue_trial(self._legal(values))
        asked = [self._ask(drawn) for _ in range(count)]
        self._begin(asked)
        return asked

    def restore(self, stored: Sequence[Trial]) -> None:
        """Go on where these trials, all that were ever asked, leave off."""
        while self.asked < len(stored):
            count = min(self.next_round, self.budget - self.asked, len(stored) - self.asked)
            if count <= 0:  # more were asked for than this budget, when growth had ended
                count = min(self.round, len(stored) - self.asked)
            trials = stored[self.asked : self.asked + count]
            self.asked += count
            self._begin(trials)
            for trial in trials:
                if trial.outcome is not None:
                    self.tell(trial)

    def tell(self, trial: Trial) -> None:
        """One of the round has ended."""
        self._open.discard(trial.id)
        self._round = [trial if one.id == trial.id else one for one in self._round]
        if not self._open:
            self._told += [self._frozen(one) for one in self._round]
            self._round = []

    def _begin(self, trials: Sequence[Trial]) -> None:
        self._round, self._open = list(trials), {trial.id for trial in trials}

    def _ask(self, drawn: optuna.Study) -> Trial:
        seed = self._question.spec.search.seed
        drawn.sampler = sampler_of(self._sampling, seed, self.number, self.asked, self.round)
        asked = drawn.ask()
        candidate = self._question.space.draw(asked, self._band)
        trial = self._trial(self.asked, candidate, draw_of(asked))
        self.asked += 1
        return trial

    def _legal(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Without a number of layers that does not lead into the band: another is drawn."""
        depths = self._question.space.depths(self._band)
        return {n: v for n, v in values.items() if n != "layers" or v in depths}

    def _trial(self, number: int, candidate: Candidate, draw: Mapping[str, Any]) -> Trial:
        study = self._question.study
        parameters = self._question.space.parameters(candidate)
        return Trial(
            id=self.id_of(number),
            group="search",
            rung=rung_of(parameters, study.ladder),
            name=candidate.label,
            job=job_of(study, self._question.spec, candidate),
            parameters=parameters,
            draw=draw,
        )

    def _frozen(self, trial: Trial) -> FrozenTrial:
        """An ended trial as Optuna knows it."""
        assert trial.draw is not None
        assert trial.outcome is not None
        distributions = {n: json_to_distribution(d) for n, d in trial.draw["from"].items()}
        more: dict[str, Any] = {"state": TrialState.FAIL}
        if trial.outcome.complete:
            values = [trial.outcome.val_loss, float(trial.parameters)]
            more = {"values": values[: self._sampling.objectives]}
        return create_trial(
            params=dict(trial.draw["values"]),
            distributions=distributions,
            system_attrs=dict(trial.draw["system"]),
            **more,
        )


def draw_of(asked: optuna.Trial) -> dict[str, Any]:
    """What was drawn, from which distributions, and what the sampler noted of it: JSON values."""
    frozen = asked.study.get_trials(deepcopy=False)[asked.number]
    return {
        "values": asked.params,
        "from": {name: distribution_to_json(d) for name, d in asked.distributions.items()},
        "system": json.loads(json.dumps(frozen.system_attrs)),
    }
