"""How much can a network memorise? One of each size, trained on shuffled training labels.

Labels dealt anew have nothing to do with their rows: whatever a network gets right of them beyond
chance it has memorised (the randomisation test of Zhang et al. 2017, "Understanding deep learning
requires rethinking generalization"). What it reaches on the very rows it was trained on, dropout
off, is its capacity seen directly.

Engines stop and score on validation rows, so they are handed the shuffled training rows as these,
too: training then goes on as long as training loss falls. Validation and test rows are not touched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from capsearch.data import cache
from capsearch.data.source import Rows, SearchData
from capsearch.engines.child import Child, ChildFailed, lookup
from capsearch.engines.registry import engine_of
from capsearch.errors import CapsearchError
from capsearch.executors.base import Limits
from capsearch.families.space import Band, Space, bands, count_parameters
from capsearch.records import Candidate, Job, Outcome
from capsearch.tasks.chance import chance, reachable, unweighted

ALL = 0.99  # of what can be memorised: so much counts as all of it
RATES = (0.001, 0.003, 0.03)  # the best counts: wide networks want the first, a linear one the last
FIRST = 8  # of the epochs an eighth is tried first: most sizes have memorised all by then


@dataclass(frozen=True)
class Memorisation:
    """What one size memorised, for each seed."""

    candidate: Candidate
    parameters: int
    accuracy: tuple[float, ...]  # on the shuffled training rows; of a number R2
    learned: tuple[float, ...]  # share of what can be memorised, from 0 (chance) to 1
    unfinished: bool  # training loss still fell at the end: it could learn more

    @property
    def mean(self) -> float:
        return fmean(self.learned)


@dataclass(frozen=True)
class Probe:
    """Every size, smallest first."""

    rows: int
    chance: float  # accuracy of naming the larger class; of a number 0, R2 of the mean
    reachable: float  # accuracy when all is memorised: below 1 where equal rows got unlike labels
    epochs: int
    sizes: tuple[Memorisation, ...]
    figure: str = "accuracy"  # what chance, reachable and what was reached are called

    @property
    def smallest(self) -> Memorisation | None:
        """The smallest that memorises all, in the mean of its seeds."""
        return next((size for size in self.sizes if size.mean >= ALL), None)


@dataclass(frozen=True)
class ProbePlan:
    """What is trained: a network a rung, from `seeds` seeds, for at most so many epochs."""

    candidates: tuple[Candidate, ...]
    features: int
    study_seed: int
    seeds: int
    epochs: int
    outputs: int = 1


class ProbeResult(NamedTuple):
    """The answer of the child: the outcomes of the jobs, and the bounds of accuracy."""

    outcomes: list[Outcome]
    rows: int
    chance: float
    reachable: float
    deviation: float = 0.0  # of a number; 0 for classes
    figure: str = "accuracy"

    def accuracy(self, outcome: Outcome) -> float:
        """On the shuffled training rows, dropout off; 0 for a job that failed. Of a number R2.

        By hand, an RMSE of 1 where the standard deviation is 2: 1 - 1/4.
        """
        if not outcome.complete:
            return 0.0
        if not self.deviation:
            return outcome.figure
        return 1.0 - (outcome.figure / self.deviation) ** 2

    def learned(self, outcome: Outcome) -> float:
        """By hand, chance 0.5, reachable 1: an accuracy of 0.9 is (0.9 - 0.5) / 0.5 = 0.8."""
        if self.reachable <= self.chance:
            return 1.0
        return max((self.accuracy(outcome) - self.chance) / (self.reachable - self.chance), 0.0)


Train = Callable[[Sequence[int], Sequence[Job]], ProbeResult]


def plan(
    space: Space, ladder: Sequence[int], rows: int, seed: int, seeds: int, epochs: int
) -> ProbePlan:
    """One network for each rung: linear where that fits, else one layer near the rung's middle.

    Without penalties and dropout, which keep from memorising; in batches of a tenth of the rows at
    most, so that small data sets get enough steps.
    """
    chosen = dict.fromkeys(_units(space, band) for band in bands(ladder))
    size = max(16, min(512, rows // 10))
    candidates = tuple(Candidate(units, batch_size=size) for units in chosen)
    return ProbePlan(candidates, space.features, seed, seeds, epochs, space.outputs)


def run(
    planned: ProbePlan, folder: Path, engine: str, limits: Limits, on_seed: Callable[[int], None]
) -> Probe:
    """Train the plan in a child. `on_seed` gets each seed's number, from 1, as it begins."""
    kind = engine_of(engine)[0]
    child = Child(limits.threads, imports=kind.module)

    def train(labels: Sequence[int], jobs: Sequence[Job]) -> ProbeResult:
        timeout = limits.seconds_per_job * len(jobs)
        call = child.send(MEMORISE, kind.engine, folder, labels, jobs)
        found: ProbeResult = child.result(call, timeout, limits.memory)
        return found

    seeds = []
    try:
        for number in range(1, planned.seeds + 1):
            on_seed(number)
            seeds.append(one_seed(planned, number, train))
    except ChildFailed as failure:
        raise CapsearchError(f"the probe failed: {failure}") from None
    finally:
        child.close()
    return Probe(
        rows=seeds[0].rows,
        chance=seeds[0].chance,
        reachable=fmean(seed.reachable for seed in seeds),
        epochs=planned.epochs,
        figure=seeds[0].figure,
        sizes=tuple(
            _memorisation(planned, position, seeds) for position in range(len(planned.candidates))
        ),
    )


def one_seed(planned: ProbePlan, number: int, train: Train) -> ProbeResult:
    """The best outcome of every candidate over the rates: at first from few epochs.

    Only candidates that have not memorised all by then are trained for all epochs.
    """
    best = dict[Candidate, Outcome]()
    left: Sequence[Candidate] = planned.candidates
    for epochs in (max(planned.epochs // FIRST, 1), planned.epochs):
        jobs = [
            Job.of(replace(candidate, learning_rate=rate), study_seed=planned.study_seed,
                   replicate=number, epochs=epochs, patience=epochs)
            for candidate in left for rate in RATES
        ]  # fmt: skip
        result = train((planned.study_seed, number), jobs)
        for position, candidate in enumerate(left):
            tried = result.outcomes[position * len(RATES) : (position + 1) * len(RATES)]
            best[candidate] = max(tried, key=result.accuracy)
        left = [c for c in left if result.learned(best[c]) < ALL]
        if not left:
            break
    return result._replace(outcomes=[best[c] for c in planned.candidates])


def _memorisation(planned: ProbePlan, position: int, seeds: Sequence[ProbeResult]) -> Memorisation:
    candidate = planned.candidates[position]
    ended = [(seed.outcomes[position], seed.learned(seed.outcomes[position])) for seed in seeds]
    falling = [o.best_epoch > 0.9 * planned.epochs for o, learned in ended if learned < ALL]
    return Memorisation(
        candidate=candidate,
        parameters=count_parameters(candidate.units, planned.features, planned.outputs),
        accuracy=tuple(seed.accuracy(seed.outcomes[position]) for seed in seeds),
        learned=tuple(learned for _, learned in ended),
        unfinished=any(falling),
    )


def _units(space: Space, band: Band) -> tuple[int, ...]:
    """A linear network where it lies in the band, or the width nearest to the band's middle.

    One layer of w units has w (features + 1 + outputs) + outputs parameters.
    """
    linear = count_parameters((), space.features, space.outputs)
    if space.layers.low == 0 and band.low <= linear < band.high:
        return ()
    middle = sqrt(band.low * band.high)
    each = space.features + 1 + space.outputs
    return (max(round((middle - space.outputs) / each), 1),)


def document(study: str, probe: Probe) -> dict[str, Any]:
    """The JSON document of `--json`."""
    return {
        "study": study,
        "rows": probe.rows,
        "chance": probe.chance,
        "reachable": probe.reachable,
        "figure": probe.figure,
        "epochs": probe.epochs,
        "all": ALL,
        "sizes": [_size(size) for size in probe.sizes],
        "smallest": _size(probe.smallest) if probe.smallest else None,
    }


def _size(size: Memorisation) -> dict[str, Any]:
    return {
        "units": list(size.candidate.units),
        "parameters": size.parameters,
        "accuracy": list(size.accuracy),
        "learned": list(size.learned),
        "unfinished": size.unfinished,
    }


# ---- What runs in the child ----------------------------------------------------------------------

MEMORISE = "capsearch.probe:memorise"


def memorise(engine: str, folder: Path, seed: Sequence[int], jobs: Sequence[Job]) -> ProbeResult:
    """Train on the training rows of a prepared folder, their targets dealt anew by `seed`.

    All rows and classes count alike: what is asked is how many can be learned.
    """
    data = cache.load(folder)
    task, rows = unweighted(data.task), shuffled(data.train, seed)
    trained = lookup(engine)().train(jobs, SearchData(rows, rows, task))
    outcomes = [replace(t.outcome, val_losses=None) for t in trained]
    bounds = chance(task, rows.y), reachable(task, rows.x, rows.y)
    if task.kind == "regression":
        return ProbeResult(outcomes, len(rows), *bounds, task.statistics(rows.y)[1], "R2")
    return ProbeResult(outcomes, len(rows), *bounds, figure=task.headline.title)


def shuffled(rows: Rows, seed: Sequence[int]) -> Rows:
    """The same rows and the same targets, but the targets in an order of their own."""
    return Rows(rows.x, np.random.default_rng([*seed, 5]).permutation(rows.y))
