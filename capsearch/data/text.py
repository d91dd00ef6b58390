"""Texts as multi-hot rows over a vocabulary that the training rows alone decide.

Heavy to import (pandas, scikit-learn): a source imports it when rows are really read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def search_data(splits: Mapping[str, LabelledTexts], size: int) -> SearchData:
    """Training and validation rows; the vocabulary is that of the training rows."""
    words = vocabulary_of(splits["train"].texts, size)
    train, validation = (rows_of(splits[name], words) for name in ("train", "validation"))
    return SearchData(train, validation)


def rows_of(split: LabelledTexts, vocabulary: Sequence[str]) -> Rows:
    return Rows(multi_hot(split.texts, vocabulary), split.labels)


def profile_of(source: str, features: int, splits: Mapping[str, LabelledTexts]) -> DataProfile:
    return DataProfile(
        source=source,
        features=features,
        sizes={name: len(split.labels) for name, split in splits.items()},
        balance={name: float(split.labels.mean()) for name, split in splits.items()},
        duplicates=shared_texts({name: split.texts for name, split in splits.items()}),
        fingerprints={name: fingerprint(s.texts, s.labels) for name, s in splits.items()},
    )


def _clean(text: str) -> str:
    return text.replace(LINE_BREAK, " ").lower()
