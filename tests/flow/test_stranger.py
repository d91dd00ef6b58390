"""A source from a stranger's package: the same study inline, locally and on a Dask cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from tests.place import lasting

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

SOURCE = '''
"""Two moons that overlap, told apart by ten numbers."""
import numpy as np
from capsearch.data.source import RawData


class Moons:
    def __init__(self, options):
        self.options = dict(options)

    def identity(self):
        return "moons"

    def read(self):
        rng = np.random.default_rng(3)
        x = rng.normal(size=(700, 10)).astype(np.float32)
        score = x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * rng.normal(size=len(x))
        return RawData({"x": x}, score > 0)
'''
STUDY = """
[data]
source = "moons"
[space]
layers = { low = 0, high = 2 }
units = { low = 1, high = 8, log = true }
learning_rate = { low = 1e-2, high = 1e-1, log = true }
[training]
epochs = 12
patience = 3
batch_size = 32
[search]
trials = 9
rungs = 3
[select]
replicates = 2
[[baseline]]
name = "original"
units = [4, 4]
"""
INLINE = """
import json, sys
from pathlib import Path
from capsearch.config import RunConfig
from capsearch.listeners import Silent
from capsearch.run import run
from capsearch.session import read_study, source_of
root = Path(sys.argv[1]).absolute()
path, spec = read_study("strange")
config = RunConfig(
    root=root, storage=f"sqlite:///{root}/studies.db", tracking=f"sqlite:///{root}/mlflow.db",
    cache=root / "cache", workers=0,
)
print(json.dumps(run(path.stem, spec, source_of(path, spec), config, Silent()).document))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, and the stranger's package as pip would install it."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "strange.toml").write_text(STUDY)
    site = folder / "site"
    info = site / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "strangers.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[capsearch.data]\nmoons = strangers:Moons\n")
    return folder


def ended(home: Path, *command: str) -> dict[str, Any]:
    """What a whole study came to, run by this command."""
    paths = [str(home / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths), "CAPSEARCH_CACHE": str(home / "cache"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=home, env=environment, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return lasting(json.loads(done.stdout))


@pytest.fixture(scope="module")
def alone(home: Path) -> dict[str, Any]:
    return ended(home, "-m", "capsearch", "study", "strange", "--json", "--root", "one")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Workers know nothing of the stranger's package, nor of the driver's cache."""
    monkeypatch.setenv("CAPSEARCH_CACHE", str(tmp_path / "cache of the workers"))
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, host="127.0.0.1",
        dashboard_address=None, local_directory=str(tmp_path),
    ) as made:  # fmt: skip
        yield made.scheduler_address


def test_four_workers_end_as_one(home: Path, alone: dict[str, Any]) -> None:
    four = ("--workers", "4", "--root", "four")
    assert ended(home, "-m", "capsearch", "study", "strange", "--json", *four) == alone


def test_inline_ends_as_a_child_does(home: Path, alone: dict[str, Any]) -> None:
    assert ended(home, "-c", INLINE, "inline") == alone


def test_a_dask_cluster_without_the_package_ends_the_same(
    home: Path, alone: dict[str, Any], cluster: str
) -> None:
    on = ("--dask", cluster, "--root", "dask")
    assert ended(home, "-m", "capsearch", "study", "strange", "--json", *on) == alone
