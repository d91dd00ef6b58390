"""Rows into training, validation and test rows: seeded, stratified, equal rows together.

Pure functions. No row stands in two splits, and no equal row does either, or a network could answer
from memory what it should answer from understanding. scikit-learn's splitters know no equal rows,
and what they draw may change with its version: a study must find its rows again.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

Keys = Sequence[Hashable]  # of rows; those of one key stay together
SPLITS = ("train", "validation", "test")


def split_rows(
    keys: Keys, classes: np.ndarray, shares: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Row numbers of each split, sorted. `shares` names all splits but 'train', which has the rest.

    Every class is divided by the same shares, as exactly as rows of equal keys allow.
    """
    rng = np.random.default_rng([seed, 2])
    groups = equal_rows(keys)
    kinds = classes[[rows[0] for rows in groups]]
    parts: dict[str, list[int]] = {name: [] for name in ("train", *shares)}
    for kind in np.unique(kinds):
        members = [groups[g] for g in rng.permutation(np.flatnonzero(kinds == kind))]
        total = sum(len(rows) for rows in members)
        wanted = [(name, round(share * total)) for name, share in shares.items()]
        for name, rows in _deal(members, wanted):
            parts[name] += rows
    return {name: np.array(sorted(rows), np.int64) for name, rows in parts.items()}


def split_by_time(time: np.ndarray, shares: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The last rows are for testing, those before them for validation; equal times stay together.

    `shares` are of 'validation' and 'test', or of one of them. A split begins at the moment with
    the nearest number of rows before it, at the later one of two that are equally near. By hand,
    times 1 2 2 3 and a validation share of 0.5: 2 rows are wanted before it, time 2 has 1 and time
    3 has 3, so the row of time 3 is for validation.
    """
    moments, place, counts = np.unique(time, return_inverse=True, return_counts=True)
    before = np.concatenate(([0], np.cumsum(counts)))  # rows before each moment; then all
    split, end = np.zeros(len(moments), np.int8), len(moments)
    for name in ("test", "validation"):
        if name in shares:
            far = np.abs(before[: end + 1] - (before[end] - round(shares[name] * len(time))))
            begin = int(end - np.argmin(far[::-1]))
            split[begin:end] = SPLITS.index(name)
            end = begin
    chosen = split[place.reshape(-1)]
    return {n: np.flatnonzero(chosen == SPLITS.index(n)) for n in SPLITS if n in ("train", *shares)}


def split_given(split: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of each split that is named in `split`, shape (rows,)."""
    return {name: np.flatnonzero(split == name) for name in SPLITS if (split == name).any()}


def shared_keys(splits: Mapping[str, Keys]) -> dict[str, int]:
    """'a/b': how many rows of split b are equal to one of split a."""
    names = list(splits)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    known = {name: set(splits[name]) for name in names}
    return {f"{a}/{b}": sum(key in known[a] for key in splits[b]) for a, b in pairs}


def equal_rows(keys: Keys) -> list[list[int]]:
    """Row numbers of equal keys, in the order of their first appearance."""
    rows: dict[Hashable, list[int]] = {}
    for number, key in enumerate(keys):
        rows.setdefault(key, []).append(number)
    return list(rows.values())


def _deal(
    members: Sequence[list[int]], wanted: Sequence[tuple[str, int]]
) -> list[tuple[str, list[int]]]:
    """Hand each group to the first split with room for all of it; the rest is for training.

    A group too large for what is left of a split passes it by, and smaller ones fill it up.
    """
    dealt, have = [], Counter[str]()
    for rows in members:
        room = (name for name, rows_wanted in wanted if have[name] + len(rows) <= rows_wanted)
        name = next(room, "train")
        have[name] += len(rows)
        dealt.append((name, rows))
    return dealt
