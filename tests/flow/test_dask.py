"""`--dask`: the workers of a cluster train; nothing of the driver's is needed there, or sent."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.checks import Ended, check_complete, check_tracking
from tests.faults.cluster import Cluster
from tests.faults.place import Place, ending, trainers, until
from tests.servers import free_port

pytestmark = pytest.mark.system
OTHER_VERSION = "import capsearch; capsearch.__version__ = '0.0.9'"
NO_CAPSEARCH = "import sys; sys.modules['capsearch'] = None"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Ended:
    """What the study comes to with one process of its own."""
    with ending(Place(tmp_path_factory.mktemp("same"), cache)) as place:
        place.completed(place.study())
        return check_complete(place)


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Iterator[Place]:
    with ending(Place(tmp_path / "study", cache)) as made:
        yield made


def on(cluster: Cluster, *options: str) -> tuple[str, ...]:
    return ("--dask", cluster.address, *options)


def preload(folder: Path, code: str) -> tuple[str, str]:
    """What has a worker run this first."""
    file = folder / "preload.py"
    file.write_text(code)
    return "--preload", str(file)


def check_same(place: Place, same: Ended) -> None:
    found = check_complete(place)
    check_tracking(place, found)
    assert found == same


def words(place: Place, process: subprocess.Popen[str]) -> str:
    return " ".join(place.said(process).split())


def test_workers_that_share_nothing_give_the_same_result_though_one_dies_and_one_joins(
    place: Place, same: Ended, tmp_path: Path
) -> None:
    """Their scheduler is named by its file."""
    with Cluster(tmp_path / "cluster") as cluster:
        file = tmp_path / "scheduler.json"
        file.write_text(json.dumps({"address": cluster.address}))
        process = place.study("--dask", str(file))
        assert until(lambda: place.flying and cluster.trainers())
        cluster.remove(0)
        assert process.poll() is None, place.said(process)
        late = cluster.add()
        until(lambda: process.poll() is not None or cluster.cache(late).exists())
        assert len(trainers(process.pid)) <= 1  # of the final evaluation: it trains nothing
        place.completed(process)
        check_same(place, same)
        rows = [sorted(p.name for p in cluster.cache(n).glob("rows/*")) for n in (1, late)]
        assert len(rows[0]) == 1  # they were sent, and stay
        assert rows[1] in ([], rows[0])


def test_workers_whose_places_were_all_taken_by_others_lose_nothing(
    place: Place, same: Ended, tmp_path: Path
) -> None:
    """A pack that no worker is left for, of those that it was meant for, is sent to others."""
    with Cluster(tmp_path / "cluster", workers=1) as cluster:
        process = place.study(*on(cluster))
        assert until(lambda: place.flying and cluster.trainers())
        cluster.add()
        time.sleep(5.0)  # it has joined
        cluster.remove(0)
        place.completed(process, 120.0)
        check_same(place, same)


def test_a_scheduler_that_is_ended_and_started_again_changes_nothing(
    place: Place, same: Ended, tmp_path: Path
) -> None:
    with Cluster(tmp_path / "cluster") as cluster:
        process = place.study(*on(cluster))
        assert until(lambda: place.flying and cluster.trainers())
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        place.completed(process)
        check_same(place, same)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_nothing_trains_on_the_workers_soon_after_the_driver_was_ended(
    place: Place, tmp_path: Path, how: signal.Signals
) -> None:
    """Neither a pack, nor the process that waits for the next one."""
    with Cluster(tmp_path / "cluster") as cluster:
        process = place.study(*on(cluster))
        assert until(lambda: place.flying and cluster.trainers())
        process.send_signal(how)
        assert until(lambda: not cluster.trainers(), 10.0)
        assert process.wait(15) == (-how if how == signal.SIGKILL else 128 + how)
        assert until(lambda: not trainers(process.pid), 5.0)


def test_a_worker_of_another_version_is_named_and_not_used(
    place: Place, same: Ended, tmp_path: Path
) -> None:
    with Cluster(tmp_path / "cluster", workers=1) as cluster:
        other = cluster.add(*preload(tmp_path, OTHER_VERSION))
        process = place.study(*on(cluster))
        used = set[int]()

        def done() -> bool:
            with suppress(KeyError):
                used.update(trainers(cluster.workers[other].pid))
            return process.poll() is not None

        assert until(done)
        place.completed(process)
        told = r"worker (tcp://\S+) has capsearch 0\.0\.9"
        (address,) = set(re.findall(told, words(place, process)))
        assert address in cluster.said(f"worker-{other}")
        assert used == set()
        check_same(place, same)


def test_no_worker_that_can_be_used_ends_in_3_with_the_reason(place: Place, tmp_path: Path) -> None:
    with Cluster(tmp_path / "cluster", workers=0) as cluster:
        cluster.add(*preload(tmp_path, NO_CAPSEARCH))
        process, began = place.study(*on(cluster, "--worker-timeout", "3")), time.monotonic()
        assert process.wait(60) == 3, place.said(process)
        assert time.monotonic() - began > 3.0
        said = words(place, process)
        assert "has no capsearch" in said
        assert "no worker" in said
        assert "3 s" in said
        assert "Traceback" not in said


def test_a_scheduler_that_stays_away_ends_in_3_and_the_study_can_go_on(
    place: Place, same: Ended, tmp_path: Path
) -> None:
    with Cluster(tmp_path / "cluster") as cluster:
        process = place.study(*on(cluster, "--worker-timeout", "3"))
        assert until(lambda: place.flying and cluster.trainers())
        cluster.scheduler_away = True
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        assert process.wait(60) == 3, place.said(process)
        assert "Traceback" not in place.said(process)
        place.completed(place.study())
        check_same(place, same)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        pytest.param(f"tcp://127.0.0.1:{free_port()}", 5, id="nobody there"),
        ("nowhere at all", 2),
        ("tcp://", 2),
        ("foo://127.0.0.1:1", 2),
        ("tls://127.0.0.1:1", 2),
        ("no.json", 2),
    ],
)
def test_no_cluster_ends_with_its_exit_code_in_words(place: Place, address: str, code: int) -> None:
    process, began = place.study("--dask", address), time.monotonic()
    assert process.wait(60) == code, place.said(process)
    assert place.printed(process) == ""
    said = words(place, process)
    assert f"--dask {address}: " in said
    assert "Traceback" not in said
    assert time.monotonic() - began < 40.0  # ten of them for the cluster


def test_a_scheduler_file_that_is_none_ends_in_2(place: Place) -> None:
    (place.folder / "file.json").write_text("{}")
    process = place.study("--dask", "file.json")
    assert process.wait(60) == 2, place.said(process)
    assert "--dask file.json: " in words(place, process)
    assert "Traceback" not in place.said(process)


def test_no_address_folder_or_password_of_the_driver_is_in_the_memory_of_the_cluster(
    postgres: str, tmp_path: Path, cache: Path
) -> None:
    url = postgres.replace("capsearch@", "capsearch:s3cret-of-the-storage@")  # it asks for none
    tracking = tmp_path / "where-the-tracker-is.db"
    secrets = [b"s3cret-of-the-storage", b"where-the-tracker-is", b"the-folder-of-the-study"]
    folder = tmp_path / "the-folder-of-the-study"
    place = Place(folder, cache, postgres=url, tracking=f"sqlite:///{tracking}")
    with ending(place), Cluster(tmp_path / "cluster") as cluster:
        process = place.study(*on(cluster))
        assert until(lambda: place.ended and cluster.trainers())
        assert cluster.scheduler is not None
        everybody = [cluster.scheduler.pid, *cluster.tree()]
        os.kill(process.pid, signal.SIGSTOP)
        found = {pid: memory_has(pid, [*secrets, b"learning_rate"]) for pid in everybody}
        assert any(b"learning_rate" in seen for seen in found.values())  # it would be seen
        assert {pid: seen & set(secrets) for pid, seen in found.items()} == {
            pid: set[bytes]() for pid in everybody
        }


def memory_has(pid: int, marks: list[bytes]) -> set[bytes]:
    """Which of these stand in what the process may write."""
    found = set[bytes]()
    with (
        suppress(OSError),
        Path(f"/proc/{pid}/maps").open() as maps,
        Path(f"/proc/{pid}/mem").open("rb") as mem,
    ):
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            with suppress(OSError, ValueError, OverflowError):
                mem.seek(start)
                content = mem.read(end - start)
                found |= {mark for mark in marks if mark in content}
    return found
