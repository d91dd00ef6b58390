"""Prepared data is written once, in one step, and never believed when it is damaged."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from capsearch.data import cache
from capsearch.data.source import SearchData
from capsearch.errors import BadRequest, CapsearchError
from tests.fakes import ToySource, toy_data


class Counting(ToySource):
    """Counts how often its rows are made."""

    made = 0
    dense = False

    def search_data(self) -> SearchData:
        self.made += 1
        return toy_data(dense=self.dense)


@pytest.mark.parametrize("dense", [False, True])
def test_rows_come_back_as_they_were_and_are_made_once(tmp_path: Path, dense: bool) -> None:
    source = Counting()
    source.dense = dense
    first = cache.prepare(source, "toy", tmp_path)
    second = cache.prepare(source, "toy", tmp_path)
    assert first == second
    assert (source.made, source.opened) == (1, 0)
    loaded, expected = cache.load(first.folder), toy_data(dense=dense)
    for ours, theirs in ((loaded.train, expected.train), (loaded.validation, expected.validation)):
        assert type(ours.x) is type(theirs.x)
        assert np.array_equal(np.asarray(ours.x.sum(axis=0)), np.asarray(theirs.x.sum(axis=0)))
        assert np.array_equal(ours.y, theirs.y)


def test_no_test_row_is_ever_written(tmp_path: Path) -> None:
    folder = cache.prepare(ToySource(), "toy", tmp_path).folder
    assert not [path for path in folder.iterdir() if "test" in path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train-y.npy").write_bytes(b"garbage"),
        lambda folder: (folder / "validation-data.npy").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").write_text('{"files": {}, "profile": {}}'),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        shutil.rmtree,
    ],
)
def test_a_damaged_folder_is_made_anew(tmp_path: Path, damage: object) -> None:
    source = Counting()
    prepared = cache.prepare(source, "toy", tmp_path)
    damage(prepared.folder)  # type: ignore[operator]
    with pytest.raises(CapsearchError, match="damaged"):
        cache.load(prepared.folder)
    assert cache.prepare(source, "toy", tmp_path) == prepared
    assert source.made == 2
    cache.load(prepared.folder)


def test_two_that_prepare_at_once_both_succeed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(cache.prepare, ToySource(), "toy", tmp_path) for _ in range(8)]
        folders = {each.result().folder for each in made}
    assert len(folders) == 1
    assert [p.name for p in tmp_path.iterdir()] == [folders.pop().name]


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match=r"file.*--cache or CAPSEARCH_CACHE"):
        cache.prepare(ToySource(), "toy", tmp_path / "file")


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPSEARCH_CACHE", str(tmp_path / "mine"))
    assert cache.default_root() == tmp_path / "mine"
    monkeypatch.delenv("CAPSEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_root() == tmp_path / "capsearch"
