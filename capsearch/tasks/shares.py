"""Figures of classes and labels: how many are right, and how well scores order them.

All take `p` (rows,), a score or probability of one class, and `true`, bool (rows,).
"""

from collections.abc import Sequence

import numpy as np

from capsearch.records import Interval
from capsearch.tasks.intervals import apart, auc_of, share_of, together


def hits(right: np.ndarray) -> Interval:
    """The share of rows that are right."""
    return share_of(float(right.mean()), right.size)


def balanced(classes: Sequence[np.ndarray], right: np.ndarray) -> Interval | None:
    """The mean share of right rows of the classes that there are; a mask of rows each."""
    there = [right[mask] for mask in classes if mask.any()]
    return apart([hits(rows) for rows in there]) if there else None


def macro_f1(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Interval | None:
    """The mean F1 of the classes that occur; a mask of predicted and one of true rows each.

    F1 is 2 J / (1 + J), where J is the share of true positives among all rows that are one or the
    other: so the ends of Wilson's interval of J become those of F1. By hand: 6 rows are both, 2 and
    2 are one: J = 0.6, F1 = 0.75.
    """
    found = list[Interval]()
    for said, true in pairs:
        either = int((said | true).sum())
        if either:
            j = share_of(float((said & true).sum()) / either, either)
            found.append(Interval(*(2 * v / (1 + v) for v in (j.value, j.low, j.high))))
    return together(found) if found else None


def auc(p: np.ndarray, true: np.ndarray) -> Interval | None:
    """The probability that a positive row has a higher score than a negative one, ties half.

    None where one of the two is missing. By hand, positives 0.9 and 0.4, negatives 0.4 and 0.1:
    (1 + 1 + 0.5 + 1) / 4 = 0.875.
    """
    positives = int(true.sum())
    negatives = len(true) - positives
    if not positives or not negatives:
        return None
    _, places, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    above = float(ranks[places][true].sum()) - positives * (positives + 1) / 2
    return auc_of(above / (positives * negatives), positives, negatives)


def average_precision(p: np.ndarray, true: np.ndarray) -> Interval | None:
    """The mean precision at each positive row, rows of equal score taken at once.

    Its interval is that of a share of the positive rows (Boyd, Eng and Page 2013, with Wilson's
    ends for theirs). None where there is none. By hand, scores 4, 3, 2, 1 of 1, 0, 1, 0:
    1/2 * 1 + 1/2 * 2/3 = 0.8333.
    """
    positives = int(true.sum())
    if not positives:
        return None
    order = np.argsort(-p, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    right = np.cumsum(true[order])[ends]
    precision, gained = right / (ends + 1), np.diff(right, prepend=0)
    return share_of(min(float((precision * gained).sum() / positives), 1.0), positives)


def over_classes(found: Sequence[Interval | None]) -> Interval | None:
    """The mean over the classes of which there is one."""
    there = [each for each in found if each is not None]
    return together(there) if there else None


def told(**figures: Interval | None) -> dict[str, Interval]:
    """Those that could be computed, by name."""
    return {name: figure for name, figure in figures.items() if figure is not None}
