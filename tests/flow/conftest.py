"""The small study, once undisturbed, and a fresh folder for each test that disturbs it."""

from pathlib import Path
from typing import Any

import pytest

from tests.place import STUDY, Place


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    (tmp_path / "mine.toml").write_text(STUDY)
    return Place(tmp_path, cache)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Place, dict[str, Any]]:
    """One study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "mine.toml").write_text(STUDY)
    place = Place(folder, cache)
    return place, place.study()[0]
