"""Search strategies on the oracle: the real plans, many times, by landscape or by training.

`python -m tests.bench.strategies` after `python -m tests.bench.oracle build`. Searches that are
finished are kept beside the oracle, so that the command goes on where it was cut.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from capsearch import search
from capsearch.data import cache
from capsearch.driver import LOOKS
from capsearch.records import Candidate, Job, Outcome, Trial, digest_of
from capsearch.selection import (
    CapacityCurve,
    choose,
    estimates_of,
    of_finalists,
    undecided_among,
)
from capsearch.spec import StudySpec
from capsearch.spec.strategies import STRATEGIES
from capsearch.spec.tables import RULE
from tests.bench.landscape import Landscape, milliseconds
from tests.bench.oracle import STUDIES, Ground, Oracle

VARIANTS: dict[str, dict[str, Any]] = {
    "ladder, grow": {"strategy": "ladder", "grow": True},
    "ladder": {"strategy": "ladder", "grow": False},
    "tpe": {"strategy": "tpe"},
    "random": {"strategy": "random"},
    "nsga2": {"strategy": "nsga2"},
}
CHANCE = float(np.log(2))
MORE_SEEDS = 8  # of a choice that was trained, to know its loss
Answer = Callable[[Sequence[Job]], list[Outcome]]
Truth = Callable[[list[Candidate]], np.ndarray]
Task = tuple[str, int]  # variant, seed
Runs = Callable[[list[Task]], Iterable["Found"]]


@dataclass(frozen=True)
class Found:
    """What one search chose."""

    variant: str
    seed: int
    candidate: dict[str, Any]  # the choice
    epochs: int  # that it was given
    standing: str | None
    parameters: int
    loss: float  # what the choice's replicates average in the long run
    best: float  # the same of its best finalist
    curve: tuple[float, ...]  # lowest mean of the replicates below the upper edge of every band
    seconds: float  # of the search's training on two cores, without the replicates


def asking(ground: Ground, variant: str, seed: int) -> StudySpec:
    changed = VARIANTS[variant] | {"seed": seed}
    asked = ground.spec.model_dump()
    asked["search"] = {"trials": 96, "rungs": ground.spec.search.rungs} | changed
    return StudySpec.model_validate(asked | {"baseline": ()})


def settings(ground: Ground) -> str:
    """A hash of how all variants sample and choose: by other settings they are other searches."""
    names = [asking(ground, variant, 0).search.strategy for variant in VARIANTS]
    sampled = [asdict(STRATEGIES[name]) for name in names]
    return digest_of([*sampled, ground.spec.question["select"], LOOKS])[:8]


def searched(ground: Ground, spec: StudySpec, answer: Answer) -> list[Trial]:
    """The trials of a whole search, by the study's own plan, and of the race after it."""
    sampling = STRATEGIES[spec.search.strategy]
    plan = search.Ladder.of(search.Question(ground.study, spec, ground.space, sampling))
    ended = list[Trial]()
    while taken := plan.take():
        for trial, outcome in zip(taken, answer([t.job for t in taken]), strict=True):
            ended.append(trial.ended(outcome))
            plan.tell(ended[-1])
    for heat in search.HEATS:
        raced = search.race_trials(ground.study, spec, ended, sampling, heat)
        outcomes = answer([trial.job for trial in raced])
        ended += [trial.ended(o) for trial, o in zip(raced, outcomes, strict=True)]
    return ended


def replicated(
    ground: Ground, spec: StudySpec, trials: Sequence[Trial], answer: Answer
) -> list[Trial]:
    """Fresh seeds of the finalists, and more of those that can still decide, as in a study."""
    least, select = spec.select.replicates, spec.select
    known, more = dict[str, Trial](), dict[Candidate, int]()
    for seeds in [least, *(least * factor for factor in LOOKS if select.rule == RULE)]:
        if known:
            finalists = of_finalists(trials, list(known.values()))
            curve = CapacityCurve(estimates_of(finalists))
            able = undecided_among(curve, finalists, select.settings)
            more |= dict.fromkeys(able, seeds)
            if not able:
                break
        planned = search.replicate_trials(ground.study, spec, trials, least, more)
        fresh = [trial for trial in planned if trial.id not in known]
        ended = zip(fresh, answer([trial.job for trial in fresh]), strict=True)
        known |= {trial.id: trial.ended(outcome) for trial, outcome in ended}
        known = {trial.id: known[trial.id] for trial in planned}
    return list(known.values())


def run(ground: Ground, answer: Answer, truth: Truth, variant: str, seed: int) -> Found:
    """One search, its replicates, and the study's choice."""
    spec = asking(ground, variant, seed)
    trials = searched(ground, spec, answer)
    replicates = of_finalists(trials, replicated(ground, spec, trials, answer))
    estimates = estimates_of(replicates)
    curve = CapacityCurve(estimates)
    choice = choose(curve, replicates, spec.select.rule or RULE, spec.select.settings)
    loss, best = truth([choice.selected.candidate, choice.best.candidate]).tolist()
    times = [milliseconds(t.candidate, len(t.outcome.curve)) for t in trials if t.outcome]
    return Found(
        variant,
        seed,
        choice.job.candidate.as_dict(),
        choice.job.epochs,
        choice.standing,
        choice.selected.parameters,
        loss,
        best,
        lowest_below(ground, [(e.parameters, e.mean) for e in estimates]),
        seconds=sum(times) / 1000,
    )


def lowest_below(ground: Ground, points: Iterable[tuple[int, float]]) -> tuple[float, ...]:
    """The lowest loss of all sizes up to the end of each band; of no model at all, log 2."""
    points = list(points)
    edges = ground.edges[1:]
    return tuple(min([CHANCE, *(m for p, m in points if p < edge)]) for edge in edges)


def simulated(landscape: Landscape, task: Task) -> Found:
    def answer(jobs: Sequence[Job]) -> list[Outcome]:
        return [landscape.outcome(job) for job in jobs]

    return run(landscape.ground, answer, landscape.loss_of, *task)


def trained(ground: Ground, threads: int) -> Callable[[Task], Found]:
    """Searches whose every trial is trained. The truth is the mean of eight more seeds."""
    from capsearch.engines.packed import PackedEngine  # compiles for seconds

    data, engine = cache.load(ground.data), PackedEngine(threads=threads)
    training = ground.spec.training

    def answer(jobs: Sequence[Job]) -> list[Outcome]:
        return [t.outcome for t in engine.train(jobs, data)]

    def truth(candidates: list[Candidate]) -> np.ndarray:
        seeds = range(101, 101 + MORE_SEEDS)
        jobs = [
            Job.of(c, study_seed=1000, replicate=r, epochs=training.epochs,
                   patience=training.patience)
            for c in candidates for r in seeds
        ]  # fmt: skip
        losses = np.array([outcome.val_loss for outcome in answer(jobs)])
        means: np.ndarray = losses.reshape(len(candidates), -1).mean(axis=1)
        return means

    return lambda task: run(ground, answer, truth, *task)


def collect(
    path: Path, runs: Runs, searches: int, variants: Sequence[str] = tuple(VARIANTS)
) -> list[Found]:
    """All searches, those in the file not run again."""
    found = [Found(**json.loads(line)) for line in path.open()] if path.is_file() else []
    done = {(f.variant, f.seed) for f in found}
    left = [(v, s) for s in range(searches) for v in variants if (v, s) not in done]
    with path.open("a") as file:
        for each in runs(left):
            found.append(each)
            file.write(json.dumps(asdict(each)) + "\n")
            file.flush()
    return [f for f in found if f.seed < searches and f.variant in variants]


def table(landscape: Landscape, found: Sequence[Found]) -> str:
    """Means over the searches with 95 % bootstrap intervals, as Markdown."""
    size, loss = landscape.reference.parameters, landscape.reference.loss
    lowest = landscape.best.loss
    sizes = landscape.oracle.parameters[landscape.known].tolist()
    oracle = lowest_below(landscape.ground, zip(sizes, landscape.height.tolist(), strict=True))
    lines = [
        "| strategy | searches | loss above the smallest good one | times its parameters | "
        "best finalist above the oracle's best | whole curve above the oracle's | training, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for variant in VARIANTS:
        mine = [f for f in found if f.variant == variant]
        if not mine:
            continue
        cells = [
            interval(np.array([f.loss - loss for f in mine]), "{:+.4f}"),
            interval(np.log([f.parameters / size for f in mine]), "{:.2f}", np.exp),
            interval(np.array([f.best - lowest for f in mine]), "{:+.4f}"),
            interval(np.array([np.mean(f.curve) for f in mine]) - np.mean(oracle), "{:+.4f}"),
            interval(np.array([f.seconds for f in mine]), "{:.1f}"),
        ]  # fmt: skip
        lines.append(f"| {variant} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(
    values: np.ndarray, form: str, back: Callable[[float], float] = lambda value: value
) -> str:
    """Mean and percentile bootstrap, 10,000 resamples of the searches."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(10_000, len(values)))].mean(axis=1)
    shown = [form.format(back(v)) for v in (values.mean(), *np.quantile(means, [0.025, 0.975]))]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=STUDIES, help="only this one")
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--real", action="store_true", help="train instead of asking the landscape")
    parser.add_argument("--processes", type=int, default=2, help="threads with --real")
    parser.add_argument("--cache", type=Path, default=cache.default_root())
    asked = parser.parse_args()
    threadpool_limits(1)
    for name in [asked.study] if asked.study else STUDIES:
        ground = Ground.of(name, asked.cache)
        landscape = Landscape(ground, Oracle.load(ground, asked.cache))
        chosen = landscape.reference
        print(f"\n{name}: {len(landscape.oracle.candidates):,} candidates; the smallest good has "
              f"{chosen.parameters:,} parameters and a loss of {chosen.loss:.4f}; its lowest "
              f"loss is {landscape.best.loss:.4f}\nerror of the landscape: {landscape.error()}\n",
              flush=True)  # fmt: skip
        kind = "real" if asked.real else f"landscape-{len(landscape.oracle.candidates)}"
        beside = ground.folder(asked.cache) / f"searches-{kind}-{settings(ground)}.jsonl"
        if asked.real:
            found = collect(beside, partial(map, trained(ground, asked.processes)), asked.searches)
        else:
            with multiprocessing.get_context("fork").Pool(asked.processes) as pool:
                ask = partial(simulated, landscape)
                found = collect(beside, partial(pool.imap_unordered, ask), asked.searches)
        print(table(landscape, found), flush=True)


if __name__ == "__main__":
    main()
