"""How often each rule chooses wrongly, too large, or not at all, on studies whose truth is known.

`python -m tests.bench.selection` prints the tables of README.md; a quarter of an hour on one core.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

from capsearch.selection import RULES, Settings
from tests.bench import curse, peers
from tests.bench.worlds import HARD, MARGIN, NOISES, SIZES, Cell, Draws, draw, worlds

ROWS = (200, 1_000, 5_000, 25_000)
REPLICATES = (3, 5, 10)
SETTINGS = Settings(margin=MARGIN, max_parameters=SIZES[5])
OURS = tuple(RULES)
PEERS = ("scikit-learn's bound", "not significant", "unpaired")


@dataclass(frozen=True)
class Result:
    """How one rule did in one cell, as shares of all studies."""

    cell: Cell
    rule: str
    wrong: float  # truly worse than the best by more than the margin
    claimed: float  # wrong, and it did not say undecided
    undecided: float
    times: float  # geometric mean of the chosen size over the true answer's
    studies: int

    @property
    def error(self) -> float:
        """Standard error of `claimed` were the promised 5 % its true value."""
        return float(np.sqrt(0.05 * 0.95 / self.studies))


def run(cell: Cell, studies: int, seed: int, rules: Sequence[str] = OURS) -> list[Result]:
    """Every rule on the same studies; the peers as well when all of ours are asked for."""
    rng = np.random.default_rng([seed, cell.rows, cell.replicates, *cell.world.name.encode()])
    draws = draw(cell, studies, rng)
    places = {size: k for k, size in enumerate(SIZES)}
    evidence = draws.evidence()
    results = []
    for rule in rules:
        found = [v for v in (RULES[rule](e, SETTINGS) for e in evidence) if v is not None]
        chosen = np.array([places[v.selected.parameters] for v in found])
        results.append(_result(cell, rule, chosen, np.array([v.undecided for v in found])))
    if rules == OURS:
        results += _peers(draws, rng)
    return results


def _peers(draws: Draws, rng: np.random.Generator) -> Iterator[Result]:
    never = np.zeros(len(draws.means), dtype=bool)
    chosen = (peers.scikit_learn(draws, rng), peers.not_significant(draws), peers.unpaired(draws))
    for name, places in zip(PEERS, chosen, strict=True):
        yield _result(draws.cell, name, places, never)


def _result(cell: Cell, rule: str, chosen: np.ndarray, undecided: np.ndarray) -> Result:
    wrong = cell.world.worse[chosen]
    times = np.log(np.array(SIZES)[chosen] / SIZES[cell.world.answer])
    return Result(
        cell=cell,
        rule=rule,
        wrong=float(wrong.mean()),
        claimed=float((wrong & ~undecided).mean()),
        undecided=float(undecided.mean()),
        times=float(np.exp(times.mean())),
        studies=len(chosen),
    )


def cells() -> list[Cell]:
    return [
        Cell(w, noise, rows, replicates)
        for w in worlds()
        for noise in NOISES
        for rows in ROWS
        for replicates in REPLICATES
    ]


def summary(results: Sequence[Result]) -> Iterator[str]:
    """One line a rule over all cells, then by shape and by rows."""
    yield (
        "| rule | wrong, mean | wrong, worst cell | claimed and wrong, worst cell | undecided | "
        "size over the answer's |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for rule in (*OURS, *PEERS):
        mine = [r for r in results if r.rule == rule]
        worst = max(mine, key=lambda r: r.wrong)
        yield (
            f"| {rule} | {_mean(mine, 'wrong')} | {worst.wrong:.1%} ({_named(worst.cell)}) | "
            f"{max(r.claimed for r in mine):.1%} | {_mean(mine, 'undecided')} | {_times(mine)} |"
        )


def by(results: Sequence[Result], what: str) -> Iterator[str]:
    """Wrong / undecided / times the answer's size: a line a rule, a column a value."""
    columns = list(dict.fromkeys(_of(r.cell, what) for r in results))
    yield f"| rule, by {what} | " + " | ".join(columns) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for rule in (*OURS, *PEERS):
        fields = []
        for column in columns:
            mine = [r for r in results if r.rule == rule and _of(r.cell, what) == column]
            fields.append(f"{_mean(mine, 'wrong')} / {_mean(mine, 'undecided')} / {_times(mine)}")
        yield f"| {rule} | " + " | ".join(fields) + " |"


def _of(cell: Cell, what: str) -> str:
    values = {
        "shape": cell.world.name,
        "examples": f"{cell.rows:,}",
        "replicates": str(cell.replicates),
        "noise": cell.noise.name,
    }
    return values[what]


def _mean(results: Sequence[Result], field: str) -> str:
    return f"{np.mean([getattr(r, field) for r in results]):.1%}"


def _times(results: Sequence[Result]) -> str:
    return f"{np.exp(np.mean([np.log(r.times) for r in results])):.2f}"


def _named(cell: Cell) -> str:
    return f"{cell.world.name}, {cell.noise.name} noise, {cell.rows:,} x {cell.replicates}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2_000, help="simulated in each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--every-cell", action="store_true", help="print every cell, too")
    asked = parser.parse_args()
    began, results = time.monotonic(), list[Result]()
    if asked.every_cell:
        print("| cell | rule | wrong | claimed and wrong | undecided | times |")
        print("| --- | --- | --- | --- | --- | --- |")
    task = partial(run, studies=asked.studies, seed=asked.seed)
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        for found in pool.map(task, cells()):
            results += found
            if asked.every_cell:
                print(*map(_line, found), sep="\n", flush=True)
    print("", *summary(results), sep="\n")
    for what in ("shape", "examples", "replicates", "noise"):
        print("", *by(results, what), sep="\n")
    natural = [r for r in results if r.cell.world.name not in HARD]
    print(f"\nWithout {' and '.join(HARD)}:", *by(natural, "examples"), sep="\n")
    print("", *curse.tables(asked.studies, asked.seed), sep="\n")
    print(f"\n{len(results)} results in {time.monotonic() - began:.0f} s")


def _line(result: Result) -> str:
    return (
        f"| {_named(result.cell)} | {result.rule} | {result.wrong:.4f} | {result.claimed:.4f} | "
        f"{result.undecided:.3f} | {result.times:.2f} |"
    )


if __name__ == "__main__":
    main()
