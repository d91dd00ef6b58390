"""What tests share: their groups, a PostgreSQL server, and empty databases of each kind."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.programs import MISSING, require
from tests.servers import MlflowServer, Postgres

settings.register_profile("capsearch", deadline=None, derandomize=True)
settings.load_profile("capsearch")
GROUPS = ("system", "integration", "unit")  # the slowest first
WHOLE_MODULE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(integration|system|needs)", re.M)
UNIT_SECONDS = 60.0


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m unit` imports no module that is in another group as a whole: TensorFlow takes seconds."""
    if config.option.markexpr != "unit" or collection_path.suffix != ".py":
        return None
    return WHOLE_MODULE.search(collection_path.read_text()) is not None or None


@pytest.hookimpl(tryfirst=True)  # before -m is read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test is in one group, and a unit test has little time.

    Files of slow tests go first, or the last of them would run alone (`--no-loadscope-reorder`).
    """
    slowest = dict[Path, int]()
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if "needs" in marks:
            item.add_marker("system")
        elif not marks.intersection(GROUPS):
            item.add_marker("unit")
            if "timeout" not in marks:
                item.add_marker(pytest.mark.timeout(UNIT_SECONDS))
        group = next(n for n, name in enumerate(GROUPS) if item.get_closest_marker(name))
        slowest[item.path] = min(group, slowest.get(item.path, group))
    items.sort(key=lambda item: slowest[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs a program of the system is skipped without it, and fails in CI."""
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            require(program)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was not tested on this machine, so that nobody overlooks it."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = [str(why[2]) for why in skipped if isinstance(why, tuple)]
    absent = Counter(why.partition(MISSING)[2].strip() for why in reasons if MISSING in why)
    if absent:
        terminalreporter.section("NOT TESTED: programs are missing here", sep="!", red=True)
        for program, count in sorted(absent.items()):
            terminalreporter.line(f"{program}: {count} tests skipped")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own on loopback."""
    with Postgres() as started:
        yield started


@pytest.fixture
def postgres(postgres_server: Postgres, tmp_path: Path) -> str:
    """The URL of an empty database on it."""
    return postgres_server.database(f"test_{abs(hash(str(tmp_path)))}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
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
