"""What the default rule delivers, with its looks at more seeds, on studies whose truth is known.

`python -m tests.bench.decide` prints the tables of README.md: how often it claims a size wrongly,
misses by more than half a margin beyond the margin, or says "open", beside the rules of others on
the same studies at the first look. About a quarter of an hour on two cores.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from multiprocessing import get_context

import numpy as np

from capsearch.records import Candidate, Estimate
from capsearch.selection import RULES, CapacityCurve, Contrasts, Evidence, Goodness, Settings
from capsearch.selection.probability import able_to_decide
from tests.bench import peers
from tests.bench.worlds import HARD, MARGIN, NOISES, SIZES, Cell, Draws, draw, worlds

ROWS, LOOKS = (200, 1_000, 5_000, 25_000), (5, 10, 20)
SETTINGS = Settings(margin=MARGIN)
OTHERS = ("one_std_err", "pct_loss", "non_inferiority")
PEERS = ("scikit-learn's bound", "not significant")
DEFAULT = "probably_good, 5/10/20 seeds"
STEPS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.01)  # of said probabilities, for calibration
_CANDIDATES = tuple(Candidate((k + 1,)) for k in range(len(SIZES)))


@dataclass(frozen=True)
class Result:
    """One rule in one cell, as shares of its studies."""

    cell: Cell
    rule: str
    wrong: float  # claimed, and truly worse than the best by more than the margin
    far: float  # claimed, and worse by more than one and a half margins
    open: float
    seeds: float  # of a network, on average
    times: float  # geometric mean of the chosen size over the true answer's
    said: np.ndarray  # (steps, 2): how many sizes were given such a probability; how many were good


def evidence_of(draws: Draws, study: int, runs: np.ndarray) -> Evidence:
    """What a study shows when its networks have so many seeds, shape (sizes,)."""
    n, most = draws.cell.rows, draws.cell.replicates
    by_seed = [draws.by_seed[study, k, : runs[k]] for k in range(len(SIZES))]
    means, own = (np.array([f(row) for row in by_seed]) for f in (np.mean, partial(np.var, ddof=1)))
    rest = draws.cell.noise.rest**2
    columns = draws.columns[study] + np.diag(rest * (1 / runs - 1 / most))
    common = np.minimum.outer(runs, runs)
    spread = columns.diagonal()
    examples = np.maximum(np.add.outer(spread, spread) - 2 * columns, 0.0) / n
    seeds = np.add.outer(own, own) / common  # independent, and read where moderation is not
    errors = np.sqrt(own / runs + spread / n)
    points = tuple(
        Estimate(_CANDIDATES[k], size, float(means[k]), float(errors[k]), int(runs[k]))
        for k, size in enumerate(SIZES)
    )
    gap = np.subtract.outer(means, means)
    none = np.zeros_like(gap)
    return Evidence(
        CapacityCurve(points), Contrasts(gap, seeds, examples, none, common, n, own, runs)
    )


def decide(draws: Draws, study: int) -> tuple[int, bool, np.ndarray, np.ndarray]:
    """The default rule's choice, whether it is open, the seeds it took, and its probabilities."""
    runs = np.full(len(SIZES), LOOKS[0])
    for seeds in (*LOOKS[1:], 0):
        found = evidence_of(draws, study, runs)
        asked = able_to_decide(found.curve, found.contrasts, MARGIN, SETTINGS.probability)
        if not asked or not seeds:
            break
        runs = np.where([point in asked for point in found.curve.points], seeds, runs)
    verdict = RULES["probably_good"](found, SETTINGS)
    assert verdict is not None
    said = Goodness.of(found.curve, found.contrasts, MARGIN).probability
    return found.curve.points.index(verdict.selected), verdict.undecided, runs, said


def run(cell: Cell, studies: int, seed: int) -> list[Result]:
    """The default with its looks, and the others at the first look, on the same studies."""
    rng = np.random.default_rng([seed, cell.rows, *cell.world.name.encode()])
    draws = draw(replace(cell, replicates=LOOKS[-1]), studies, rng)
    found = [decide(draws, study) for study in range(studies)]
    chosen, undecided = (np.array([f[part] for f in found]) for part in (0, 1))
    runs, said = (np.array([f[part] for f in found]) for part in (2, 3))
    steps = np.digitize(said, STEPS) - 1
    good = np.broadcast_to(~cell.world.worse, said.shape)
    table = np.array([[(steps == s).sum(), good[steps == s].sum()] for s in range(len(STEPS) - 1)])
    results = [_result(cell, DEFAULT, chosen, undecided, float(runs.mean()), table)]
    first = np.full(len(SIZES), LOOKS[0])
    evidence = [evidence_of(draws, study, first) for study in range(studies)]
    for rule in OTHERS:
        verdicts = [v for v in (RULES[rule](e, SETTINGS) for e in evidence) if v]
        places = np.array(
            [e.curve.points.index(v.selected) for e, v in zip(evidence, verdicts, strict=True)]
        )
        results.append(_result(cell, rule, places, np.array([v.undecided for v in verdicts])))
    five = draw(cell, studies, rng)
    for name, rule_of in zip(PEERS, (peers.scikit_learn, _not_significant), strict=True):
        results.append(_result(cell, name, rule_of(five, rng), np.zeros(studies, dtype=bool)))
    return results


def _not_significant(draws: Draws, _: np.random.Generator) -> np.ndarray:
    return peers.not_significant(draws)


def _result(
    cell: Cell,
    rule: str,
    chosen: np.ndarray,
    undecided: np.ndarray,
    seeds: float = LOOKS[0],
    said: np.ndarray | None = None,
) -> Result:
    world = cell.world
    beyond = world.means[chosen] - world.means.min()
    times = np.log(np.array(SIZES)[chosen] / SIZES[world.answer])
    return Result(
        cell=cell,
        rule=rule,
        wrong=float((world.worse[chosen] & ~undecided).mean()),
        far=float(((beyond > 1.5 * MARGIN) & ~undecided).mean()),
        open=float(undecided.mean()),
        seeds=seeds,
        times=float(np.exp(times.mean())),
        said=np.zeros((len(STEPS) - 1, 2)) if said is None else said,
    )


def table(results: Sequence[Result], rows: int) -> Iterator[str]:
    """A line a rule, for studies of so many validation rows."""
    yield (
        f"| {rows:,} rows | wrong, mean | wrong, worst | wrong, worst of step and spike | "
        "by over 1.5 margins, worst | open, mean | seeds | size over the answer's |"
    )
    yield "|" + " --- |" * 8
    for rule in dict.fromkeys(r.rule for r in results):
        mine = [r for r in results if r.rule == rule and r.cell.rows == rows]
        easy = [r for r in mine if r.cell.world.name not in HARD]
        hard = [r for r in mine if r.cell.world.name in HARD]
        values = (
            f"{np.mean([r.wrong for r in easy]):.2%}", _worst(easy, "wrong"), _worst(hard, "wrong"),
            _worst(mine, "far"), f"{np.mean([r.open for r in easy]):.1%}",
            f"{np.mean([r.seeds for r in easy]):.1f}",
            f"{np.exp(np.mean([np.log(r.times) for r in easy])):.2f}",
        )  # fmt: skip
        yield f"| {rule} | {' | '.join(values)} |"


def _worst(results: Sequence[Result], what: str) -> str:
    worst = max(results, key=lambda r: getattr(r, what))
    if not getattr(worst, what):
        return "0"
    return f"{getattr(worst, what):.2%} ({worst.cell.world.name}, {worst.cell.noise.name} noise)"


def calibration(results: Sequence[Result]) -> Iterator[str]:
    """Of sizes given such a probability: how many are truly good, by kind of world."""
    yield "| said | " + " | ".join(f"{a:.0%} to {min(b, 1):.0%}" for a, b in pairwise(STEPS)) + " |"
    yield "|" + " --- |" * len(STEPS)
    for name in dict.fromkeys(r.cell.world.name for r in results):
        counts = sum(r.said for r in results if r.cell.world.name == name)
        assert isinstance(counts, np.ndarray)
        shares = [
            f"{good / count:.1%} of {int(count):,}" if count else "–" for count, good in counts
        ]
        yield f"| {name} | {' | '.join(shares)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2_000, help="simulated in each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    asked = parser.parse_args()
    results = list[Result]()
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        for rows in ROWS:
            cells = [Cell(w, noise, rows, LOOKS[0]) for w, noise in product(worlds(), NOISES)]
            for found in pool.map(partial(run, studies=asked.studies, seed=asked.seed), cells):
                results += found
            print(*table(results, rows), "", sep="\n", flush=True)
    ours = [r for r in results if r.rule == DEFAULT]
    print(*calibration(ours), sep="\n")


if __name__ == "__main__":
    main()
