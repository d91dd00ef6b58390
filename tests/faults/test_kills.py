"""The short form of `make torture`: real studies, killed a few times each, end as they should."""

from pathlib import Path
from random import Random

import pytest

from tests.faults.checks import check_complete, check_tracking
from tests.faults.kills import Crew, ending
from tests.faults.place import QUICK, Place
from tests.faults.race import race
from tests.servers import Postgres

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("storage", "seed"), [("sqlite", 6), ("postgresql", 7)])
def test_whoever_is_killed_every_trial_is_counted_once(
    storage: str, seed: int, postgres_server: Postgres, tmp_path: Path, cache: Path
) -> None:
    url = postgres_server.database(f"kills_{seed}") if storage == "postgresql" else None
    with ending(Place(tmp_path / "study", cache, QUICK, url)) as place:
        crew = Crew(place, Random(seed))
        crew.disturb(3)
        crew.finish()
        assert crew.kills
        check_tracking(place, check_complete(place, crew.losses, crew.child_deaths))


def test_workers_that_race_to_the_end_open_the_test_split_once(
    postgres_server: Postgres, tmp_path: Path, cache: Path
) -> None:
    url = postgres_server.database("race")
    with ending(Place(tmp_path / "race", cache, QUICK, url)) as place:
        race(place, workers=3)
