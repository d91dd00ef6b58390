"""Rows into training, validation and test rows: seeded, stratified, equal texts together.

Pure functions of texts and labels. No row stands in two splits, and no text does either, or a
network could answer from memory what it should answer from understanding.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

Texts = Sequence[str]


def split_rows(
    texts: Texts, labels: np.ndarray, shares: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Row numbers of each split, sorted. `shares` names all splits but 'train', which has the rest.

    Every class is divided by the same shares, as exactly as groups of equal texts allow.
    """
    rng = np.random.default_rng([seed, 2])
    groups = _groups(texts)
    classes = labels[[rows[0] for rows in groups]]
    parts: dict[str, list[int]] = {name: [] for name in ("train", *shares)}
    for label in np.unique(classes):
        members = [groups[g] for g in rng.permutation(np.flatnonzero(classes == label))]
        total = sum(len(rows) for rows in members)
        wanted = [(name, round(share * total)) for name, share in shares.items()]
        for name, rows in _deal(members, wanted):
            parts[name] += rows
    return {name: np.array(sorted(rows), np.int64) for name, rows in parts.items()}


def fingerprint(texts: Texts, labels: np.ndarray) -> str:
    """SHA-256 over a split's raw rows, whatever their order."""
    rows = sorted(
        hashlib.sha256(f"{label:g}\0{text}".encode()).digest()
        for text, label in zip(texts, labels.tolist(), strict=True)
    )
    return hashlib.sha256(b"".join(rows)).hexdigest()


def shared_texts(splits: Mapping[str, Texts]) -> dict[str, int]:
    """'a/b': how many rows of split b have a text that stands in split a, too."""
    names = list(splits)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    known = {name: set(splits[name]) for name in names}
    return {f"{a}/{b}": sum(text in known[a] for text in splits[b]) for a, b in pairs}


def _groups(texts: Texts) -> list[list[int]]:
    """Row numbers of equal texts, in the order of their first appearance."""
    rows: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        rows.setdefault(text, []).append(number)
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
