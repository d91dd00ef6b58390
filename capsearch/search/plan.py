"""What is to be trained: baselines, then Optuna up the ladder, then fresh seeds for the finalists.

Every rung has an Optuna study of its own, so that its sampler learns from networks of its size.
Trials are asked for in rounds: a rung's round is asked only when its last round is told. What is
suggested depends then on the study alone, not on the size of a pack, on timing, or on a restart.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from capsearch.records import Candidate, Job, Study, Trial, digest_of
from capsearch.selection import frontier
from capsearch.space import Space, bands, rung_of
from capsearch.spec import StudySpec
from capsearch.storage import StudyStore

ROUND = 4  # trials of a rung that are asked for at once
SAMPLER: dict[str, Any] = {  # given in full, and part of the question: Optuna's defaults change
    "n_startup_trials": ROUND,
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": True,
    "constant_liar": True,
}


class Plan(Protocol):
    """What is to be trained, in order."""

    def take(self, count: int) -> list[Trial]:
        """At most `count` trials that can start now; none when all wait or nothing is left."""
        ...

    def tell(self, trial: Trial) -> None:
        """A trial of this plan has ended."""
        ...

    def keep(self) -> None:
        """Store what the plan itself remembers: called when there is something to train."""
        ...


@dataclass
class Listed:
    """Trials known from the start: the replicates."""

    waiting: list[Trial]

    def take(self, count: int) -> list[Trial]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def tell(self, trial: Trial) -> None:
        pass

    def keep(self) -> None:
        pass


class Rung:
    """One rung's share of the budget, in an Optuna study of its own.

    Drawn in memory, where a suggestion costs no transaction, and stored when a whole round has
    ended and the next one is put up: Optuna takes 50 statements to store a trial. A round that was
    cut, or not stored, is drawn again, the same: nothing is ever left running.
    """

    def __init__(
        self, study: Study, spec: StudySpec, space: Space, store: StudyStore, rung: int, budget: int
    ) -> None:
        self._study, self._spec, self._space, self._rung = study, spec, space, rung
        self._band = bands(study.ladder)[rung]
        self._store, self._name = store, f"{study.key}/rung-{rung}"
        stored = store.optuna_trials(self._name)
        self._drawn = optuna.create_study(direction="minimize")
        self._drawn.add_trials(stored)
        self._open: dict[str, int] = {}  # trial id -> Optuna's number, asked and not yet told
        self._budget, self.asked = budget, len(stored)
        self._ended = self._kept = len(stored)  # trials of whole rounds

    def replay(self) -> list[Trial]:
        """The trials of the rounds that have ended; their outcomes are stored."""
        return [
            self._trial(t.number, Candidate.from_dict(t.user_attrs["candidate"]))
            for t in self._drawn.get_trials(deepcopy=False)
        ]

    def ask(self) -> list[Trial]:
        """The next round; empty while the last is open, and when the budget is spent."""
        if self._open:
            return []
        count = min(ROUND, self._budget - self.asked)
        return [self._ask() for _ in range(count)]

    def tell(self, trial: Trial) -> None:
        number = self._open.pop(trial.id, None)
        if number is None or trial.outcome is None:
            return  # told before the restart
        value = trial.outcome.val_loss if trial.outcome.complete else None
        self._drawn.tell(number, value, TrialState.FAIL if value is None else TrialState.COMPLETE)
        if not self._open:
            self._ended = self.asked

    def keep(self) -> None:
        """Store the rounds that have ended."""
        if self._kept < self._ended:
            trials = self._drawn.get_trials(deepcopy=False)[: self._ended]
            self._store.keep_trials(self._name, trials)
            self._kept = self._ended

    def _ask(self) -> Trial:
        self._drawn.sampler = sampler(self._spec.search.seed, self._rung, self.asked)
        asked = self._drawn.ask()
        candidate = self._space.draw(asked, self._band)
        asked.set_user_attr("candidate", candidate.as_dict())
        trial = self._trial(asked.number, candidate)
        self.asked += 1
        self._open[trial.id] = asked.number
        return trial

    def _id(self, number: int) -> str:
        return f"search/{self._rung}/{number}"

    def _trial(self, number: int, candidate: Candidate) -> Trial:
        parameters = self._space.parameters(candidate)
        return Trial(
            id=self._id(number),
            group="search",
            rung=rung_of(parameters, self._study.ladder),
            name=candidate.label,
            job=job_of(self._spec, candidate),
            parameters=parameters,
        )


@dataclass
class Ladder:
    """Baselines, then the budget over all rungs, smallest first, a round of each at a time."""

    rungs: list[Rung]
    waiting: list[Trial] = field(default_factory=list)
    owner: dict[str, Rung] = field(default_factory=dict)
    stopped: bool = False  # no round is asked any more; those that are open go on to their end

    @classmethod
    def of(cls, study: Study, spec: StudySpec, space: Space, store: StudyStore) -> "Ladder":
        """The ladder as it stands in the storage."""
        count = len(study.ladder) - 1
        share, rest = divmod(spec.search.trials, count)
        budgets = [share + (rung < rest) for rung in range(count)]
        rungs = [Rung(study, spec, space, store, r, b) for r, b in enumerate(budgets)]
        plan = cls(rungs, waiting=baseline_trials(study, spec, space))
        for rung in rungs:
            plan._add(rung, rung.replay())
        return plan

    def take(self, count: int) -> list[Trial]:
        for rung in sorted(self.rungs, key=lambda r: r.asked):
            if self.stopped or len(self.waiting) >= count:
                break
            self._add(rung, rung.ask())
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def tell(self, trial: Trial) -> None:
        if trial.group == "search":
            self.owner[trial.id].tell(trial)

    def keep(self) -> None:
        for rung in self.rungs:
            rung.keep()

    def _add(self, rung: Rung, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self.owner[trial.id] = rung
            self.waiting.append(trial)


def sampler(seed: int, rung: int, number: int) -> optuna.samplers.BaseSampler:
    """TPE for one suggestion, seeded by its place: a restart must not repeat the first ones."""
    place = int(digest_of([seed, "rung", rung, number])[:8], 16)
    with warnings.catch_warnings():  # `group` is still called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=place, **SAMPLER)


def job_of(spec: StudySpec, candidate: Candidate, replicate: int = 0, epochs: int = 0) -> Job:
    return Job.of(
        candidate,
        study_seed=spec.search.seed,
        replicate=replicate,
        epochs=epochs or spec.training.epochs,
        patience=spec.training.patience,
    )


def baseline_trials(study: Study, spec: StudySpec, space: Space) -> list[Trial]:
    trials = []
    for name, candidate in spec.baselines():
        parameters = space.parameters(candidate)
        rung = rung_of(parameters, study.ladder)
        job = job_of(spec, candidate)
        trials.append(Trial(f"baseline/{name}", "baseline", rung, name, job, parameters))
    return trials


def replicate_trials(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """Fresh seeds for the finalists, ordered by replicate so that packs share batches.

    A finalist that was still improving at its last epoch gets twice as many, or its rung would be
    judged by its training and not by its capacity.
    """
    replicates = []
    for number in range(1, spec.select.replicates + 1):
        for finalist in frontier(trials):
            epochs = spec.training.epochs
            if finalist.outcome and finalist.outcome.at_ceiling(epochs):
                epochs *= 2
            name = f"{finalist.name} #{number}"
            id_ = f"replicate/{finalist.id}/{number}"
            job = job_of(spec, finalist.candidate, number, epochs)
            rung, parameters = finalist.rung, finalist.parameters
            replicates.append(Trial(id_, "replicate", rung, name, job, parameters))
    return replicates
