"""MLflow's SQLite file is whole, or not there."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from capsearch.tracking.store import make_whole

pytestmark = pytest.mark.real


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
