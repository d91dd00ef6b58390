"""`keras`: the data sets that Keras downloads, by `name`. Needs the internet once.

Test rows are those of the official test split. Pictures are rows of numbers, one a pixel; lists of
word numbers become texts of words 'w12', which are split and prepared as all texts are.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from capsearch.data.options import DataOptions, check
from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from capsearch.records import digest_of

TIMEOUT = 30.0  # seconds of silence after which the network counts as absent
EVERY_WORD = 10**9  # more words than there are
TEXTS = ("imdb", "reuters")
Split = tuple[Any, Any]  # rows and labels


class KerasOptions(DataOptions):
    """`validation` is a share of the official training split."""

    name: Literal[
        "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"
    ]


class Keras:
    """One of Keras' data sets, with its official test split."""

    Options = KerasOptions

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._name = check(KerasOptions, options).name

    def identity(self) -> str:
        """Keras names and checks its files by its version."""
        return digest_of(["keras", self._name, version("keras")])

    def read(self) -> RawData:
        (x, y), (x_test, y_test) = download(self._name)
        labels = np.concatenate([np.ravel(y), np.ravel(y_test)])
        split = np.repeat(np.array(["train", "test"], object), [len(x), len(x_test)])
        if self._name in TEXTS:
            texts = np.array([*as_texts(x), *as_texts(x_test)], object)
            return RawData({"text": texts}, labels, split=split)
        rows = np.concatenate([x, x_test])
        return RawData({"x": rows.reshape(len(rows), -1)}, labels, split=split)


def as_texts(sequences: Sequence[Sequence[int]]) -> list[str]:
    """Word numbers as texts: [12, 7] becomes 'w12 w7'."""
    return [" ".join(f"w{number}" for number in each) for each in sequences]


def download(name: str) -> tuple[Split, Split]:
    """Training and test rows, from Keras' cache or the internet. Raises BadRequest offline."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as child:
        try:
            return child.submit(load, name, TIMEOUT).result()
        except Exception as error:  # whatever Keras raises without a network
            cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
            home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
            raise BadRequest(
                f"data.name: {name} could not be downloaded ({cause}). It needs the internet once; "
                f"Keras keeps it in {home}"
            ) from error


def load(name: str, timeout: float) -> tuple[Split, Split]:
    """In a process of its own, for whoever asks for data must not pay for TensorFlow."""
    os.dup2(2, 1)  # Keras prints, and standard output is the result's
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    socket.setdefaulttimeout(timeout)  # Keras sets none, and would wait for ever
    import keras  # here alone: it takes seconds and half a gigabyte

    # No marks for the start and for rare words: word numbers alone, 1 being the most frequent.
    # Unless told a number of words, Keras takes the rarest one for unknown and renames it 2.
    words = {"num_words": EVERY_WORD, "start_char": None, "index_from": 0}
    found: tuple[Split, Split] = getattr(keras.datasets, name).load_data(
        **(words if name in TEXTS else {})
    )
    return found
