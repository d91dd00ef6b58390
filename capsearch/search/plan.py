"""What is to be trained: the contract of a plan, baselines first, and fresh seeds for finalists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capsearch.families.space import Space, rung_of
from capsearch.records import Candidate, Job, Study, Trial
from capsearch.selection import frontier
from capsearch.spec import StudySpec


class Plan(Protocol):
    """What is to be trained, in order."""

    @property
    def losses(self) -> bool:
        """Whether the plan, or who reads its trials, needs the losses of each validation row."""
        ...

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
    losses: bool = True  # a choice is made of them

    def take(self, count: int) -> list[Trial]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def tell(self, trial: Trial) -> None:
        pass

    def keep(self) -> None:
        pass


def job_of(spec: StudySpec, candidate: Candidate, replicate: int = 0, epochs: int = 0) -> Job:
    return Job.of(
        candidate,
        study_seed=spec.search.seed,
        replicate=replicate,
        epochs=epochs or spec.training.epochs,
        patience=spec.training.patience,
        stop_on=spec.training.stop_on,
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
    """Fresh seeds for the finalists and the baselines, in packs that share their batches.

    The baselines, whose overfitting the report describes, are not read by the choice
    (`selection.of_finalists`). A network that was still improving at its last epoch gets twice as
    many, or its rung would be judged by its training and not by its capacity.
    """
    replicates = []
    for number in range(1, spec.select.replicates + 1):
        for again in _trained_again(trials):
            epochs = spec.training.epochs
            if again.outcome and again.outcome.at_ceiling(epochs):
                epochs *= 2
            name = f"{again.name} #{number}"
            id_ = f"replicate/{again.id}/{number}"
            job = job_of(spec, again.candidate, number, epochs)
            rung, parameters = again.rung, again.parameters
            replicates.append(Trial(id_, "replicate", rung, name, job, parameters))
    return replicates


def _trained_again(trials: Sequence[Trial]) -> list[Trial]:
    """The finalists, then the other baselines that could be trained; every candidate once."""
    completed = [t for t in trials if t.outcome and t.outcome.complete]
    baselines = [t for t in completed if t.group == "baseline"]
    once: dict[Candidate, Trial] = {}
    for trial in [*frontier(trials), *baselines]:
        once.setdefault(trial.candidate, trial)
    return list(once.values())
