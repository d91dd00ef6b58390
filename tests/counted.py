"""Texts as scikit-learn counts them: what capsearch's own reading of texts must agree with."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer


def vocabulary_of(texts: Sequence[str], size: int) -> list[str]:
    """The most frequent words, ties in alphabetical order."""
    counter = CountVectorizer(preprocessor=_clean)
    counts = np.asarray(counter.fit_transform(texts).sum(axis=0)).ravel()
    words = counter.get_feature_names_out()  # sorted
    return [str(words[i]) for i in np.argsort(-counts, kind="stable")[:size]]


def multi_hot(texts: Sequence[str], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    """1.0 where a text has the word, float32 CSR, shape (texts, words)."""
    hot = CountVectorizer(
        preprocessor=_clean, vocabulary=list(vocabulary), binary=True, dtype=np.float32
    )
    return sparse.csr_matrix(hot.transform(texts))


def _clean(text: str) -> str:
    return text.replace("<br />", " ").lower()
