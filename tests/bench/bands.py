"""Is every size band of a study as good as it can be? Whole searches against brute force.

`python -m tests.bench.bands` draws 96 candidates at random in every band of a shipped study's
ladder, trains each once and the best few from 8 seeds: what a band can reach. Then it runs the
shipped study with other search seeds, start to report, the test split held, and compares.
Everything that is done is kept in `--store`, so that the command goes on where it was cut.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from capsearch import spec
from capsearch.data import cache
from capsearch.engines.packed import PackedEngine
from capsearch.families.space import bands, rung_of
from capsearch.records import Candidate, Job
from tests.bench.oracle import STUDIES, Dice, Ground

DRAWS, AGAIN, SEEDS = 96, 4, 8  # candidates of a band; how many go on, from how many seeds
NEAR = 0.005  # nats: how near to brute force a band is to be, on average
Document = dict[str, Any]


def brute_force(ground: Ground, store: Path, threads: int) -> list[float]:
    """The mean loss over seeds of the best of every band's draws, smallest band first."""
    path = store / f"{ground.study.name}-bands.json"
    found: list[float] = json.loads(path.read_text()) if path.is_file() else []
    engine, data = PackedEngine(threads=threads), cache.load(ground.data)

    def losses(asked: Sequence[tuple[Candidate, int]]) -> np.ndarray:
        trained = engine.train([job_of(ground, c, seed) for c, seed in asked], data)
        outcomes = [each.outcome for each in trained]
        return np.array([o.val_loss if o.complete else np.inf for o in outcomes])

    for number, band in enumerate(bands(ground.study.ladder)):
        if number < len(found):
            continue
        dice = Dice(Random(f"bands {number}"))
        drawn = [ground.space.draw(dice, band) for _ in range(DRAWS)]
        order = np.argsort(losses([(each, 0) for each in drawn]), kind="stable")[:AGAIN]
        again = [(drawn[place], seed) for place in order for seed in range(1, SEEDS + 1)]
        found.append(float(losses(again).reshape(AGAIN, SEEDS).mean(axis=1).min()))
        path.write_text(json.dumps(found))
        print(f"{ground.study.name}: band {number}: {found[-1]:.4f}", flush=True)
    return found


def job_of(ground: Ground, candidate: Candidate, seed: int) -> Job:
    training = ground.spec.training
    return Job.of(
        candidate,
        study_seed=2000,
        replicate=seed,
        epochs=training.epochs,
        patience=training.patience,
    )


def searched(name: str, seed: int, store: Path, root: Path) -> Document:
    """The whole command with another search seed; its JSON document."""
    path = store / f"{name}-{seed}.json"
    if not path.is_file():
        lines = spec.shipped()[name].read_text().splitlines()
        at = lines.index("[search]")
        lines = [f"seed = {seed}" if n > at and x == "seed = 0" else x for n, x in enumerate(lines)]
        file = store / f"{name}-{seed}.toml"
        file.write_text("\n".join(lines))
        command = [sys.executable, "-m", "capsearch", "study", str(file), "--hold-test", "--json",
                   "--root", str(store / "results"), "--cache", str(root)]  # fmt: skip
        quiet = subprocess.DEVNULL
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=quiet)
        path.write_bytes(done.stdout)
    document: Document = json.loads(path.read_text())
    return document


def above(document: Document, edges: Sequence[int], reached: Sequence[float]) -> dict[int, float]:
    """By how much each band's best finalist is above brute force."""
    best = dict[int, float]()
    for point in document["curve"]:
        rung = rung_of(point["parameters"], edges)
        best[rung] = min(best.get(rung, np.inf), point["val_loss"])
    return {rung: loss - reached[rung] for rung, loss in sorted(best.items())}


def show(
    name: str, edges: Sequence[int], reached: Sequence[float], found: Sequence[Document]
) -> None:
    """What the searches came to, a line each and their means."""
    distances = [above(document, edges, reached) for document in found]
    for document, distance in zip(found, distances, strict=True):
        selected, status = document["selected"], status_of(document, "CS015")
        shown = " ".join(f"{value:+.4f}" for value in distance.values())
        print(
            f"{name} {document['best']['val_loss']:.4f} {selected['parameters']:>8,} "
            f"{selected['claim']:8} CS015 {status:7} {shown}"
        )
    for rung in range(len(reached)):
        values = [d[rung] for d in distances if rung in d]
        if values:
            cells = f"{reached[rung]:.4f} | {len(values)} | {np.mean(values):+.4f}"
            print(f"| {name} | {rung} | {cells} | {max(values):+.4f} |")
    best = np.array([d["best"]["val_loss"] for d in found])
    sizes = [d["selected"]["parameters"] for d in found]
    clean = sum(status_of(d, "CS015") == "ok" for d in found)
    print(
        f"{name}: {len(found)} searches; CS015 ok in {clean}; best loss {best.mean():.4f} "
        f"± {best.std(ddof=1):.4f}; chosen size {spread(sizes)}"
    )


def spread(sizes: Sequence[int]) -> str:
    """How far the chosen sizes of searches lie apart, as factors."""
    logs = np.log(sizes)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    return (
        f"from {min(sizes):,} to {max(sizes):,}, a factor of {max(sizes) / min(sizes):.2f}; "
        f"standard deviation a factor of {np.exp(logs.std(ddof=1)):.2f}, quartiles of "
        f"{np.exp(high - low):.2f}; median {np.exp(middle):,.0f}"
    )


def status_of(document: Document, code: str) -> str:
    return str(next(check["status"] for check in document["checks"] if check["code"] == code))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=STUDIES, help="only this one")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("bands"))
    parser.add_argument("--cache", type=Path, default=None)
    asked = parser.parse_args()
    root = asked.cache or cache.default_root()
    asked.store.mkdir(parents=True, exist_ok=True)
    for name in [asked.study] if asked.study else STUDIES:
        ground = Ground.of(name, root)
        reached = brute_force(ground, asked.store, asked.threads)
        found = [searched(name, seed, asked.store, root) for seed in range(1, asked.seeds + 1)]
        if len(found) > 1:
            show(name, ground.study.ladder, reached, found)


if __name__ == "__main__":
    main()
