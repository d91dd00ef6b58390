"""What it costs to stop and to rank on the same validation rows: early stopping's optimism.

`python -m tests.bench.best_epoch` trains the oracle's first candidates again, past their best
epoch, and keeps the loss of every validation row after every epoch. Any part of the rows can then
be the one that stops, and any other the one that judges, as often as one likes.
"""

import argparse
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from capsearch.data import cache
from capsearch.engines.packed.batches import Batches
from capsearch.engines.packed.kernels import score, train_epoch
from capsearch.engines.packed.network import SCORING_ROWS, head_of, network, rule_of
from capsearch.families.space import rung_of
from capsearch.records import Job
from tests.bench.oracle import STUDIES, Ground
from tests.bench.strategies import interval

CANDIDATES, SEEDS = 200, 2  # 25 of every band
PATIENCE = 8  # twice the study's: parts of the rows may want to go on longer than all of them
SPLITS = 30
OF_A_SEARCH = 12  # candidates of every band that a choice is made from


@dataclass(frozen=True)
class Watched:
    """Training runs, seen after every epoch."""

    bands: np.ndarray  # (candidates,)
    losses: list[list[np.ndarray]]  # [seed][candidate]: float32 (epochs, validation rows)

    @property
    def rows(self) -> int:
        return int(self.losses[0][0].shape[1])


def watch(job: Job, batches: Batches) -> np.ndarray:
    """Losses of every validation row after every epoch; NaN from where it diverged."""
    size, rows = job.candidate.batch_size, len(batches.data.train)
    net, rule = network(job, batches.features), rule_of(job)
    head = head_of(batches.data.task)
    seen: list[np.ndarray] = []
    best, best_loss = 0, math.inf
    for epoch in range(job.epochs):
        plan, losses = batches.plan(job.shuffle_seed, size, epoch), np.empty(
            len(batches.data.validation), np.float32
        )  # fmt: skip
        train_epoch(batches.train, plan, net, rule, head, min(size, rows), epoch * -(-rows // size))
        score(batches.validation, net, head, SCORING_ROWS, losses)
        seen.append(losses)
        if (loss := float(losses.mean(dtype=np.float64))) < best_loss:
            best, best_loss = epoch, loss
        elif epoch - best >= PATIENCE or not math.isfinite(loss):
            break
    return np.array(seen)


def watched(ground: Ground, root: Path, threads: int) -> Watched:
    """Trained now, a seed at a time, or read from where it was kept."""
    candidates = ground.candidates(root)[:CANDIDATES]
    folder = ground.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    losses = []
    for seed in range(SEEDS):
        path = folder / f"epochs-{seed}-{CANDIDATES}.npz"
        if not path.is_file():
            began, batches = time.monotonic(), Batches(cache.load(ground.data))
            with ThreadPoolExecutor(threads) as pool:
                jobs = [ground.job(c, seed) for c in candidates]
                found = list(pool.map(partial(watch, batches=batches), jobs))
            np.savez(path.with_name(f".{path.name}"), *found)
            path.with_name(f".{path.name}").replace(path)
            print(f"{ground.study.name}: seed {seed}, {time.monotonic() - began:.0f} s", flush=True)
        kept = np.load(path)
        losses.append([kept[name] for name in kept.files])
    bands = [rung_of(ground.space.parameters(c), ground.edges) for c in candidates]
    return Watched(np.array(bands), losses)


def stopped(means: np.ndarray, patience: int) -> int:
    """The epoch (0-based) that early stopping keeps, of means (epochs,)."""
    best = 0
    for epoch in range(1, len(means)):
        if means[epoch] < means[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


@dataclass(frozen=True)
class Parts:
    """Means over three equal parts of the rows, all ways round; one seed, one split."""

    means: list[np.ndarray]  # [candidate]: (epochs, 3)
    patience: int

    @classmethod
    def of(cls, losses: Sequence[np.ndarray], order: np.ndarray, patience: int) -> "Parts":
        third = len(order) // 3
        picked = [order[part * third : (part + 1) * third] for part in range(3)]
        return cls(
            [np.stack([e[:, p].mean(axis=1, dtype=np.float64) for p in picked], 1) for e in losses],
            patience,
        )

    def judged(self, stop: Sequence[int], judge: Sequence[int]) -> np.ndarray:
        """Stopped by some parts, the mean over others: (candidates,)."""
        return np.array([
            m[stopped(m[:, stop].mean(axis=1), self.patience)][list(judge)].mean()
            for m in self.means
        ])  # fmt: skip


TURNS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def measured(seen: Watched, patience: int) -> str:
    """Every table, as Markdown."""
    rng = np.random.default_rng(0)
    optimism: dict[str, list[np.ndarray]] = {"a third": [], "two thirds": []}
    agree: dict[str, list[float]] = {"same rows": [], "divided": []}
    regret: dict[str, list[float]] = {"same rows": [], "divided": []}
    for _ in range(SPLITS):
        order = rng.permutation(seen.rows)
        subset = np.concatenate(
            [rng.choice(np.flatnonzero(seen.bands == r), OF_A_SEARCH, replace=False)
             for r in np.unique(seen.bands)]
        )  # fmt: skip
        for losses in seen.losses:
            parts = Parts.of(losses, order, patience)
            own = np.mean([parts.judged([a], [a]) for a, _, _ in TURNS], axis=0)
            other = np.mean([parts.judged([a], [b, c]) for a, b, c in TURNS], axis=0)
            optimism["a third"].append(other - own)
            own = np.mean([parts.judged([a, b], [a, b]) for a, b, _ in TURNS], axis=0)
            other = np.mean([parts.judged([a, b], [c]) for a, b, c in TURNS], axis=0)
            optimism["two thirds"].append(other - own)
            for a, b, c in TURNS:
                ways = {
                    "same rows": (parts.judged([a, b], [a, b]), parts.judged([a, b], [c])),
                    "divided": (parts.judged([a], [b]), parts.judged([a], [c])),
                }
                for way, (rank, true) in ways.items():
                    good = rank < np.nanquantile(rank, 0.4)
                    agree[way].append(float(spearmanr(rank[good], true[good]).statistic))
                    regret[way].append(float(true[subset[np.nanargmin(rank[subset])]]))
    return "\n".join([*_optimism(seen, optimism), "", *_choice(agree, regret)])


def _optimism(seen: Watched, optimism: dict[str, list[np.ndarray]]) -> list[str]:
    lines = ["| stopped on | all candidates | " +
             " | ".join(f"band {r}" for r in np.unique(seen.bands)) + " |",
             "| --- | --- |" + " --- |" * len(np.unique(seen.bands))]  # fmt: skip
    for name, each in optimism.items():
        mean = np.nanmean(each, axis=0)
        bands = [f"{np.nanmean(mean[seen.bands == r]):+.5f}" for r in np.unique(seen.bands)]
        whole = interval(mean[np.isfinite(mean)], "{:+.5f}")
        lines.append(f"| {name} of the rows | {whole} | {' | '.join(bands)} |")
    return lines


def _choice(agree: dict[str, list[float]], regret: dict[str, list[float]]) -> list[str]:
    """By split: the turns and seeds of one split are not independent."""

    def per_split(values: list[float]) -> np.ndarray:
        return np.asarray(np.array(values).reshape(SPLITS, -1).mean(axis=1))

    lines = ["| rows | rank correlation with the third part, best 40 % | loss of the best of 96 "
             "on the third part |", "| --- | --- | --- |"]  # fmt: skip
    lines += [
        f"| {way} | {interval(per_split(agree[way]), '{:.3f}')} | "
        f"{interval(per_split(regret[way]), '{:.4f}')} |"
        for way in agree
    ]
    costs = interval(per_split(regret["divided"]) - per_split(regret["same rows"]), "{:+.5f}")
    gains = interval(per_split(agree["divided"]) - per_split(agree["same rows"]), "{:+.3f}")
    return [*lines, f"| divided less same rows | {gains} | {costs} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=STUDIES, help="only this one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=cache.default_root())
    asked = parser.parse_args()
    threadpool_limits(1, user_api="blas")  # networks side by side, as in the packed engine
    for name in [asked.study] if asked.study else STUDIES:
        ground = Ground.of(name, asked.cache)
        seen = watched(ground, asked.cache, asked.threads)
        counts = f"{CANDIDATES} candidates, {SEEDS} seeds, {SPLITS} splits of {seen.rows:,} rows"
        print(f"\n{name}: {counts}\n\n{measured(seen, ground.spec.training.patience)}", flush=True)


if __name__ == "__main__":
    main()
