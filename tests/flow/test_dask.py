"""`--dask`: the workers of a cluster train, and the command that drives them does not."""

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import distributed
import pytest

from tests.place import Place, check_whole, lasting, until
from tests.servers import free_port

pytestmark = [
    pytest.mark.real,
    pytest.mark.filterwarnings("ignore"),  # of a cluster whose worker is killed
]
THREADS = "SELECT role, threads FROM capsearch_worker ORDER BY role"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, host="127.0.0.1",
        dashboard_address=None, local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as made:  # fmt: skip
        yield made


def test_a_cluster_runs_a_study_to_the_end_though_one_of_its_workers_is_killed(
    place: Place, done: tuple[Place, dict[str, Any]], cluster: distributed.LocalCluster
) -> None:
    process = place.start("study", "mine", "--json", "--dask", cluster.scheduler_address)
    until(lambda: process.poll() is not None or place.trained(2))
    seen = place.rows("studies.db", THREADS)
    assert [row for row in seen if row[0] == "study"] == [("study", 0)]  # it trains nothing
    assert {row for row in seen if row[0] == "worker"} == {("worker", 1)}
    victim = next(iter(cluster.workers.values()))
    os.kill(victim.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert lasting(json.loads(out)) == lasting(done[1])
    until(lambda: not place.workers(), 10.0)
    check_whole(place)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_the_clusters_workers_end_with_the_command_and_the_study_can_go_on(
    place: Place,
    done: tuple[Place, dict[str, Any]],
    cluster: distributed.LocalCluster,
    stop: signal.Signals,
) -> None:
    process = place.start("study", "mine", "--dask", cluster.scheduler_address)
    until(lambda: process.poll() is not None or place.trained(1))
    sent = time.monotonic()
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 143), err
    until(lambda: not place.workers(), 10.0 - (time.monotonic() - sent))
    document, _ = place.study()
    assert lasting(document) == lasting(done[1])
    check_whole(place)


def test_no_cluster_there_ends_in_5_with_a_message(place: Place) -> None:
    address, began = f"tcp://127.0.0.1:{free_port()}", time.monotonic()
    process = place.start("study", "mine", "--dask", address)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, "")
    assert f"--dask {address}: cannot be reached" in " ".join(err.split())
    assert "Traceback" not in err
    assert time.monotonic() - began < 40.0  # ten of them for the cluster


def test_what_is_no_address_ends_in_2(place: Place) -> None:
    process = place.start("study", "mine", "--dask", "nowhere at all")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "--dask nowhere at all: not an address" in " ".join(err.split())


@pytest.mark.parametrize("name", ["CAPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"])
def test_a_password_is_not_sent_to_a_cluster(
    place: Place, postgres: str, cluster: distributed.LocalCluster, name: str
) -> None:
    address = postgres.replace("capsearch@", "capsearch:s3cret@")  # this server asks for none
    dask = cluster.scheduler_address
    process = place.start("study", "mine", "--dask", dask, **{name: address})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "would be sent to the cluster" in " ".join(err.split())
    assert "s3cret" not in err
