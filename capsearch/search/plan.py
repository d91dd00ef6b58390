"""What is to be trained: the contract of a plan, baselines first, and fresh seeds for finalists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from capsearch.families.space import Space, rung_of
from capsearch.records import Candidate, Group, Job, Study, Trial
from capsearch.selection import contenders, frontier
from capsearch.spec import StudySpec
from capsearch.spec.strategies import LAST, Sampling

NONE: Mapping[Candidate, int] = {}
HEATS = (0, 1)
RACE = 1_000_000  # seeds of races are numbered from here, those of replicates from 0


class Plan(Protocol):
    """What is to be trained, in order."""

    def take(self) -> list[Trial]:
        """All trials that can start now; none when all wait or nothing is left."""
        ...

    def tell(self, trial: Trial) -> None:
        """A trial of this plan has ended."""
        ...


@dataclass
class Listed:
    """Trials known from the start: the replicates."""

    waiting: list[Trial]

    def take(self) -> list[Trial]:
        taken, self.waiting = self.waiting, []
        return taken

    def tell(self, trial: Trial) -> None:
        pass


def job_of(
    study: Study, spec: StudySpec, candidate: Candidate, replicate: int = 0, epochs: int = 0
) -> Job:
    """The training of a candidate in this study, by its engine, on its rows."""
    return Job.of(
        candidate,
        study_seed=spec.search.seed,
        replicate=replicate,
        epochs=epochs or spec.training.epochs,
        patience=spec.training.patience,
        stop_on=spec.training.stop_on,
        engine=study.engine,
        data=study.rows,
    )


def baseline_trials(study: Study, spec: StudySpec, space: Space) -> list[Trial]:
    trials = []
    for name, candidate in spec.baselines():
        parameters = space.parameters(candidate)
        rung = rung_of(parameters, study.ladder)
        job = job_of(study, spec, candidate)
        trials.append(Trial(f"baseline/{name}", "baseline", rung, name, job, parameters))
    return trials


def replicate_trials(
    study: Study,
    spec: StudySpec,
    trials: Sequence[Trial],
    count: int = 0,
    more: Mapping[Candidate, int] = NONE,
) -> list[Trial]:
    """Fresh seeds for the finalists and the baselines, in packs that share their batches.

    The baselines, whose overfitting the report describes, are not read by the choice
    (`selection.of_finalists`). A network that was still improving at its last epoch gets twice as
    many, or its rung would be judged by its training and not by its capacity. `count`: seeds a
    network, when more than the study file says; `more`: of some networks, when more than that.
    """
    replicates, least = [], max(count, spec.select.replicates)
    for number in range(1, max([least, *more.values()]) + 1):
        for again in _trained_again(trials):
            if number > max(least, more.get(again.candidate, 0)):
                continue
            replicates.append(_again(study, spec, again, "replicate", number))
    return replicates


def race_trials(
    study: Study, spec: StudySpec, trials: Sequence[Trial], sampling: Sampling, heat: int
) -> list[Trial]:
    """The best candidates of every rung from fresh seeds: one lucky seed must not stand for it.

    After the first heat (0) the two best of every rung race on in the last (1). These seeds are
    not those of the replicates, or the winner's luck would be read as its loss.
    """
    if sampling.racers < 2:
        return []
    most = (sampling.racers, LAST)[heat]
    first, last = sampling.race_seeds, sampling.race_seeds + sampling.last_seeds
    numbers = (range(1, first + 1), range(first + 1, last + 1))[heat]
    raced = contenders(trials, most)
    return [_again(study, spec, trial, "race", number) for number in numbers for trial in raced]


def _again(study: Study, spec: StudySpec, trial: Trial, group: Group, number: int) -> Trial:
    """A trial's candidate from another seed, for twice as long if it was still improving."""
    epochs = spec.training.epochs
    if trial.outcome and trial.outcome.at_ceiling(epochs):
        epochs *= 2
    replicate = number if group == "replicate" else RACE + number
    job = job_of(study, spec, trial.candidate, replicate, epochs)
    id_, name = f"{group}/{trial.id}/{number}", f"{trial.name} #{number}"
    return Trial(id_, group, trial.rung, name, job, trial.parameters)


def _trained_again(trials: Sequence[Trial]) -> list[Trial]:
    """The finalists, then the other baselines that could be trained; every candidate once."""
    completed = [t for t in trials if t.outcome and t.outcome.complete]
    baselines = [t for t in completed if t.group == "baseline"]
    once: dict[Candidate, Trial] = {}
    for trial in [*frontier(trials), *baselines]:
        once.setdefault(trial.candidate, trial)
    return list(once.values())


def shares(trials: int, parts: int) -> list[int]:
    """The budget in so many parts, as equal as they can be; the first ones get the rest."""
    share, rest = divmod(trials, parts)
    return [share + (part < rest) for part in range(parts)]


def in_order(trial: Trial) -> tuple[Any, ...]:
    """Baselines, then the search rung by rung, races, replicates: whatever was planned first."""
    kind = ("baseline", "search", "race", "replicate").index(trial.group)
    return kind, [(int(p), p) if p.isdigit() else (0, p) for p in trial.id.split("/")]
