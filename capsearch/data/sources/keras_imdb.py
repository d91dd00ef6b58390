"""`keras_imdb`: Keras' own IMDB data with its official test split. Needs the internet once.

Keras keeps reviews as lists of word numbers. They become texts of words 'w12', so that splitting,
vocabulary and fingerprints are those of every other text source. Keras is loaded in a child process
and nowhere else: whoever asks for data must not pay for TensorFlow.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.options import DataOptions, Share
from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from capsearch.records import digest_of

SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"  # checked by Keras
LABELS = np.array(["negative", "positive"], object)
TIMEOUT = 30.0  # seconds of silence after which the network counts as absent
EVERY_WORD = 10**9  # more words than there are
Reviews = tuple[list[str], list[float]]


class KerasOptions(DataOptions):
    """`validation` is a share of the official training split; the test split is official."""

    validation: Share = 0.4


class KerasImdb:
    """25,000 reviews to train and validate on, and the official 25,000 to test on."""

    Options = KerasOptions

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Has no options of its own."""

    def identity(self) -> str:
        return digest_of(["keras_imdb", SHA256])

    def read(self) -> RawData:
        official, test = download()
        texts = np.array([*official[0], *test[0]], object)
        labels = np.array([*official[1], *test[1]], int)
        split = np.repeat(np.array(["train", "test"], object), [len(official[0]), len(test[0])])
        return RawData({"text": texts}, LABELS[labels], split=split)


def download() -> tuple[Reviews, Reviews]:
    """Training and test reviews, from Keras' cache or the internet. Raises BadRequest offline."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as child:
        try:
            return child.submit(_load, TIMEOUT).result()
        except Exception as error:  # whatever Keras raises without a network
            cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
            home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
            place = home / "datasets" / "imdb.npz"
            raise BadRequest(
                f"data.source: keras_imdb could not be downloaded ({cause}). It needs the internet "
                f"once; or put the file with SHA-256 {SHA256} at {place}; or use the source "
                "'imdb', which needs no network"
            ) from error


def as_texts(sequences: Sequence[Sequence[int]]) -> list[str]:
    """Word numbers as texts: [12, 7] becomes 'w12 w7'."""
    return [" ".join(f"w{number}" for number in review) for review in sequences]


def _load(timeout: float) -> tuple[Reviews, Reviews]:
    """In the child. Keras checks the file's hash, and reads it without unpickling objects."""
    os.dup2(2, 1)  # Keras prints, and standard output is the result's
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    socket.setdefaulttimeout(timeout)  # Keras sets none, and would wait for ever
    import keras  # here alone: it takes seconds and half a gigabyte

    # No marks for the start and for rare words: word numbers alone, 1 being the most frequent.
    # Unless told a number of words, Keras takes the rarest one for unknown and renames it 2.
    plain = keras.datasets.imdb.load_data(num_words=EVERY_WORD, start_char=None, index_from=0)
    (x_train, y_train), (x_test, y_test) = plain
    return (as_texts(x_train), y_train.tolist()), (as_texts(x_test), y_test.tolist())
