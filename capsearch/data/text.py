"""Texts as multi-hot rows over a vocabulary that the training rows alone decide.

Heavy to import (scikit-learn): imported where texts are really prepared.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from capsearch.errors import BadRequest

LINE_BREAK = "<br />"  # what the reviews' web page left behind; not a word


def vocabulary_of(texts: Sequence[str], size: int) -> list[str]:
    """The most frequent words, ties in alphabetical order: the same list on every machine.

    Raises BadRequest when there is no word at all.
    """
    counter = CountVectorizer(preprocessor=_clean)
    try:
        counts = np.asarray(counter.fit_transform(texts).sum(axis=0)).ravel()
    except ValueError:
        raise BadRequest(
            f"data: the {len(texts):,} training texts have no word of two letters or more"
        ) from None
    words = counter.get_feature_names_out()  # sorted
    order = np.argsort(-counts, kind="stable")[:size]
    return [str(words[i]) for i in order]


def multi_hot(texts: Sequence[str], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    """1.0 where a text has the word, float32 CSR, shape (texts, words)."""
    hot = CountVectorizer(
        preprocessor=_clean, vocabulary=list(vocabulary), binary=True, dtype=np.float32
    )
    return sparse.csr_matrix(hot.transform(texts))


def _clean(text: str) -> str:
    return text.replace(LINE_BREAK, " ").lower()
