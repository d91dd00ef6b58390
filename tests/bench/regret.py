"""What the product's choice costs against the oracle's, both trained again from fresh seeds.

`python -m tests.bench.regret` after `python -m tests.bench.oracle build`: searches on the landscape
as whole studies do them (`strategies`), then the network that each chose, the oracle's choice and
its best trained from 20 seeds that nothing else has read. What is finished is kept beside the
oracle, so that the command goes on where it was cut.

The oracle knows four candidates of every size band, those of the lowest losses, from 20 seeds more;
where whole studies are judged, it knows the four best finalists of all of them, too, and of those
that another search came to (`--known FOLDER ...`).
Its choice is what the study's own rule makes of the best of each band, on the same validation rows:
what a search that misses nothing would come to. Beside it stands the smallest network that is truly
within the margin, which no rule can know for sure.

The landscape is smoother than the truth, and a search finds where it promises too much. So
`--searched FOLDER` takes the choices of whole studies instead, trained for real: those that
`python -m tests.bench.bands --store FOLDER` kept.
"""

import argparse
import json
import multiprocessing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from capsearch.data import cache
from capsearch.engines.packed import PackedEngine
from capsearch.families import dense
from capsearch.families.space import rung_of
from capsearch.records import Candidate, Job, Trial
from capsearch.selection import CapacityCurve, estimates_of, judge_for, verdicts
from capsearch.spec.tables import RULE
from tests.bench.landscape import Landscape, Network
from tests.bench.oracle import STUDIES, Ground, Oracle
from tests.bench.strategies import Found, collect, settings, simulated

VARIANT = "ladder, grow"  # the product's own
RULED = "the oracle's choice"
SEEDS, CONTENDERS = 20, 4  # of every size band
RESAMPLES = 10_000


@dataclass(frozen=True)
class Choice:
    """What one search chose."""

    candidate: Candidate
    epochs: int
    parameters: int
    standing: str
    loss: float | None = None  # on the landscape


def of_landscape(found: Found) -> Choice:
    candidate, standing = Candidate.from_dict(found.candidate), str(found.standing)
    return Choice(candidate, found.epochs, found.parameters, standing, found.loss)


def of_study(document: dict[str, Any], epochs: int) -> Choice:
    """From the document of a whole study."""
    said = document["selected"]
    return Choice(_candidate(said), epochs, said["parameters"], said["claim"])


def finalists(files: Sequence[Path], ground: Ground, most: int) -> list[Network]:
    """So many of every size band: those of the lowest losses that stood for it in any study."""
    taken = dict[int, dict[Candidate, Network]]()
    epochs = ground.spec.training.epochs
    found = [said for file in files for said in json.loads(file.read_text())["curve"]]
    for said in sorted(found, key=lambda each: each["val_loss"]):
        candidate, size = _candidate(said), said["parameters"]
        band = taken.setdefault(rung_of(size, ground.study.ladder), {})
        if len(band) < most:
            band[candidate] = Network(candidate, size, said["val_loss"], epochs)
    return [network for band in taken.values() for network in band.values()]


def _candidate(said: dict[str, Any]) -> Candidate:
    values = {setting.name: said[setting.name] for setting in dense.SETTINGS}
    return dense.candidate_of(tuple(said["units"]), values)


@dataclass(frozen=True)
class Retrained:
    """Losses of networks from fresh seeds, trained once and kept."""

    ground: Ground
    path: Path
    threads: int

    def losses(self, asked: Sequence[tuple[Candidate, int]]) -> dict[str, np.ndarray]:
        """By the candidates' keys, shape (seeds,); each with the epochs it is given."""
        known: dict[str, list[float]] = {}
        if self.path.is_file():
            known = json.loads(self.path.read_text())
        engine, data = PackedEngine(threads=self.threads), cache.load(self.ground.data)
        for candidate, epochs in dict(asked).items():
            if candidate.key in known:
                continue
            trained = engine.train([self.job(candidate, s, epochs) for s in range(SEEDS)], data)
            assert all(each.outcome.complete for each in trained), candidate
            known[candidate.key] = [each.outcome.val_loss for each in trained]
            self.path.write_text(json.dumps(known))
        return {key: np.array(losses) for key, losses in known.items()}

    def job(self, candidate: Candidate, seed: int, epochs: int, study: int = 3000) -> Job:
        """Seeds of a study that is asked nowhere else."""
        patience = self.ground.spec.training.patience
        return Job.of(candidate, study_seed=study, replicate=seed, epochs=epochs, patience=patience)

    def oracles(self, contenders: Sequence[Network]) -> dict[str, Network]:
        """What is best, what is enough, and what the study's rule makes of them.

        Told by 20 seeds of each that nobody else is judged by.
        """
        select, profile = self.ground.spec.select, self.ground.study.data
        engine, data = PackedEngine(threads=self.threads), cache.load(self.ground.data)
        runs, losses = dict[Network, list[Trial]](), dict[Network, float]()
        for each in contenders:
            jobs = [self.job(each.candidate, seed, each.epochs, 4000) for seed in range(SEEDS)]
            runs[each] = [
                Trial(job.key, "replicate", 0, "", job, each.parameters, trained.outcome)
                for job, trained in zip(jobs, engine.train(jobs, data), strict=True)
            ]
            losses[each] = fmean(t.outcome.val_loss for t in runs[each] if t.outcome)
        best = min(contenders, key=losses.__getitem__)
        enough = [n for n in contenders if losses[n] <= losses[best] + select.settings.margin]
        of_bands = dict[int, Network]()
        for each in sorted(contenders, key=losses.__getitem__):
            of_bands.setdefault(rung_of(each.parameters, self.ground.study.ladder), each)
        judge = judge_for(select.judge, profile).read(
            [t for n in of_bands.values() for t in runs[n]]
        )
        curve = CapacityCurve(estimates_of(judge))
        chosen = verdicts(curve, judge, select.settings, [RULE])[RULE].selected.candidate
        return {
            RULED: next(n for n in of_bands.values() if n.candidate == chosen),
            "the smallest within the margin": min(enough, key=lambda n: n.parameters),
            "the oracle's best": best,
        }


def regret(
    chosen: Sequence[np.ndarray], oracle: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean of the choices' losses less that of the oracle's choice, with a 95 % interval.

    Searches are drawn again, and the seeds of the oracle's choice, which all of them share. The
    seeds of a choice are its search's, and come with it.
    """
    means = np.array([losses.mean() for losses in chosen])
    ours = means[rng.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    theirs = oracle[rng.integers(len(oracle), size=(RESAMPLES, len(oracle)))].mean(axis=1)
    low, high = np.quantile(ours - theirs, [0.025, 0.975])
    return float(means.mean() - oracle.mean()), float(low), float(high)


def show(
    name: str,
    oracles: Mapping[str, Network],
    found: Sequence[Choice],
    losses: Mapping[str, np.ndarray],
) -> None:
    """What the choices came to, against the oracle's networks."""
    rng, chosen = np.random.default_rng(0), [losses[f.candidate.key] for f in found]
    print(f"{name}: {len(found)} choices, {dict(Counter(f.standing for f in found))}")
    if promised := [f.loss - oracles[RULED].loss for f in found if f.loss is not None]:
        print(f"on the landscape: regret {np.mean(promised):+.4f}")
    for what, other in oracles.items():
        mean, low, high = regret(chosen, losses[other.candidate.key], rng)
        times = np.array([f.parameters / other.parameters for f in found])
        drawn = np.median(times[rng.integers(len(times), size=(RESAMPLES, len(times)))], axis=1)
        least, most = np.quantile(drawn, [0.025, 0.975])
        print(line(what, other, losses))
        print(
            f"  loss above it {mean:+.4f} ({low:+.4f} to {high:+.4f}); times its parameters: "
            f"median {np.median(times):.2f} ({least:.2f} to {most:.2f}), {times.min():.2f} to "
            f"{times.max():.2f}, geometric mean {np.exp(np.log(times).mean()):.2f}"
        )


def line(what: str, network: Network, losses: Mapping[str, np.ndarray]) -> str:
    again = losses[network.candidate.key]
    error = again.std(ddof=1) / np.sqrt(len(again))
    return (
        f"{what}: {network.candidate.label}, {network.parameters:,} parameters, height "
        f"{network.loss:.4f}, trained again {again.mean():.4f} ± {error:.4f}"
    )


def stored(ground: Ground, studies: Path, searches: int) -> list[Path]:
    """The documents of whole studies."""
    files = [studies / f"{ground.study.name}-{seed}.json" for seed in range(1, searches + 1)]
    return [file for file in files if file.is_file()]


def choices(
    landscape: Landscape, root: Path, studies: Path | None, searches: int, processes: int
) -> list[Choice]:
    """Of so many searches on the landscape, or of the whole studies in a folder."""
    ground = landscape.ground
    if studies is not None:
        documents = [json.loads(file.read_text()) for file in stored(ground, studies, searches)]
        return [of_study(document, ground.spec.training.epochs) for document in documents]
    kind = f"landscape-{len(landscape.oracle.candidates)}"
    beside = ground.folder(root) / f"searches-{kind}-{settings(ground)}.jsonl"
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        ask = partial(pool.imap_unordered, partial(simulated, landscape))
        return [of_landscape(f) for f in collect(beside, ask, searches, [VARIANT])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=STUDIES, help="only this one")
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2, help="and threads to train")
    parser.add_argument("--searched", type=Path, help="whole studies of `bands`, trained for real")
    parser.add_argument(
        "--known", type=Path, nargs="*", default=[], help="more of them, for the oracle"
    )
    parser.add_argument("--cache", type=Path, default=cache.default_root())
    asked = parser.parse_args()
    for name in [asked.study] if asked.study else STUDIES:
        ground = Ground.of(name, asked.cache)
        landscape = Landscape(ground, Oracle.load(ground, asked.cache))
        count = len(landscape.known)
        with threadpool_limits(1):
            print(f"\n{name}: {count} candidates; error of the landscape: {landscape.error()}")
            found = choices(landscape, asked.cache, asked.searched, asked.searches, asked.processes)
        kept = Retrained(ground, ground.folder(asked.cache) / "again.json", asked.processes)
        contenders = landscape.contenders(CONTENDERS)
        for folder in filter(None, [asked.searched, *asked.known]):
            files = stored(ground, folder, asked.searches)
            contenders += finalists(files, ground, CONTENDERS)
        oracles = kept.oracles(list(dict.fromkeys(contenders)))
        again = [(each.candidate, each.epochs) for each in found]
        again += [(each.candidate, each.epochs) for each in oracles.values()]
        show(name, oracles, found, kept.losses(again))


if __name__ == "__main__":
    main()
