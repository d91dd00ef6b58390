"""The short form of `make torture`: ten kills, a race, and a driver that slept through its end."""

import signal
from pathlib import Path
from random import Random

import pytest
from mlflow import MlflowClient

from tests.faults.checks import Ended
from tests.faults.cluster import Cluster
from tests.faults.kills import MOST, STARTS, Disturber
from tests.faults.place import Place, ending, until
from tests.faults.race import check_ended_once, race, usurped

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
        assert check_ended_once(place) == same


def test_killed_five_times_on_a_cluster_a_study_ends_as_undisturbed(
    place: Place, same: Ended, postgres: str, tmp_path: Path
) -> None:
    place = Place(place.folder, place.cache, postgres=postgres)
    with ending(place), Cluster(tmp_path / "cluster") as cluster:
        disturber = Disturber(place, Random(1), ("--dask", cluster.address), cluster)
        disturber.disturb(5)
        disturber.finish()
        assert len(disturber.kills) == 5
        assert check_ended_once(place) == same


def test_killed_four_times_in_one_training_nothing_fails(place: Place, same: Ended) -> None:
    """A spot machine does that; twice were enough to mark a trial as failed for ever."""
    with ending(place):
        disturber = Disturber(place, Random(0))
        for number in range(MOST):
            driver = disturber.start()
            begun = f"SELECT id FROM capsearch_trials WHERE outcome IS NULL AND starts > {number}"
            assert until(lambda: place.ask(begun) or driver.poll() is not None)  # noqa: B023
            disturber.kill_driver(signal.SIGKILL)
        assert place.ask(STARTS) == [(MOST,)]
        disturber.finish()
        assert len(disturber.kills) == MOST
        assert check_ended_once(place) == same


def test_of_two_drivers_started_at_once_one_runs_and_a_stopped_one_is_fenced(
    place: Place, same: Ended, postgres: str
) -> None:
    place = Place(place.folder, place.cache, postgres=postgres)
    with ending(place):
        race(place)
        assert usurped(place) == same
