"""Prepared data is written once, in one step, and never believed when it is damaged."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.data import cache, fitting
from capsearch.data.options import check
from capsearch.data.source import RawData, Rows
from capsearch.data.sources.csv import Csv
from capsearch.data.table_options import TableOptions
from capsearch.errors import BadRequest, CapsearchError
from tests.fakes import ApartSource, ToySource, dense_of, toy_data


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A preparation that was fitted anew appends to this."""
    told, fit = list[str](), fitting.fit

    def counting(*arguments: Any) -> Any:
        told.append("made")
        return fit(*arguments)

    monkeypatch.setattr(cache, "fit", counting)
    return told


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("dense", [False, True])
def test_rows_come_back_as_they_were_and_are_made_once(
    tmp_path: Path, made: list[str], dense: bool
) -> None:
    source = ApartSource()
    source.dense = dense
    first = cache.prepare(source, "toy", tmp_path)
    second = cache.prepare(source, "toy", tmp_path)
    assert first == second
    assert (len(made), source.reads, source.opened) == (1, 2, 0)
    loaded, expected = cache.load(first.folder), toy_data(dense=dense)
    fitted = cache.preparation(first.folder)
    for ours, theirs in ((loaded.train, expected.train), (loaded.validation, expected.validation)):
        assert type(ours.x) is type(theirs.x)
        assert np.array_equal(
            dense_of(ours), dense_of(Rows(fitted.matrix({"x": theirs.x}), ours.y))
        )
        assert np.array_equal(ours.y, theirs.y)


def test_other_rows_of_the_same_identity_never_meet_the_old_ones(tmp_path: Path) -> None:
    class Scaled(ToySource):
        factor = 1.0

        def read(self) -> RawData:
            raw = super().read()
            return replace(raw, columns={"x": raw.columns["x"] * self.factor})

    first, second = Scaled(), Scaled()
    second.factor = 2.0
    assert first.identity() == second.identity()
    ours, theirs = (cache.prepare(each, "toy", tmp_path) for each in (first, second))
    assert ours.key != theirs.key
    assert set(ours.profile.fingerprints.values()).isdisjoint(theirs.profile.fingerprints.values())
    assert cache.load(theirs.folder).train.x.max() == 2.0


def test_no_test_row_is_ever_written(tmp_path: Path) -> None:
    folder = cache.prepare(ToySource(), "toy", tmp_path).folder
    assert not [path for path in folder.iterdir() if "test" in path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train-y.npy").write_bytes(b"garbage"),
        lambda folder: (folder / "validation-data.npy").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "train-y.npy").write_bytes(
            (folder / "train-y.npy").read_bytes()[:-1]
        ),
        lambda folder: rewrite(folder / "profile.json", lambda p: p.update(features=7)),
        lambda folder: rewrite(folder / "manifest.json", lambda m: m.update(files={})),
        lambda folder: rewrite(folder / "manifest.json", lambda m: m.update(folder="other")),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        shutil.rmtree,
    ],
)
def test_a_damaged_folder_is_made_anew(tmp_path: Path, made: list[str], damage: object) -> None:
    source = ToySource()
    prepared = cache.prepare(source, "toy", tmp_path)
    damage(prepared.folder)  # type: ignore[operator]
    with pytest.raises(CapsearchError, match="damaged"):
        cache.load(prepared.folder)
    assert cache.prepare(source, "toy", tmp_path) == prepared
    assert len(made) == 2
    cache.load(prepared.folder)


def test_a_copy_of_other_data_is_not_believed(tmp_path: Path, made: list[str]) -> None:
    first = cache.prepare(ToySource(), "toy", tmp_path).folder
    source = ToySource()
    source.dense = True
    second = cache.prepare(source, "toy", tmp_path).folder
    shutil.rmtree(second)
    shutil.copytree(first, second)
    with pytest.raises(CapsearchError, match="damaged"):
        cache.load(second)
    assert cache.prepare(source, "toy", tmp_path).folder == second
    assert len(made) == 3


def test_what_another_process_has_just_finished_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, other = fitting.fit, list[int]()

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(cache, "fit", fit)
        other.append(cache.prepare(ToySource(), "toy", tmp_path).folder.stat().st_ino)
        return fit(*arguments)

    monkeypatch.setattr(cache, "fit", overtaken)
    assert [cache.prepare(ToySource(), "toy", tmp_path).folder.stat().st_ino] == other
    assert len(list(tmp_path.iterdir())) == 1


def prepare_often(root: Path) -> int:
    """In a process of its own. Half of the folders are damaged beforehand."""
    return sum(len(cache.load(at(root / str(i))).train) for i in range(20))


def at(root: Path) -> Path:
    return cache.prepare(ToySource(), "toy", root).folder


@pytest.mark.integration
def test_processes_that_prepare_and_repair_at_once_all_succeed(tmp_path: Path) -> None:
    for i in range(10):
        (at(tmp_path / str(i)) / "train-y.npy").write_bytes(b"garbage")
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        rows = [each.result() for each in [pool.submit(prepare_often, tmp_path) for _ in range(3)]]
    assert rows == [20 * len(toy_data().train)] * 3


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


def test_a_sources_own_failure_is_not_blamed_on_the_cache(tmp_path: Path) -> None:
    class Lost(ToySource):
        def read(self) -> RawData:
            raise FileNotFoundError(2, "No such file", "theirs.csv")

    with pytest.raises(BadRequest, match=r"'toy' .*FileNotFoundError: .*theirs\.csv") as caught:
        cache.prepare(Lost(), "toy", tmp_path)
    assert "--cache" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_rows_are_prepared_without_pandas_scikit_learn_or_keras_in_the_driver(
    tmp_path: Path,
) -> None:
    code = """
import sys
from pathlib import Path
from capsearch import reader
from capsearch.data.source import SourceRef
reader.prepare(SourceRef({"source": "rotten_tomatoes", "vocabulary": 50}), Path(sys.argv[1]))
print(sorted({"pandas", "sklearn", "keras", "tensorflow"} & set(sys.modules)))
"""
    run = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip() == "[]"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPSEARCH_CACHE", str(tmp_path / "mine"))
    assert cache.default_root() == tmp_path / "mine"
    monkeypatch.delenv("CAPSEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_root() == tmp_path / "capsearch"


def test_columns_that_give_the_target_away_are_told_with_the_rows(tmp_path: Path) -> None:
    rows = [f"{n % 7},{('no', 'yes')[n % 2]},{n % 2}" for n in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["size,alive,y", *rows]))
    table = {"path": str(tmp_path / "t.csv"), "target": "y"}
    source = Csv(table)
    profile = cache.prepare(source, "csv", tmp_path, check(TableOptions, table)).profile
    assert list(profile.leaks or ()) == ["alive"]


def test_rows_without_named_columns_have_none_that_could(tmp_path: Path) -> None:
    assert cache.prepare(ToySource(), "toy", tmp_path).profile.leaks is None
