"""Studies come to what they came to before: trials, replicates, choice and score."""

from pathlib import Path
from typing import Any

import pytest

from capsearch.spec import shipped
from tests.golden.record import HERE, check
from tests.place import Place

pytestmark = pytest.mark.integration


def url(place: Place) -> str:
    return f"sqlite:///{place.folder / 'mlruns' / 'studies.db'}"


def test_the_small_study_comes_to_the_golden_record(done: tuple[Place, dict[str, Any]]) -> None:
    check("mine", url(done[0]))


def test_a_shipped_study_comes_to_the_golden_record(tmp_path: Path, cache: Path) -> None:
    """imdb takes longer: `python -m tests.golden imdb`."""
    place = Place(tmp_path, cache)
    ended = place.run("study", "rotten_tomatoes", seconds=500)
    assert ended.code == 0, ended.raw
    check("rotten_tomatoes", url(place))


def test_every_shipped_study_that_needs_no_download_and_no_file_has_a_golden_record() -> None:
    apart = {"keras_imdb", "table"}
    assert {p.stem for p in HERE.glob("*.json")} == {"mine", *shipped()} - apart
