"""Folds against one hold-out on small tables: how often the default rule claims wrongly.

`python -m tests.bench.resplits --tables DIR` takes four tables (breast_cancer and wine of
scikit-learn; titanic.csv and mpg.csv in DIR) and deals each anew 60 times: half of the rows are
searched, the other half tells the truth. On the first half a few networks of every size are drawn
and trained, the best of each size from fresh seeds, and the default rule chooses, with its looks:
once with a fifth of these rows held out, once in five folds. What is chosen is trained on all rows
of the half (folds), or is what was trained (hold-out).

The truth of a size is the mean loss of its networks on the other halves, over all deals and seeds:
what a size gives, not what it gave on one of them. A claim ("proved" or "probable") is wrong when
the truth of its size is worse than that of the best size by more than the margin.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import pandas as pd

from capsearch.data import cache, material
from capsearch.data.options import check
from capsearch.data.source import SearchData
from capsearch.data.sources.csv import Csv
from capsearch.data.table_options import TableOptions
from capsearch.engines import folds
from capsearch.engines.packed import PackedEngine
from capsearch.families.space import count_parameters
from capsearch.records import Candidate, DataProfile, Job, Trial
from capsearch.scoring import predictions
from capsearch.selection import (
    CapacityCurve,
    estimates_of,
    judge_for,
    undecided_among,
    verdicts,
)
from capsearch.selection.curve import typical
from capsearch.selection.judge import JUDGES, LOG_LOSS
from capsearch.selection.rules import Settings
from capsearch.spec.tables import RULE, blind_score
from capsearch.tasks.base import MARGIN_SHARE

SIZES = ((), (1,), (2,), (3,), (5,), (8,), (16,), (16, 16))
DRAWS, SEEDS, LOOKS = 4, 5, (1, 2, 4)
EPOCHS, PATIENCE = 120, 12
WAYS = {"hold-out": 0.2, "folds": {"folds": 5}}
TABLES: Mapping[str, Mapping[str, Any]] = {
    "breast_cancer": {"target": "target", "task": "binary"},
    "wine": {"target": "target", "task": "multiclass"},
    "titanic": {"target": "survived", "task": "binary", "drop": ["alive"]},
    "mpg": {"target": "mpg", "task": "regression"},
}


@dataclass(frozen=True)
class Result:
    """One deal, one way."""

    size: int  # that was chosen: its place in SIZES
    standing: str
    loss: float  # of the network that is kept, on the other half
    truths: list[float]  # mean loss of each size's networks there
    margin: float


def table_of(name: str, folder: Path) -> pd.DataFrame:
    """As text, as a file would have it."""
    if (folder / f"{name}.csv").is_file():
        return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(as_frame=True).frame.astype(str)  # type: ignore[no-any-return]


def deal(name: str, rows: pd.DataFrame, number: int, way: str, threads: int) -> Result:
    """Search one half of the rows, and judge by the other."""
    order = np.random.default_rng([number, 77]).permutation(len(rows))
    with tempfile.TemporaryDirectory() as place:
        halves = [Path(place) / f"{half}.csv" for half in ("searched", "left")]
        for path, part in zip(halves, np.array_split(order, 2), strict=True):
            rows.iloc[np.sort(part)].to_csv(path, index=False)
        said = {**TABLES[name], "path": str(halves[0]), "test": 0, "validation": WAYS[way]}
        options = check(TableOptions, said)
        prepared = cache.prepare(Csv(said), name, Path(place), options)
        data, fitted = cache.load(prepared.folder), cache.preparation(prepared.folder)
        searched = material.read(Csv(said), name, options)
        left = Csv({**said, "path": str(halves[1])}).read()
        x = fitted.matrix(left.columns)
        y = material.targets_like(searched, np.asarray(left.target))
    return _searched(data, prepared.profile, (x, y), number, PackedEngine(threads=threads))


def _searched(
    data: SearchData, profile: DataProfile, left: Any, number: int, engine: PackedEngine
) -> Result:
    rng = Random(number)
    drawn = [_draw(rng, units) for units in SIZES for _ in range(DRAWS)]
    first = folds.train(engine, [_job(c, 0) for c in drawn], data)
    losses = [t.outcome.val_loss if t.outcome.complete else np.inf for t in first]
    best = [min(range(i, i + DRAWS), key=losses.__getitem__) for i in range(0, len(drawn), DRAWS)]
    networks = [drawn[place] for place in best]
    judge = judge_for(LOG_LOSS, profile)
    margin = MARGIN_SHARE * blind_score(profile, JUDGES[LOG_LOSS])
    settings, runs = Settings(margin=margin), list[Trial]()
    weights = dict[str, tuple[np.ndarray, ...]]()
    able: Sequence[Candidate] = networks
    for look in LOOKS:
        _replicate(engine, data, able, look * SEEDS, runs, weights)
        judged = judge.read(runs)
        curve = CapacityCurve(estimates_of(judged))
        if not (able := undecided_among(curve, judged, settings)):
            break
    choice = verdicts(curve, judged, settings, [RULE])[RULE]
    truths = [_truth(engine, data, left, runs, c, weights) for c in networks]
    kept = typical(judged, choice.selected)
    return Result(
        networks.index(choice.selected.candidate),
        choice.standing or "open",
        _loss(engine, data, left, kept, weights),
        truths,
        margin,
    )


def _draw(rng: Random, units: tuple[int, ...]) -> Candidate:
    return Candidate(
        units,
        l2=10 ** rng.uniform(-6, -2) if rng.random() < 0.5 else 0.0,
        dropout=0.3 if units and units[0] > 4 and rng.random() < 0.5 else 0.0,
        learning_rate=10 ** rng.uniform(-2.5, -1.2),
        batch_size=16,
    )


def _job(candidate: Candidate, seed: int) -> Job:
    return Job.of(candidate, study_seed=7, replicate=seed, epochs=EPOCHS, patience=PATIENCE)


def _replicate(
    engine: PackedEngine,
    data: SearchData,
    networks: Sequence[Candidate],
    seeds: int,
    runs: list[Trial],
    weights: dict[str, tuple[np.ndarray, ...]],
) -> None:
    """So many fresh seeds of each, those that are there left alone."""
    known = {t.job.key for t in runs}
    jobs = [j for c in networks for s in range(1, seeds + 1) if (j := _job(c, s)).key not in known]
    for job, trained in zip(jobs, folds.train(engine, jobs, data), strict=True):
        size = count_parameters(job.candidate.units, data.features, data.task.outputs)
        runs.append(Trial(job.key, "replicate", 0, "", job, size, trained.outcome))
        weights[job.key] = trained.weights


def _loss(
    engine: PackedEngine, data: SearchData, left: Any, run: Trial, weights: Mapping[str, Any]
) -> float:
    """On the other half, of the network that would be kept."""
    assert run.outcome is not None
    own = weights[run.job.key]
    if data.folds:
        own = folds.refit(engine, run.job, run.outcome.best_epoch, data).weights
    return float(np.mean(data.task.losses(predictions(own, left[0], data.task), left[1])))


def _truth(
    engine: PackedEngine,
    data: SearchData,
    left: Any,
    runs: Sequence[Trial],
    network: Candidate,
    weights: Mapping[str, Any],
) -> float:
    own = [t for t in runs if t.candidate == network and t.outcome and t.outcome.complete][:SEEDS]
    return fmean(_loss(engine, data, left, run, weights) for run in own)


def told(name: str, found: Mapping[str, list[Result]]) -> list[str]:
    """A line of a table for each way."""
    lines = []
    for way, results in found.items():
        truth = np.mean([r.truths for r in results], axis=0)
        claims = [r for r in results if r.standing != "open"]
        wrong = [r for r in claims if truth[r.size] > truth.min() + r.margin]
        far = [r for r in claims if truth[r.size] > truth.min() + 1.5 * r.margin]
        sizes, kept = [r.size for r in results], [r.loss for r in results]
        low, middle, high = np.quantile(sizes, (0.25, 0.5, 0.75))
        lines.append(
            f"| {name} | {way} | {len(results)} | {len(claims)} | {len(wrong)} "
            f"({len(wrong) / len(results):.0%}) | {len(far)} | {_shown(low)} / {_shown(middle)} / "
            f"{_shown(high)} | {fmean(kept):.4f} ± {stdev(kept):.4f} | {median(kept):.4f} |"
        )
    return lines


def _shown(place: float) -> str:
    return "-".join(map(str, SIZES[round(place)])) or "linear"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--deals", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("resplits.jsonl"))
    asked = parser.parse_args()
    known = dict[tuple[str, str, int], Result]()
    if asked.store.is_file():
        for line in asked.store.read_text().splitlines():
            row = json.loads(line)
            known[row["table"], row["way"], row["deal"]] = Result(**row["result"])
    print("| table | way | deals | claims | wrong (of all) | by 1.5 margins | sizes: quartiles | "
          "loss kept ± sd | median |")  # fmt: skip
    for name in TABLES:
        rows = table_of(name, asked.tables)
        for number in range(asked.deals):
            for way in WAYS:
                if (name, way, number) in known:
                    continue
                result = deal(name, rows, number, way, asked.threads)
                known[name, way, number] = result
                with asked.store.open("a") as file:
                    row = {"table": name, "way": way, "deal": number, "result": vars(result)}
                    file.write(json.dumps(row) + "\n")
        found = {way: [known[name, way, n] for n in range(asked.deals)] for way in WAYS}
        print("\n".join(told(name, found)), flush=True)


if __name__ == "__main__":
    main()
