"""The short form of `make torture`: ten kills, a race, and a driver that slept through its end."""

from pathlib import Path
from random import Random

import pytest
from mlflow import MlflowClient

from tests.faults.checks import Ended, check_tracking
from tests.faults.cluster import Cluster
from tests.faults.kills import Disturber
from tests.faults.place import Place, ending
from tests.faults.race import check_ended_once, race, usurped
from tests.servers import Postgres

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the studies share: prepared data, and a store whose tables are there."""
    made = tmp_path_factory.mktemp("shared")
    MlflowClient(f"sqlite:///{made / 'empty.db'}").search_experiments()
    return made


@pytest.fixture
def place(folder: Path, tmp_path: Path) -> Place:
    made = Place(tmp_path / "study", folder / "cache")
    made.with_store(folder / "empty.db")
    return made


@pytest.fixture(scope="module")
def same(folder: Path) -> Ended:
    """What the study comes to undisturbed: here with a second driver that waits."""
    with ending(Place(folder / "undisturbed", folder / "cache")) as place:
        place.with_store(folder / "empty.db")
        race(place, wait=True)
        return check_ended_once(place)


def test_killed_five_times_with_two_workers_a_study_ends_as_undisturbed(
    place: Place, same: Ended
) -> None:
    with ending(place):
        disturber = Disturber(place, Random(3), ("--workers", "2"))
        disturber.disturb(5)
        disturber.finish()
        assert len(disturber.kills) == 5
        found = check_ended_once(place)
        assert found == same


def test_killed_five_times_on_a_cluster_a_study_ends_as_undisturbed(
    place: Place, same: Ended, postgres: str, tmp_path: Path
) -> None:
    place = Place(place.folder, place.cache, postgres=postgres)
    with ending(place), Cluster(tmp_path / "cluster") as cluster:
        disturber = Disturber(place, Random(1), ("--dask", cluster.address), cluster)
        disturber.disturb(5)
        disturber.finish()
        assert len(disturber.kills) == 5
        found = check_ended_once(place)
        check_tracking(place, found)
        assert found == same


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_of_two_drivers_started_at_once_one_runs_and_a_stopped_one_is_fenced(
    storage: str, place: Place, same: Ended, postgres_server: Postgres
) -> None:
    if storage == "postgresql":
        url = postgres_server.database("two_drivers")
        place = Place(place.folder, place.cache, postgres=url)
    with ending(place):
        race(place)
        assert usurped(place) == same
