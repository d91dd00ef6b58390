"""Whole studies, from the command to the report, in a fresh folder with a warm data cache."""

import json
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsearch.config import RunConfig, usable_cores
from capsearch.data.source import SourceRef
from capsearch.records import Candidate, Outcome, Trial
from capsearch.run import run as run_study
from capsearch.session import read_study
from capsearch.storage import StudyStorage
from tests.bench.child import ROOT, run
from tests.bench.task import BATCH_SIZE, DATA, DROPOUT, L1, L2, LAYERS, LEARNING_RATE, UNITS


@dataclass(frozen=True)
class Whole:
    """What a study trained, and what it took."""

    candidates: tuple[Candidate, ...]  # of every training, smallest network first
    epochs: tuple[int, ...]  # that each of them took
    seconds: float
    training: float  # seconds, if all cores had trained all the time
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


def phases(name: str, cache: str) -> dict[str, Any]:
    """Seconds of every phase of a shipped study, run in this process."""
    marks: list[tuple[str, float]] = []

    class Watch:
        def phase(self, name: str, total: int = 0, done: int = 0) -> None:
            marks.append((name, time.perf_counter()))

        def trial(self, trial: object) -> None:
            pass

        def note(self, message: str) -> None:
            pass

        def warn(self, message: str) -> None:
            raise AssertionError(message)

        def result(self, result: object) -> None:
            pass

        def failed(self, message: str, exit_code: int) -> None:
            pass

    path, spec = read_study(str(ROOT / "studies" / f"{name}.toml"))
    root = Path("runs").absolute()
    storage, tracking = (f"sqlite:///{root / store}.db" for store in ("studies", "mlflow"))
    config = RunConfig(root, storage, tracking, Path(cache))
    run_study(path.stem, spec, SourceRef(spec.data), config, Watch())
    ends = [begun for _, begun in marks[1:]] + [time.perf_counter()]
    return {"phases": [(n, end - at) for (n, at), end in zip(marks, ends, strict=True)]}


def _measured(name: str, folder: Path, cache: Path) -> Whole:
    options = ["--json", "--root", str(folder / "runs"), "--cache", str(cache)]
    process = run([sys.executable, "-m", "capsearch", "study", name, *options], folder)
    assert json.loads(process.output)["status"] == "complete"
    ran = _trained(f"sqlite:///{folder / 'runs' / 'studies.db'}")
    return Whole(
        candidates=tuple(t.candidate for t, _ in ran),
        epochs=tuple(len(o.curve) for _, o in ran),
        seconds=process.seconds,
        training=sum(o.seconds for _, o in ran) / usable_cores(),
        peak=process.peak,
    )


def _trained(url: str) -> list[tuple[Trial, Outcome]]:
    """Everything that the only study of a storage has trained, smallest network first."""
    with closing(StudyStorage(url)) as storage:
        (row,) = storage.rows()
        ended = [(t, t.outcome) for t in storage.trials(row.key) if t.outcome and t.outcome.curve]
    return sorted(ended, key=lambda r: (r[0].parameters, r[0].id))


def _lines(table: dict[str, object]) -> str:
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
