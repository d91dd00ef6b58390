"""Texts as multi-hot rows over a vocabulary that the training rows alone decide.

Heavy to import (pandas, scikit-learn): a source imports it when rows are really read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from capsearch.data.source import Rows, SearchData
from capsearch.data.split import fingerprint, shared_texts
from capsearch.records import DataProfile

LINE_BREAK = "<br />"  # what the reviews' web page left behind; not a word


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with a label each."""

    texts: tuple[str, ...]
    labels: np.ndarray  # float32, 0 or 1

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise ValueError(f"{len(self.texts)} texts but {len(self.labels)} labels")
        if not np.isin(self.labels, (0.0, 1.0)).all():
            raise ValueError(f"labels must be 0 or 1, not {np.unique(self.labels)}")

    def take(self, rows: np.ndarray) -> "LabelledTexts":
        return LabelledTexts(tuple(self.texts[i] for i in rows), self.labels[rows])


def read_csv(path: Path, source: str) -> LabelledTexts:
    """The rows of one source in a CSV file with the columns text, label and source."""
    table = pd.read_csv(path, encoding="utf-8")
    mine = table[table["source"] == source]
    return LabelledTexts(tuple(mine["text"]), mine["label"].to_numpy(np.float32))


def vocabulary_of(texts: Sequence[str], size: int) -> list[str]:
    """The most frequent words, ties in alphabetical order: the same list on every machine."""
    counter = CountVectorizer(preprocessor=_clean)
    counts = np.asarray(counter.fit_transform(texts).sum(axis=0)).ravel()
    words = counter.get_feature_names_out()  # sorted
    order = np.argsort(-counts, kind="stable")[:size]
    return [str(words[i]) for i in order]


def multi_hot(texts: Sequence[str], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    """1.0 where a text has the word, float32 CSR, shape (texts, words)."""
    hot = CountVectorizer(
        preprocessor=_clean, vocabulary=list(vocabulary), binary=True, dtype=np.float32
    )
    return sparse.csr_matrix(hot.transform(texts))


@dataclass(frozen=True)
class Corpus:
    """The three splits of a text source, and the at most `size` words that describe them."""

    source: str
    splits: Mapping[str, LabelledTexts]  # 'train', 'validation', 'test'
    size: int

    @cached_property
    def vocabulary(self) -> list[str]:
        """That of the training rows alone."""
        return vocabulary_of(self.splits["train"].texts, self.size)

    def rows(self, split: str) -> Rows:
        chosen = self.splits[split]
        return Rows(multi_hot(chosen.texts, self.vocabulary), chosen.labels)

    def search_data(self) -> SearchData:
        return SearchData(self.rows("train"), self.rows("validation"))

    def profile(self) -> DataProfile:
        splits = self.splits
        return DataProfile(
            source=self.source,
            features=len(self.vocabulary),
            sizes={name: len(split.labels) for name, split in splits.items()},
            balance={name: float(split.labels.mean()) for name, split in splits.items()},
            duplicates=shared_texts({name: split.texts for name, split in splits.items()}),
            fingerprints={name: fingerprint(s.texts, s.labels) for name, s in splits.items()},
        )


def _clean(text: str) -> str:
    return text.replace(LINE_BREAK, " ").lower()
