"""Columns that give the answer away: equal to the target, or alone predicting it almost perfectly.

Each column is judged alone, by what it predicts on rows that it was not fitted on: the commonest
class, or the mean, of the rows in the same bin of its values. No network is needed to see a leak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capsearch.data.columns.declared import Column
from capsearch.data.preparation.transform import as_text, dates, numbers

NEARLY = 0.98  # of the error that knowing the target's distribution leaves is gone
TOGETHER = 0.97  # the same, for a sum of columns, which is told and no reason to leave them out
SPARED = 0.005  # of the variance, that columns may explain which are not told of such a sum
LEAST = 40  # rows, of which half are judged
ENOUGH = 20_000  # rows, of which a draw is looked at where there are more
BINS = 256
Table = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Leak:
    """A column and why it is one. `score`: the share of the error that it takes away, at most 1."""

    column: str
    why: str
    score: float


def leaks(table: Table, columns: Sequence[Column], target: np.ndarray) -> list[Leak]:
    """The columns that give the target away, the worst first.

    Args:
        table: Rows that may be looked at, by column, each of shape (rows,).
        columns: What they are; the target is none of them.
        target: Labels, shape (rows,): float numbers for a regression, else anything.
    """
    rows = some_rows(np.arange(len(target)))
    scored = scores(table, columns, target)
    texts = np.array([as_text(value) for value in target[rows]], object)
    found = list[Leak]()
    for column in columns:
        score = scored.get(column.name, 0.0)
        if scored and score < NEARLY:
            continue
        mine = np.array([as_text(value) for value in table[column.name][rows]], object)
        if len(mine) and bool((mine == texts).all()):
            found.append(Leak(column.name, "equal to the target in every row", 1.0))
        elif score >= NEARLY:
            why = f"alone it takes away {score:.1%} of the error of knowing nothing"
            if _one_to_one(mine, texts):
                why = "the target in other words: each of its values stands for one label"
            found.append(Leak(column.name, why, score))
    return sorted(found, key=lambda leak: -leak.score)


def scores(table: Table, columns: Sequence[Column], target: np.ndarray) -> dict[str, float]:
    """What each column predicts by itself: 1 is everything, 0 is nothing."""
    known = some_rows(np.flatnonzero([as_text(value) != "" for value in target]))
    if len(known) < LEAST:
        return {}
    y = _labels(target[known])
    halves = np.random.default_rng(0).permutation(len(y)) % 2 == 0
    scored = dict[str, float]()
    for column in columns:
        values = table[column.name][known]
        scored[column.name] = _score(_bins(column, values), y, halves)
        if column.kind == "number" and y.dtype.kind == "f":
            line = _line(numbers(column.as_dict(), values), y)
            scored[column.name] = max(scored[column.name], line)
    return scored


def adds_up(
    table: Table, columns: Sequence[Column], target: np.ndarray
) -> tuple[tuple[str, ...], float] | None:
    """Number columns of which a weighted sum is nearly the target (float), and how nearly.

    No more of them than it takes, the weightiest first. None where no such sum is: it explains less
    than 97% of the variance.
    """
    names = [column.name for column in columns if column.used and column.kind == "number"]
    specs = [{**column.as_dict()} for column in columns if column.name in names]
    x = np.array([numbers(spec, table[spec["name"]]) for spec in specs], np.float64).T
    whole = np.isfinite(target) & (np.isfinite(x).all(1) if names else False)
    if len(names) < 2 or whole.sum() < max(LEAST, 4 * len(names)):
        return None
    x, y = x[whole], target[whole]
    spread, centred = x.std(0), y - y.mean()
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    weights, whole_share = _fitted(x, centred)
    order = np.argsort(-np.abs(weights), kind="stable")
    shares = (_fitted(x[:, order[:count]], centred)[1] for count in range(1, len(names) + 1))
    count, share = next((n, s) for n, s in enumerate(shares, 1) if s >= whole_share - SPARED)
    used = tuple(names[place] for place in order[:count])
    return (used, share) if share >= TOGETHER and count > 1 else None


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of least squares, and the share of the variance that they explain."""
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    left = np.square(y - x @ weights).sum() / np.square(y).sum()
    return np.asarray(weights), 1.0 - float(left)


def say_the_same(table: Table, columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Columns whose values go together one to one in every row, in groups: 'class' is 'pclass'.

    Where most values differ from row to row, that says nothing.
    """
    groups: dict[bytes, list[str]] = {}
    for column in columns:
        if not column.used or column.kind == "text" or len(table[column.name]) < LEAST:
            continue
        values = table[column.name][some_rows(np.arange(len(table[column.name])))]
        if values.dtype.kind not in "iufM":
            values = np.array([as_text(value) for value in values])
        different, first, place = np.unique(values, return_index=True, return_inverse=True)
        if 2 * len(different) <= len(values):
            groups.setdefault(first[place].astype(np.int64).tobytes(), []).append(column.name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def some_rows(rows: np.ndarray) -> np.ndarray:
    """All row numbers, or as many as tell: a draw that is the same for every column."""
    if len(rows) <= ENOUGH:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, ENOUGH, replace=False))


def _labels(target: np.ndarray) -> np.ndarray:
    """Floats stay; anything else becomes the number of its class."""
    if target.dtype.kind == "f":
        return target.astype(np.float64)
    texts = np.array([as_text(value) for value in target])
    return np.asarray(np.unique(texts, return_inverse=True)[1])


def _bins(column: Column, values: np.ndarray) -> np.ndarray:
    """The number of each value's bin. Missing values have one of their own."""
    spec = column.as_dict()
    if column.kind == "number":
        x = numbers(spec, values)
    elif column.kind == "date":
        moments = dates(spec, values)
        x = np.where(np.isnat(moments), np.nan, moments.astype(np.float64))
    else:
        texts = np.array([as_text(value) for value in values])
        return np.asarray(np.unique(texts, return_inverse=True)[1])
    known = x[~np.isnan(x)]
    most = max(min(BINS, len(known) // 10), 2)
    edges = np.unique(known)
    if len(edges) > most:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, most + 1)[1:-1]))
    return np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x))


def _score(bins: np.ndarray, y: np.ndarray, halves: np.ndarray) -> float:
    """By which share the error on one half falls, when the other half's bins predict it; the mean
    of both ways.
    """
    judge = _variance_left if y.dtype.kind == "f" else _errors_left
    left = [judge(bins[a], y[a], bins[~a], y[~a]) for a in (halves, ~halves)]
    return 1.0 - sum(left) / 2


def _line(x: np.ndarray, y: np.ndarray) -> float:
    """The share of the variance that a straight line takes away; 0 where values are missing."""
    if np.isnan(x).any() or not x.std() or not y.std():
        return 0.0
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def _errors_left(bins: np.ndarray, y: np.ndarray, other: np.ndarray, truth: np.ndarray) -> float:
    counts = np.zeros((max(bins.max(), other.max()) + 1, max(y.max(), truth.max()) + 1))
    np.add.at(counts, (bins, y), 1.0)
    usual = int(np.bincount(y).argmax())
    counts[:, usual] += 0.5  # where nothing is known, or nothing tells
    wrong, blind = float(np.mean(counts.argmax(1)[other] != truth)), float(np.mean(truth != usual))
    return wrong / blind if blind else 1.0


def _variance_left(bins: np.ndarray, y: np.ndarray, other: np.ndarray, truth: np.ndarray) -> float:
    size = max(bins.max(), other.max()) + 1
    count = np.bincount(bins, minlength=size)
    total = np.bincount(bins, y, size)
    means = np.where(count > 0, total / np.maximum(count, 1), y.mean())
    blind = float(np.square(truth - y.mean()).sum())
    return float(np.square(truth - means[other]).sum()) / blind if blind else 1.0


def _one_to_one(mine: np.ndarray, target: np.ndarray) -> bool:
    pairs = set(zip(mine.tolist(), target.tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) and len({b for _, b in pairs}) < 100
