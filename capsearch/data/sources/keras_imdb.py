"""`keras_imdb`: Keras' own IMDB data with its official test split. Needs the internet once.

The same as `keras` with `name = "imdb"`, named by the file's hash as its studies always were.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from capsearch.data.options import DataOptions, Validation
from capsearch.data.source import RawData
from capsearch.data.sources import keras
from capsearch.errors import BadRequest
from capsearch.records import digest_of

SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"  # checked by Keras
LABELS = np.array(["negative", "positive"], object)
Reviews = tuple[list[str], list[float]]


class KerasImdbOptions(DataOptions):
    """`validation` is a share of the official training split; the test split is official."""

    validation: Validation = 0.4


class KerasImdb:
    """25,000 reviews to train and validate on, and the official 25,000 to test on."""

    Options = KerasImdbOptions

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
    """Training and test reviews. Raises BadRequest offline, with what to do."""
    try:
        (x, y), (x_test, y_test) = keras.download("imdb")
    except BadRequest as error:
        said = str(error).replace("data.name: imdb", "data.source: keras_imdb")
        raise BadRequest(
            f"{said}. Or put the file with SHA-256 {SHA256} there as imdb.npz; or use the source "
            "'imdb', which needs no network"
        ) from error
    return (keras.as_texts(x), list(y)), (keras.as_texts(x_test), list(y_test))
