"""Nothing of test rows, and of validation rows no statistic, comes to what a search sees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.data import cache, material
from capsearch.data.cache import Prepared
from capsearch.data.options import SplitOptions
from capsearch.data.seal import Sealed, opened_rows
from capsearch.data.source import RawData
from capsearch.errors import BadRequest
from tests.data.test_border import OPENING
from tests.fakes import Given

ROWS = 300
RNG = np.random.default_rng(0)
PART = np.repeat(np.array(["train", "validation", "test"], object), ROWS // 3)
LABEL = RNG.integers(0, 2, ROWS)
WORDS = ["one", "two", "three", "four", "five", "six"]
TABLE: dict[str, np.ndarray] = {
    "size": RNG.normal(size=ROWS),
    "noise": RNG.integers(0, 2, ROWS).astype(np.float64),
    "town": np.array(["Ulm", "Jena", "Bonn", "Ulm"], object)[RNG.integers(0, 4, ROWS)],
    "day": np.datetime64("2020-01-01") + RNG.integers(0, 99, ROWS).astype("timedelta64[D]"),
    "said": np.array([" ".join(RNG.choice(WORDS, 4)) for _ in range(ROWS)], object),
}


def given(table: dict[str, np.ndarray], **more: Any) -> Given:
    return Given(RawData(table, LABEL, split=PART, **more))


def prepared(folder: Path, table: dict[str, np.ndarray]) -> Prepared:
    return cache.prepare(given(table), "given", folder, SplitOptions())


def changed(part: str, name: str, change: Callable[[np.ndarray], Any]) -> dict[str, np.ndarray]:
    values = TABLE[name].copy()
    values[part == PART] = change(values[part == PART])
    return {**TABLE, name: values}


def seen(found: Prepared, split: str) -> tuple[np.ndarray, np.ndarray]:
    """What a search sees of the rows of a split."""
    rows = getattr(cache.load(found.folder), split)
    x: Any = rows.x
    return x if isinstance(x, np.ndarray) else x.toarray(), rows.y


OTHER: dict[str, Callable[[np.ndarray], Any]] = {
    "size": lambda x: x * 1e6 + 1e9,
    "noise": lambda x: 1 - x,
    "town": lambda x: np.array(["Atlantis"] * len(x), object),
    "day": lambda x: x + np.timedelta64(36_500, "D"),
    "said": lambda x: np.array(["a word that nobody else says"] * len(x), object),
}


@pytest.mark.parametrize("name", TABLE)
def test_nothing_of_test_rows_comes_to_what_a_search_sees(tmp_path: Path, name: str) -> None:
    plain = prepared(tmp_path / "plain", TABLE)
    other = prepared(tmp_path / "other", changed("test", name, OTHER[name]))
    for split in ("train", "validation"):
        for a, b in zip(seen(plain, split), seen(other, split), strict=True):
            assert np.array_equal(a, b)
        assert plain.profile.fingerprints[split] == other.profile.fingerprints[split]
    assert plain.profile.fingerprints["test"] != other.profile.fingerprints["test"]
    assert plain.profile.leaks == other.profile.leaks


@pytest.mark.parametrize("name", TABLE)
def test_statistics_are_those_of_training_rows_alone(tmp_path: Path, name: str) -> None:
    plain = prepared(tmp_path / "plain", TABLE)
    other = prepared(tmp_path / "other", changed("validation", name, OTHER[name]))
    assert np.array_equal(seen(plain, "train")[0], seen(other, "train")[0])
    assert not np.array_equal(seen(plain, "validation")[0], seen(other, "validation")[0])
    assert plain.profile.features == other.profile.features


def test_a_column_that_is_the_label_in_test_rows_alone_is_noise_to_a_search(
    tmp_path: Path,
) -> None:
    """What no row for training or validation shows cannot be learned: there is nothing to report.

    A whole study of such a table: tests/flow/test_rows.py.
    """
    told = changed("test", "noise", lambda _: LABEL[PART == "test"].astype(np.float64))
    plain, leaky = prepared(tmp_path / "a", TABLE), prepared(tmp_path / "b", told)
    for split in ("train", "validation"):
        for a, b in zip(seen(plain, split), seen(leaky, split), strict=True):
            assert np.array_equal(a, b)
    assert leaky.profile.leaks == {}
    everywhere = prepared(tmp_path / "c", {**TABLE, "noise": LABEL.astype(np.float64)})
    assert everywhere.profile.leaks is not None
    assert list(everywhere.profile.leaks) == ["noise"]


def test_test_rows_that_no_training_row_resembles_are_read_as_they_would_be_served(
    tmp_path: Path,
) -> None:
    unseen = changed("test", "town", OTHER["town"])
    found = prepared(tmp_path, unseen)
    sealed = Sealed.of(given(unseen), "given", SplitOptions())
    x: Any = opened_rows(sealed, cache.preparation(found.folder).matrix, OPENING).rows.x
    assert x.shape == (ROWS // 3, found.profile.features)
    wrong = changed("test", "size", lambda x: np.full(len(x), np.inf))
    sealed = Sealed.of(given(wrong), "given", SplitOptions())
    with pytest.raises(BadRequest, match="column 'size' has values"):
        opened_rows(sealed, cache.preparation(found.folder).matrix, OPENING)


def test_rows_that_stand_in_two_given_splits_are_counted(tmp_path: Path) -> None:
    first, last = np.flatnonzero(PART == "train")[:7], np.flatnonzero(PART == "test")[:7]
    twice = {name: values.copy() for name, values in TABLE.items()}
    for values in twice.values():
        values[last] = values[first]
    found = prepared(tmp_path, twice).profile
    assert found.duplicates == {"train/validation": 0, "train/test": 7, "validation/test": 0}


def test_a_group_in_two_given_splits_is_refused_by_its_name() -> None:
    group = np.array([f"g{row // 10}" for row in range(ROWS)], object)
    source = given(TABLE, group=group)
    assert material.read(source, "given", SplitOptions()).sizes["train"] == ROWS // 3
    group[[0, ROWS - 1]] = "both"
    with pytest.raises(BadRequest, match="groups stand in both train and test: 'both'"):
        material.read(given(TABLE, group=group), "given", SplitOptions())
