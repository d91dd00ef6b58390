"""A real oracle: some 1,500 candidates of a shipped study, each trained from three seeds.

`python -m tests.bench.oracle build` trains it with the packed engine into capsearch's cache folder.
Every finished pack is stored at once, so a build that was cut goes on where it ended. Candidates
are drawn at random inside eight bands of capacity, equally many in each, from the shipped space and
with the shipped training settings: no sampler has had a say in them.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from capsearch import reader, spec
from capsearch.data import cache
from capsearch.data.source import SourceRef
from capsearch.engines.base import Trained
from capsearch.engines.registry import DEFAULT, engine_id
from capsearch.families.space import Space, bands
from capsearch.records import Candidate, Job, Study, digest_of
from capsearch.session import new_study

STUDIES = ("imdb", "rotten_tomatoes")
SEEDS = 3
BANDS, PER_BAND = 8, 188  # 1,504 candidates, evenly over bands of capacity on a log scale
PACK = 32  # four candidates of each band, from three seeds


@dataclass(frozen=True)
class Dice:
    """Suggests uniformly on the scale that is asked for."""

    rng: Random

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.rng.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        return self.rng.uniform(low, high)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.rng.choice(choices)


@dataclass(frozen=True)
class Ground:
    """A shipped study without its driver: question, data and space."""

    spec: spec.StudySpec
    study: Study
    space: Space
    data: Path
    edges: tuple[int, ...]  # of the oracle's own bands, whatever the ladder of a study is

    @classmethod
    def of(cls, name: str, root: Path) -> "Ground":
        asked = spec.read(spec.shipped()[name], lambda _: [])
        prepared = reader.prepare(SourceRef(asked.data), root)
        study, asked, space = new_study(
            name, asked, prepared.profile, engine_id(DEFAULT, threads=1), sparse=prepared.sparse
        )
        least, top = study.ladder[0], study.ladder[-1]
        inner = [round(least * (top / least) ** (band / BANDS)) for band in range(1, BANDS)]
        return cls(asked, study, space, prepared.folder, (least, *inner, top))

    def candidates(self, root: Path) -> list[Candidate]:
        """Band by turns, so that any first part of them is spread evenly, too.

        Kept beside the oracle: draws of another day may be others, and what was trained is not.
        """
        kept = self.folder(root) / "candidates.json"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps([each.as_dict() for each in self._drawn()]))
        return [Candidate.from_dict(each) for each in json.loads(kept.read_text())]

    def _drawn(self) -> list[Candidate]:
        dice = [Dice(Random(f"oracle {band}")) for band in range(BANDS)]
        return [
            self.space.draw(die, band)
            for _ in range(PER_BAND)
            for die, band in zip(dice, bands(self.edges), strict=True)
        ]

    def job(self, candidate: Candidate, seed: int) -> Job:
        """Replicates 1 to 3 of a study that is asked nowhere else (its seed is 1,000)."""
        training = self.spec.training
        return Job.of(
            candidate,
            study_seed=1000,
            replicate=seed + 1,
            epochs=training.epochs,
            patience=training.patience,
        )

    def folder(self, root: Path) -> Path:
        """Named by all that shapes the outcomes; all validation rows stop its training."""
        training = self.spec.training.model_dump(mode="json", exclude={"stop_on"})
        facts = [self.study.data.fingerprints, self.spec.question["space"], training,
                 self.edges, PER_BAND, SEEDS]  # fmt: skip
        return root / f"oracle-{self.study.name}-{digest_of(facts)[:12]}"


@dataclass(frozen=True)
class Oracle:
    """What was trained. Failed jobs have a NaN loss."""

    candidates: list[Candidate]
    parameters: np.ndarray  # (candidates,)
    loss: np.ndarray  # (candidates, seeds): mean validation loss at the best epoch
    epochs: np.ndarray  # (candidates, seeds): trained, the patience included
    best_epoch: np.ndarray  # (candidates, seeds)
    losses: np.ndarray  # (candidates, seeds, validation rows) float32, at the best epoch

    @classmethod
    def load(cls, ground: Ground, root: Path) -> "Oracle":
        candidates = ground.candidates(root)
        files = [np.load(f) for f in sorted(ground.folder(root).glob("pack-*.npz"))]
        whole = {name: np.concatenate([f[name] for f in files]) for name in files[0].files}
        candidates = candidates[: len(whole["loss"])]
        parameters = np.array([ground.space.parameters(c) for c in candidates])
        return cls(candidates, parameters, **whole)


def build(ground: Ground, root: Path, threads: int) -> None:
    """Train what is missing, a pack at a time."""
    from capsearch.engines.packed import PackedEngine  # compiles for seconds

    data, engine = cache.load(ground.data), PackedEngine(threads=threads)
    folder, candidates = ground.folder(root), ground.candidates(root)
    packs = [candidates[i : i + PACK] for i in range(0, len(candidates), PACK)]
    began = time.monotonic()
    for number, pack in enumerate(packs):
        path = folder / f"pack-{number:03}.npz"
        if not path.is_file():
            trained = [
                engine.train([ground.job(c, seed) for c in pack], data) for seed in range(SEEDS)
            ]
            _store(path, trained, len(data.validation))
        taken = time.monotonic() - began
        print(f"{ground.study.name}: pack {number + 1} of {len(packs)}, {taken:.0f} s", flush=True)


def _store(path: Path, trained: list[list[Trained]], rows: int) -> None:
    """Written beside its place and moved there in one step."""
    outcomes = [[t.outcome for t in column] for column in zip(*trained, strict=True)]
    nothing = np.full(rows, np.nan, np.float32)
    beside = path.with_name(f".{path.name}")
    np.savez(
        beside,
        loss=np.array([[o.val_loss for o in row] for row in outcomes]),
        epochs=np.array([[len(o.curve) for o in row] for row in outcomes]),
        best_epoch=np.array([[o.best_epoch for o in row] for row in outcomes]),
        losses=np.array(
            [[nothing if o.val_losses is None else o.val_losses for o in row] for row in outcomes]
        ),
    )
    beside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["build"])
    parser.add_argument("--study", choices=STUDIES, help="only this one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=cache.default_root())
    asked = parser.parse_args()
    for name in [asked.study] if asked.study else STUDIES:
        build(Ground.of(name, asked.cache), asked.cache, asked.threads)


if __name__ == "__main__":
    main()
