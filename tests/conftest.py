"""What tests share: a PostgreSQL server, and empty databases of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import MlflowServer, Postgres

settings.register_profile("capsearch", deadline=None, derandomize=True)
settings.load_profile("capsearch")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own on loopback."""
    with Postgres() as started:
        yield started


@pytest.fixture
def postgres(postgres_server: Postgres, tmp_path: Path) -> str:
    """The URL of an empty database on it."""
    return postgres_server.database(f"test_{abs(hash(str(tmp_path)))}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind that capsearch knows."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """An MLflow server with its store in the test's own folder."""
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()
