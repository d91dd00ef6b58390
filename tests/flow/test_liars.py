"""A stranger's source that lies, breaks or shouts: refused in words, and nothing else is harmed."""

import json
import os
from pathlib import Path

import pytest

from tests.flow.test_stranger import STUDY
from tests.place import Ended, Place

pytestmark = [pytest.mark.integration]

SOURCE = """
import os, sys, warnings
import numpy as np
from dataclasses import replace
from pathlib import Path
from capsearch.data.source import RawData

print("printed on import")
os.write(1, b"written on import")
warnings.warn("warned on import")
HOW = Path(__file__).with_name("how")


class Liar:
    def __init__(self, options):
        self.options = dict(options)
        if "wrong" in self.options:
            raise ValueError("an option is wrong")
        print("printed when built")

    def identity(self):
        print("printed with the identity")
        return "liar"

    def read(self):
        print("printed with the rows")
        sys.stderr.write("and on stderr")
        rng = np.random.default_rng(3)
        x = rng.normal(size=(700, 10))
        y = (x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * rng.normal(size=len(x)) > 0).astype(int)
        split = np.repeat(["train", "validation", "test"], [400, 200, 100])
        raw = RawData({"x": x}, y, split=split)
        with np.errstate(all="ignore"):
            return eval(HOW.read_text())
"""
REFUSED = {
    "replace(raw, target=y[:, None])": "the shape (700, 1)",
    "replace(raw, target=np.arange(700) % 10)": 'task = "multiclass" or task = "regression"',
    "replace(raw, target=2 * y - 1)": "labels = [-1, 1]",
    "replace(raw, columns={'x': np.where(x == x[7], np.nan, x)})": "row 8 has nan",
    "{}['lost']": "KeyError: 'lost'",
    "sys.exit('enough')": "SystemExit: enough",
    "os._exit(7)": "ended its process",
    "raw.target.nothing": "AttributeError",
}


def home_of(folder: Path, how: str = "raw") -> Place:
    """A folder with a study about the liar, whose package is as pip would install it."""
    (folder / "strange.toml").write_text(STUDY.replace('"moons"', '"liar"'))
    info = folder / "site" / "liars-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "site" / "liars.py").write_text(SOURCE)
    (folder / "site" / "how").write_text(how)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: liars\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[capsearch.data]\nliar = liars:Liar\n")
    return Place(folder, folder / "cache")


def lies(place: Place, how: str) -> None:
    (place.folder / "site" / "how").write_text(how)


def run(place: Place, *arguments: str) -> Ended:
    found = filter(None, [str(place.folder / "site"), os.environ.get("PYTHONPATH")])
    return place.run(*arguments, PYTHONPATH=os.pathsep.join(found), seconds=240)


@pytest.mark.parametrize("how", REFUSED)
def test_a_lie_is_refused_before_anything_is_trained(tmp_path: Path, how: str) -> None:
    place = home_of(tmp_path, how)
    ended = run(place, "data", "strange")
    assert (ended.code, ended.out) == (2, "")
    assert REFUSED[how] in ended.err
    assert "Traceback" not in ended.raw
    assert "printed" not in ended.raw


def test_options_that_a_source_refuses_are_told_with_the_files_other_mistakes(
    tmp_path: Path,
) -> None:
    place = home_of(tmp_path)
    file = tmp_path / "strange.toml"
    file.write_text(file.read_text().replace("trials = 9", "trials = 0").replace(
        '"liar"', '"liar"\nwrong = 1'))  # fmt: skip
    ended = run(place, "data", "strange")
    assert ended.code == 2
    assert "ValueError: an option is wrong" in ended.err
    assert "search.trials" in ended.err


def opened(place: Place) -> list[tuple[str, str | None]]:
    """Choice and score of every opening."""
    rows = place.rows("studies.db", "SELECT choice, score FROM capsearch_opening")
    return [(choice, score) for choice, score in rows]


def test_a_whole_study_of_a_source_that_shouts_and_lies_at_the_end(tmp_path: Path) -> None:
    """What only a test row shows is found at the opening, and the same choice is scored later."""
    hidden = "replace(raw, columns={'x': np.where(x == x[699], np.inf, x)})"
    place = home_of(tmp_path, hidden)
    asked = ("study", "strange", "--json", "--log-format", "json")
    ended = run(place, *asked)
    assert (ended.code, ended.out) == (2, "")
    assert "row 700 has inf" in ended.err
    assert all(json.loads(line)["event"] for line in ended.raw.splitlines())
    ((choice, score),) = opened(place)
    assert score is None

    again = run(place, *asked)
    assert again.code == 2
    assert opened(place) == [(choice, None)]

    lies(place, "replace(raw, columns={'x': 2 * x})")
    changed = run(place, *asked)
    assert changed.code == 2
    assert "no longer those that strange was run on" in changed.err
    assert opened(place) == [(choice, None)]
