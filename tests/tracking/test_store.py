"""MLflow's SQLite file is whole, or not there."""

import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from capsearch.errors import BadRequest
from capsearch.tracking.store import check_address, connect_once, make_whole

pytestmark = pytest.mark.integration


def test_a_new_store_is_put_in_its_place_whole_and_an_old_one_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "mlflow.db"
    make_whole(f"sqlite:///{file}")
    assert [p.name for p in file.parent.iterdir()] == ["mlflow.db"]
    client = MlflowClient(f"sqlite:///{file}")
    client.create_experiment("mine")
    make_whole(f"sqlite:///{file}")
    assert client.get_experiment_by_name("mine") is not None


def test_a_process_that_is_cut_while_it_makes_a_store_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "search_experiments", cut)
    with pytest.raises(KeyboardInterrupt):
        make_whole(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql+psycopg://127.0.0.1:9/x"])
def test_a_server_makes_its_own_tables(uri: str) -> None:
    make_whole(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file::memory:?cache=shared&uri=true", "gopher://x", "mlruns", "file:///tmp/x",
        "http//localhost:5000", "mysql+none://me:s3cret@localhost/x", "postgresql://h:s3cret/x",
    ],
)  # fmt: skip
def test_an_address_that_can_never_be_used_is_refused_before_anything_runs(uri: str) -> None:
    with pytest.raises(BadRequest, match="--tracking-uri") as caught:
        check_address(uri)
    assert "me:s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    ["sqlite:///x.db", "sqlite:////tmp/x.db", "http://h:5000", "postgresql+psycopg://u@h/x"],
)
def test_an_address_that_something_may_answer_at_is_left_to_its_client(uri: str) -> None:
    check_address(uri)


def test_a_file_that_is_no_database_is_known_at_once(tmp_path: Path) -> None:
    """MLflow would ask it ten times, in a minute and a half."""
    file = tmp_path / "mlflow.db"
    file.write_text("this is no database" * 100)
    began = time.monotonic()
    with pytest.raises(sa.exc.DatabaseError):
        connect_once(f"sqlite:///{file}")
    assert time.monotonic() - began < 2
