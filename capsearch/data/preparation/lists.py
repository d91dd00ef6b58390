"""Lists that become columns: the categories of a column, and the words of its texts."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from capsearch.data.preparation.transform import as_text, words_of


@dataclass(frozen=True)
class Categories:
    """Those with a column of their own, in the order of their names, and what else there is."""

    values: tuple[str, ...]
    rare: bool
    missing: bool


def categories(column: np.ndarray, null: Collection[str], least: int, most: int) -> Categories:
    """The at most `most` commonest values that stand in at least `least` rows.

    A column of which no value is so common keeps its commonest one.
    """
    counts = Counter(as_text(value) for value in column)
    missing = sum(counts.pop(text, 0) for text in {"", *null}) > 0
    order = sorted(counts, key=lambda text: (-counts[text], text))
    kept = [text for text in order[:most] if counts[text] >= least] or order[:1]
    return Categories(tuple(sorted(kept)), len(kept) < len(counts), missing)


def vocabulary(column: np.ndarray, null: Collection[str], most: int, least: int = 1) -> list[str]:
    """The at most `most` commonest words, ties in alphabetical order, in at least `least` rows.

    A word that is said twice in a text counts twice, as in scikit-learn's CountVectorizer.
    """
    said, rows = Counter[str](), Counter[str]()
    for words in _words(column, null):
        said.update(words)
        if least > 1:
            rows.update(set(words))
    known = sorted(said) if least <= 1 else sorted(word for word in said if rows[word] >= least)
    return sorted(known, key=lambda word: -said[word])[:most]


def idf(column: np.ndarray, null: Collection[str], words: Sequence[str]) -> np.ndarray:
    """ln((1 + rows) / (1 + rows with the word)) + 1 of each word, as scikit-learn has it."""
    rows = Counter[str]()
    for found in _words(column, null):
        rows.update(set(found))
    return np.array([log((1 + len(column)) / (1 + rows[word])) + 1.0 for word in words])


def _words(column: np.ndarray, null: Collection[str]) -> Iterable[list[str]]:
    texts = (as_text(value) for value in column)
    return (words_of(text) for text in texts if text not in null)
