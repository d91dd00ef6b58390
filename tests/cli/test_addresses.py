"""The default stores lie below `--root`, whatever its path contains."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from capsearch.cli.options import storage_url, tracking_address
from capsearch.storage import StudyStorage, exists

NAMES = [
    "out?x",
    "out#x",
    "out%41x",
    "o u t",
    "a@b:c",
    "x&mode=memory",
    "ü",
    "out?mode=ro&uri=true",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_study_storage_lies_below_the_root(name: str, tmp_path: Path) -> None:
    """`--root 'out?x'` once made a database named `out`, outside."""
    root = tmp_path / name
    url = storage_url(root, None)
    assert not exists(url)
    with closing(StudyStorage(url)):
        pass
    assert exists(url)
    assert (root / "studies.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.integration
def test_mlflow_lies_below_the_root_and_shares_nothing_with_the_storage(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from capsearch.tracking.store import make_whole

    root = tmp_path / "o t%41?x#y"
    with closing(StudyStorage(storage_url(root, None))):
        pass
    make_whole(tracking_address(root, None))
    assert {"studies.db", "mlflow.db"} <= {path.name for path in root.iterdir()}
    engine = sa.create_engine(tracking_address(root, None), poolclass=sa.NullPool)
    client = MlflowClient(tracking_address(root, None), tracking_address(root, None))
    artifacts = (root / "artifacts").as_uri()
    run = client.create_run(client.create_experiment("toy", artifacts))
    client.log_text(run.info.run_id, "hello", "said.txt")
    assert (root / "artifacts" / run.info.run_id / "artifacts" / "said.txt").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [root.name]
    tables = sa.inspect(engine).get_table_names()
    assert "runs" in tables
    assert not any("capsearch" in table for table in tables)


def test_an_ordinary_path_is_an_ordinary_address(tmp_path: Path) -> None:
    assert storage_url(tmp_path, None) == f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.mark.parametrize("given", ["sqlite:///x.db", "postgresql+psycopg://me@db/x"])
def test_an_address_that_is_given_stays_as_it_is(given: str) -> None:
    assert storage_url(Path("any"), given) == given
    assert tracking_address(Path("any"), given) == given
