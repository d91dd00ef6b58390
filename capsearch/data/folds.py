"""Whether rows are cross-validated, and which fold each of them is in. Pure.

Equal rows, and rows of one group, are always in one fold; every class is spread over all folds.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from capsearch.data.options import AUTO, DataOptions
from capsearch.data.split import Keys, equal_rows
from capsearch.errors import BadRequest
from capsearch.records import Folds
from capsearch.records.data import FEWEST


def asked_for(options: DataOptions, held_out: int, *, given: bool, in_time: bool) -> Folds | None:
    """The folds of a study; None where some rows are held out for validation.

    Args:
        options: what was said.
        held_out: how many rows a hold-out would have.
        given: the material says which rows are for validation.
        in_time: rows are split by time.

    Raises:
        BadRequest: folds were asked for where there can be none.
    """
    asked = options.validation
    if isinstance(asked, Folds):
        if given or in_time:
            why = "says which rows are for validation" if given else "is in the order of time"
            raise BadRequest(
                f"data.validation: the material {why}, so it cannot be cut into folds. Leave it "
                "out, or write a share such as 0.2"
            )
        return replace(asked, seed=options.seed)
    few = asked == AUTO and held_out < FEWEST and not given and not in_time
    return Folds(seed=options.seed) if few else None


def deal(keys: Keys, classes: np.ndarray, asked: Folds) -> np.ndarray:
    """The fold of every row in every repeat: int16, shape (repeats, rows).

    Of each class, rows with equal keys go together to the fold that has the fewest rows of the
    class, then the fewest of all; by hand, two folds, class a in groups of 2, 1 and 1: 2 | 1 1.
    """
    groups = equal_rows(keys)
    kinds = classes[[rows[0] for rows in groups]]
    dealt = np.empty((asked.repeats, len(classes)), np.int16)
    for repeat in range(asked.repeats):
        rng = np.random.default_rng([asked.seed, 6, repeat])
        total = np.zeros(asked.folds, np.int64)
        for kind in np.unique(kinds):
            mine = np.zeros(asked.folds, np.int64)
            for group in rng.permutation(np.flatnonzero(kinds == kind)):
                fold = int(np.lexsort((total, mine))[0])
                dealt[repeat, groups[group]] = fold
                mine[fold] += len(groups[group])
                total[fold] += len(groups[group])
    return dealt


def pairs(dealt: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the training and of the validation rows of each fold, repeat by repeat."""
    for fold_of in dealt:
        for fold in range(int(dealt.max()) + 1):
            yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
