"""Real servers for the tests that need them. What is absent fails the run; nothing is skipped."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("capsearch", deadline=None, derandomize=True)
settings.load_profile("capsearch")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of this run's own on loopback; the URL of its `postgres` database."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert homes, "PostgreSQL is not installed (Debian package postgresql)"
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder, port = Path(tempfile.mkdtemp(prefix="capsearch-pg-")), free_port()
    if user:
        shutil.chown(folder, user)
    data = str(folder / "data")
    home = str(homes[-1])
    run = [f"{home}/initdb", "-D", data, "-U", "capsearch", "-A", "trust", "--no-sync"]
    subprocess.run(run, check=True, user=user, capture_output=True, cwd=folder)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    control = [f"{home}/pg_ctl", "-D", data, "-w"]
    start = [*control, "-l", str(folder / "log"), "-o", options, "start"]
    subprocess.run(start, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql+psycopg://capsearch@127.0.0.1:{port}/postgres"
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind that capsearch knows."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    import psycopg

    server: str = request.getfixturevalue("postgres")
    name = f"test_{abs(hash(str(tmp_path)))}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.removesuffix("postgres") + name
