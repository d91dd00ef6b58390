"""`-o table.key=value`: as if written in the study file; files are those of the shell."""

from pathlib import Path
from typing import Any

import pytest

from capsearch import spec
from capsearch.errors import BadRequest
from capsearch.spec import overrides

FILE: dict[str, Any] = {
    "data": {"source": "csv", "path": "a.csv"},
    "baseline": [{"name": "one", "units": [4]}],
}


def said(*given: str) -> dict[str, Any]:
    table: dict[str, Any] = {"data": dict(FILE["data"]), "baseline": [dict(FILE["baseline"][0])]}
    overrides.apply(table, given)
    return table


@pytest.mark.parametrize(
    ("given", "place", "value"),
    [
        ("search.trials=12", ("search", "trials"), 12),
        ("search.grow=false", ("search", "grow"), False),
        ("data.target=good", ("data", "target"), "good"),
        ("data.target='a b'", ("data", "target"), "a b"),
        ("data.target=a = 3\nb", ("data", "target"), "a = 3\nb"),
        ("data.drop=['x', 'y']", ("data", "drop"), ["x", "y"]),
        ("data.target=a=b", ("data", "target"), "a=b"),
        ("space.units={ low = 1, high = 8 }", ("space", "units"), {"low": 1, "high": 8}),
        ("space.units.low=2", ("space", "units", "low"), 2),
        ("data.null.age=?", ("data", "null", "age"), "?"),
    ],
)
def test_a_value_is_read_as_toml_or_as_text(given: str, place: tuple[str, ...], value: Any) -> None:
    found: Any = said(given)
    for key in place:
        found = found[key]
    assert found == value


def test_the_last_word_counts_and_baselines_are_numbered() -> None:
    assert said("search.trials=1", "search.trials=2")["search"] == {"trials": 2}
    assert said("baseline.0.units=[8, 8]")["baseline"][0] == {"name": "one", "units": [8, 8]}


def test_files_are_those_of_the_folder_the_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = said("data.path=b.csv", "data.test_path=['c.csv', '/d.csv']")["data"]
    assert data["path"] == str(tmp_path / "b.csv")
    assert data["test_path"] == [str(tmp_path / "c.csv"), "/d.csv"]


def test_every_mistake_is_named() -> None:
    with pytest.raises(BadRequest) as caught:
        said("trials=3", "search.trials", "baseline.7.units=3", "data.path.x=1", "baseline.x=3")
    assert len(caught.value.mistakes) == 5


def test_an_override_is_checked_like_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(spec.shipped()["imdb"].read_text())
    with pytest.raises(BadRequest, match=r"search\.trials: must be a valid integer"):
        spec.read(tmp_path / "mine.toml", lambda _: [], ["search.trials=many"])
    asked = spec.read(tmp_path / "mine.toml", lambda _: [], ["search.trials=12", "search.rungs=3"])
    assert (asked.search.trials, asked.search.rungs) == (12, 3)
    written = (tmp_path / "mine.toml").read_text()
    (tmp_path / "mine.toml").write_text(
        written.replace("trials = 96", "trials = 12").replace("rungs = 8", "rungs = 3")
    )
    assert spec.read(tmp_path / "mine.toml", lambda _: []).identity == asked.identity


def test_a_command_for_another_folder_names_files_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = [overrides.placed(each) for each in ("data.path=b c.csv", "search.trials=12")]
    monkeypatch.chdir("/")
    assert said(*elsewhere)["data"]["path"] == str(tmp_path / "b c.csv")
    assert elsewhere[1] == "search.trials=12"
