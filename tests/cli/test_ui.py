"""`capsearch ui`: the page of the latest study, and nothing left behind."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.fakes import study_of
from tests.samples import record_of
from tests.servers import free_port
from tests.tracking.place import InMlflow

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two studies in MLflow; 'other' was begun last."""
    folder = tmp_path_factory.mktemp("root")
    place, record = InMlflow(f"sqlite:///{folder / 'mlflow.db'}", folder), record_of(per_rung=1)
    for study in (record.study, study_of(name="other")):
        tracker = place.open()
        tracker.begin(study)
        tracker.log(record.trials[0])
        tracker.close()
    return folder


class Ui:
    """The command, started over `root`."""

    def __init__(self, root: Path, *arguments: str, **more: str) -> None:
        self.port = free_port()
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "capsearch", "ui", "--root", str(root), "--port", str(self.port),
             *arguments],
            env=environment | more, text=True, cwd=root.parent,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        started = psutil.Process(self.process.pid)
        self.processes = [started, *started.children(recursive=True)]

    def end(self) -> str:
        """What it wrote on stderr."""
        error = self.process.communicate(timeout=30)[1]
        return str(error)

    def left(self) -> list[psutil.Process]:
        alive: list[psutil.Process] = psutil.wait_procs(self.processes, timeout=10)[1]
        return alive


def refused(*arguments: str) -> str:
    """What the command says, which must be wrong usage."""
    run = subprocess.run(
        [sys.executable, "-m", "capsearch", "ui", *arguments],
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    return run.stderr


@pytest.fixture
def ui(root: Path) -> Iterator[Ui]:
    started = Ui(root)
    yield started
    for process in started.processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    started.process.communicate()


def listening(port: int) -> set[str]:
    """The addresses at which something listens on this port, as the kernel writes them."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    local = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {address for address, number in local if int(number, 16) == port}


def test_it_prints_the_address_of_the_latest_study_when_the_page_is_there(
    ui: Ui, root: Path
) -> None:
    with urllib.request.urlopen(ui.address, timeout=10) as page:
        assert b"MLflow" in page.read()
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    found = client.get_experiment_by_name("capsearch/other")
    assert found is not None
    (run,) = client.search_runs([found.experiment_id], "tags.`capsearch.group` = 'study'")
    page = ui.address.partition("?")[0]
    assert page.endswith(f"/experiments/{found.experiment_id}/runs/{run.info.run_id}")
    assert listening(ui.port) == {"0100007F"}
    assert sum(process.memory_full_info().pss for process in ui.processes) < 1e9
    assert len(ui.processes) < 8  # MLflow's own defaults: 15 and 2.4 GB


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM])
def test_all_of_its_processes_end_with_it(ui: Ui, number: signal.Signals) -> None:
    assert len(ui.processes) > 2
    ui.process.send_signal(number)
    assert ui.left() == []
    assert listening(ui.port) == set()


def test_ctrl_c_ends_it_without_a_word(ui: Ui) -> None:
    ui.process.send_signal(signal.SIGINT)
    said = ui.end()
    assert ui.process.returncode == 0
    assert len(said.splitlines()) == 1  # that it starts
    assert ui.left() == []


def test_it_opens_the_page_in_the_browser(root: Path, tmp_path: Path) -> None:
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    started = Ui(root, "--open", BROWSER=f"{browser} %s")
    for _ in range(100):
        if opened.exists() and opened.read_text():
            break
        with suppress(psutil.TimeoutExpired):
            started.processes[0].wait(0.1)
    assert opened.read_text().strip() == started.address
    started.process.terminate()
    assert started.left() == []
    started.end()


def test_a_port_in_use_is_named_before_anything_starts(root: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
        said = refused("--root", str(root), "--port", str(port))
    assert f"--port {port}" in said
    assert "Legal:" in said


def test_a_folder_without_a_store_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    said = refused("--root", str(tmp_path / "wrong"))
    assert "wrong/mlflow.db" in said.replace("\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "http://127.0.0.1:5000"])
def test_an_address_that_it_cannot_serve_is_wrong_usage(uri: str) -> None:
    assert "--tracking-uri" in refused("--tracking-uri", uri)


def test_a_server_that_cannot_start_tells_why(root: Path, tmp_path: Path) -> None:
    """A store of another version of MLflow's."""
    file = tmp_path / "mlflow.db"
    file.write_bytes((root / "mlflow.db").read_bytes())
    with closing(sqlite3.connect(file)) as store:
        store.execute("UPDATE alembic_version SET version_num = 'another'")
        store.commit()
    started = Ui(tmp_path, MLFLOW_LOGGING_LEVEL="CRITICAL")  # as somebody may have set it
    said = started.end()
    assert started.process.returncode == 1
    assert "does not run: " in said
    assert "another" in said
    assert started.left() == []
