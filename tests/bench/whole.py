"""Whole studies, from the command to the report, in a fresh folder with a warm data cache."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from capsearch.study import Circumstances, open_study, stored_trials, usable_cores
from tests.bench.child import ROOT, run
from tests.bench.task import BATCH_SIZE, DATA, DROPOUT, L1, L2, LAYERS, LEARNING_RATE, UNITS


@dataclass(frozen=True)
class Whole:
    """What a study trained, and what it took."""

    trainings: int
    epochs: int  # of all trainings together
    seconds: float
    peak: float  # MiB, of its largest process


def question(trials: int, epochs: int) -> str:
    """The bench's space as a study file; no early stopping, since patience is all epochs."""
    return f"""
[data]
{_lines(DATA)}
[space]
layers = {{ low = {LAYERS[0]}, high = {LAYERS[-1]} }}
units = {{ low = {UNITS[0]}, high = {UNITS[-1]}, log = true }}
l1 = {{ low = {L1[0]}, high = {L1[1]}, log = true }}
l2 = {{ low = {L2[0]}, high = {L2[1]}, log = true }}
dropout = {{ low = {DROPOUT[0]}, high = {DROPOUT[1]} }}
[training]
epochs = {epochs}
patience = {epochs}
batch_size = {BATCH_SIZE}
learning_rate = {LEARNING_RATE}
[search]
trials = {trials}
[select]
replicates = 2
"""


def of_space(trials: int, epochs: int, cache: Path) -> Whole:
    """A study of so many trials in the bench's space, with the replicates of its finalists."""
    with tempfile.TemporaryDirectory(prefix="capsearch-bench-") as folder:
        file = Path(folder) / "bench.toml"
        file.write_text(question(trials, epochs))
        return _measured(str(file), Path(folder), cache)


def shipped(name: str, cache: Path) -> Whole:
    """A study that capsearch ships, unchanged."""
    with tempfile.TemporaryDirectory(prefix="capsearch-bench-") as folder:
        return _measured(str(ROOT / "studies" / f"{name}.toml"), Path(folder), cache)


def _measured(name: str, folder: Path, cache: Path) -> Whole:
    options = ["--json", "--root", str(folder / "runs"), "--cache", str(cache)]
    ended = run([sys.executable, "-m", "capsearch", "study", name, *options], folder)
    assert json.loads(ended.output)["status"] == "complete"
    opened = open_study(name, _where(folder / "runs", cache))
    trials, replicates = stored_trials(opened)
    ran = [t.outcome for t in [*trials, *replicates] if t.outcome and t.outcome.curve]
    return Whole(len(ran), sum(len(o.curve) for o in ran if o.curve), ended.seconds, ended.peak)


def _where(root: Path, cache: Path) -> Circumstances:
    stores = (f"sqlite:///{root / name}.db" for name in ("studies", "mlflow"))
    storage, tracking = stores
    return Circumstances(root, storage, tracking, cache, "packed", usable_cores(), 1800.0)


def _lines(table: dict[str, object]) -> str:
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
