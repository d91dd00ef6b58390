"""Is every size shown as good as it can be? Keras' start against ours, by brute force.

`python -m tests.bench.fair` draws 96 candidates of each network on each data set, trains the best
12 from 3 seeds and the best 3 of these from 24, once with Keras' start and once with the one that
suits the rows. Draws and seeds are the same for both, so where the two begin alike they end alike.
Every cell is kept in `--store` as it is done.

`hot_digits` and `hot_numbers` are what other heads are asked with: a dark or a light pixel each,
the digit as one of ten classes (softmax) and as a number (squared error). `--draws 12` is a small
form of all that; `--start` compares another start than the one that suits the rows, on dense tables
too (`digits_10`, `wine`, `diabetes`).
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from scipy import sparse
from scipy.stats import ttest_ind

from capsearch import initialization, reader, spec
from capsearch.data import cache
from capsearch.data.source import Rows, SearchData, SourceRef
from capsearch.engines.packed import PackedEngine
from capsearch.families import dense
from capsearch.records import Candidate, Job, digest_of
from capsearch.tasks import Multiclass, Regression, Task
from tests.bench.oracle import Dice

NETWORKS = (
    (), (1,), (2,), (3,), (4,), (5,), (8,), (16,), (64,), (2, 4), (4, 4), (16, 16), (12, 150, 50),
)  # fmt: skip
TEXTS, TABLES = ("imdb", "rotten_tomatoes"), ("digits", "breast_cancer")
HOT = ("hot_digits", "hot_numbers")  # sparse rows with other heads than one logit
HEADS = (*HOT, "digits_10", "wine", "diabetes")
DRAWS, AGAIN, LAST = 96, (12, 3), (3, 24)  # candidates; how many go on, from how many seeds
WORSE = 0.003  # in loss: what no cell may exceed
TABLE_OF = {"hot_digits": "digits", "hot_numbers": "digits", "digits_10": "digits"}
DARK = 8  # of 16: pixels above it are 1


@dataclass(frozen=True)
class Ground:
    """A data set, and how candidates are drawn and trained on it."""

    data: SearchData
    asked: spec.StudySpec
    batch: int
    epochs: int
    patience: int
    count: int = DRAWS  # of candidates

    @classmethod
    def of(cls, name: str, root: Path) -> "Ground":
        """A shipped study as it stands, or a table with the space of the IMDB study."""
        asked = spec.read(spec.shipped()[name if name in TEXTS else "imdb"], lambda _: [])
        if name in TABLES:
            return cls(table(name), asked, 64, 60, 8)
        if name in HEADS:
            return cls(table_of_heads(name), asked, 64, 60, 8)
        prepared = reader.prepare(SourceRef(asked.data), root)
        training = asked.training
        batch = asked.fixed().batch_size
        return cls(cache.load(prepared.folder), asked, batch, training.epochs, training.patience)

    def draws(self, units: tuple[int, ...], start: str) -> list[Candidate]:
        """The same settings for every start."""
        dice = Dice(Random(f"fair {units}"))
        space = self.asked.space_for(self.data.features)
        drawn = list[Candidate]()
        for _ in range(self.count):
            said = space.settings(dice, units) | {"batch_size": self.batch}
            said |= {"initialization": start} if units else {}
            drawn.append(dense.candidate_of(units, said))
        return drawn

    def job(self, candidate: Candidate, draw: int, replicate: int) -> Job:
        seed = int(digest_of([draw, replicate])[:7], 16)
        return Job(candidate, seed, 1000 + replicate, self.epochs, self.patience)


def table(name: str) -> SearchData:
    """scikit-learn's digits (odd or even) or breast_cancer: 60% to train, the rest to validate."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, rest = np.split(order, [int(0.6 * len(y))])
    x = StandardScaler().fit(x[train]).transform(x).astype(np.float32)
    y = (y % 2).astype(np.float32)
    return SearchData(Rows(x[train], y[train]), Rows(x[rest], y[rest]))


def table_of_heads(name: str) -> SearchData:
    """A table of scikit-learn's for several classes or a number, dense or as CSR (HOT)."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(datasets, f"load_{TABLE_OF.get(name, name)}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, rest = np.split(order, [int(0.6 * len(y))])
    if name in HOT:
        x = sparse.csr_matrix((x > DARK).astype(np.float32))
    else:
        x = StandardScaler().fit(x[train]).transform(x).astype(np.float32)
    task: Task = Multiclass(tuple(map(str, range(int(y.max()) + 1))))
    if name in ("hot_numbers", "diabetes"):
        task = number = Regression.of(y[train])
        y = number.standardised(y)
    rows = Rows(x, y.astype(np.float32))
    return SearchData(rows.take(train), rows.take(rest), task)


def brute_force(
    ground: Ground, engine: PackedEngine, units: tuple[int, ...], start: str
) -> list[float]:
    """Validation losses of the best candidate from its last seeds; one that failed is infinite."""
    drawn = ground.draws(units, start)

    def losses(draws: Sequence[int], seeds: Sequence[int]) -> Mapping[int, list[float]]:
        asked = [(draw, seed) for draw in draws for seed in seeds]
        trained = engine.train([ground.job(drawn[d], d, s) for d, s in asked], ground.data)
        found: dict[int, list[float]] = {draw: [] for draw in draws}
        for (draw, _), each in zip(asked, trained, strict=True):
            found[draw].append(each.outcome.val_loss if each.outcome.complete else np.inf)
        return found

    seeds = 0
    left: Sequence[int] = range(ground.count)
    for keep, count in ((AGAIN[0], 1), (LAST[0], AGAIN[1]), (1, LAST[1])):
        found = losses(left, range(seeds, seeds + count))
        left = sorted(left, key=lambda draw: float(np.mean(found[draw])))[:keep]
        seeds += count
    return found[left[0]]


def compare(name: str, asked: argparse.Namespace) -> list[dict[str, object]]:
    """Every cell of a data set, from the store or trained now."""
    ground = replace(Ground.of(name, asked.cache or cache.default_root()), count=asked.draws)
    cells, engine = list[dict[str, object]](), PackedEngine(threads=asked.threads)
    ours = asked.start or initialization.for_rows(sparse=name in (*TEXTS, *HOT))
    for units in NETWORKS:
        path = asked.store / f"{name}-{'-'.join(map(str, units)) or 'linear'}.json"
        if not path.is_file():
            began = time.perf_counter()
            starts = {
                s: brute_force(ground, engine, units, s) for s in (initialization.KERAS, ours)
            }
            seconds = round(time.perf_counter() - began, 1)
            said = {"data": name, "units": units, "ours": ours, "losses": starts}
            path.write_text(json.dumps(said | {"seconds": seconds}))
        cells.append(json.loads(path.read_text()))
        show(cells[-1])
    return cells


def show(cell: Mapping[str, object]) -> None:
    """A line of the table, the one-sided p value being that of "ours is worse"."""
    keras, ours, p = read(cell)
    units = "-".join(map(str, cell["units"])) or "linear"  # type: ignore[call-overload]
    columns = [f"{a.mean():.4f} ± {a.std(ddof=1):.4f}" for a in (keras, ours)]
    apart = ours.mean() - keras.mean()
    print(
        f"| {cell['data']} | {units} | {' | '.join(columns)} | {apart:+.4f} | {p:.2g} |", flush=True
    )


def read(cell: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray, float]:
    losses = cell["losses"]
    assert isinstance(losses, dict)
    keras, ours = (np.array(losses[start]) for start in (initialization.KERAS, cell["ours"]))
    if (keras == ours).all():
        return keras, ours, 1.0
    return keras, ours, float(ttest_ind(ours, keras, equal_var=False, alternative="greater").pvalue)


def holm(values: Sequence[float], level: float = 0.05) -> int:
    """How many of these p values Holm's steps reject."""
    ordered = sorted(values)
    for number, value in enumerate(ordered):
        if value > level / (len(ordered) - number):
            return number
    return len(ordered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--store", type=Path, default=Path("fair"))
    parser.add_argument("--data", nargs="+", default=[*TEXTS, *TABLES, *HOT])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draws", type=int, default=DRAWS, help="candidates of a cell")
    parser.add_argument("--start", choices=initialization.INITIALIZATIONS, default=None)
    asked = parser.parse_args()
    asked.store.mkdir(parents=True, exist_ok=True)
    print(
        "| data | units | Keras' start | ours | difference | p (worse) |\n|---|---|---|---|---|---|"
    )
    cells = list[dict[str, object]]()
    for name in asked.data:
        cells += compare(name, asked)
    pairs = [read(cell) for cell in cells]
    worst = max(float(ours.mean() - keras.mean()) for keras, ours, _ in pairs)
    worse = sum(ours.mean() - keras.mean() > WORSE for keras, ours, _ in pairs)
    print(f"largest difference {worst:+.4f}; {worse} of {len(pairs)} cells above {WORSE}")
    print(f"significantly worse by Holm at 5%: {holm([p for *_, p in pairs])}")


if __name__ == "__main__":
    main()
