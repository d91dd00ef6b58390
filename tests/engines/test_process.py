"""A child that dies, hangs or raises costs its own job, and the engine goes on."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from capsearch.engines import process
from capsearch.engines.base import Trained
from capsearch.engines.child import Child, ChildFailed
from capsearch.engines.process import EngineProcess, Limits
from capsearch.errors import SealBroken
from capsearch.records import Candidate, Job
from tests.fakes import outcome_of

pytestmark = pytest.mark.real


class Fragile:
    """Trains by pretending; some widths bring the process down in their own way."""

    def train(self, jobs: Sequence[Job], data: object) -> list[Trained]:
        for job in jobs:
            match job.candidate.units:
                case (13,):
                    os.kill(os.getpid(), signal.SIGKILL)
                case (14,):
                    time.sleep(60)
                case (15,):
                    raise ValueError("a bug\nwith two lines")
                case (16,):
                    raise MemoryError
                case (17,):
                    os.write(2, b"something awful\n")
                    os._exit(3)
                case (18,):
                    held = bytearray(400_000_000)
                    time.sleep(len(held) / 4e6)  # 100 s
        return [Trained(outcome_of(job), ()) for job in jobs]


def no_data(_: Path) -> None:
    return None


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    kind = process.Kind("tests.engines.test_process:Fragile", pack=8, abreast=2)
    monkeypatch.setitem(process.ENGINES, "fragile", kind)
    engine = EngineProcess("fragile", Limits(threads=1, seconds_per_job=3.0), Path("/nowhere"))
    monkeypatch.setattr(process, "TRAIN", "tests.engines.test_process:train")
    yield engine
    engine.close()


_engine = Fragile()


def train(engine: str, folder: Path, jobs: Sequence[Job]) -> list[object]:
    return [trained.outcome for trained in _engine.train(jobs, None)]


def job(*units: int) -> Job:
    return Job.of(Candidate(units), study_seed=0, replicate=0, epochs=1, patience=1)


@pytest.mark.parametrize(
    ("width", "reason"),
    [
        (13, "out of memory: the process was killed by the system"),
        (14, "timed out after 3 s"),
        (15, "crashed: ValueError: a bug"),
        (16, "out of memory"),
        (17, "crashed: the process ended with exit code 3: something awful"),
    ],
)
def test_only_the_job_that_brings_a_process_down_fails(
    engine: EngineProcess, width: int, reason: str
) -> None:
    jobs = [job(1), job(width), job(2)]
    if width == 14:
        jobs = [job(width)]
    engine.submit(jobs)
    outcomes = engine.collect()
    assert [o.reason for o in outcomes if o.reason] == [reason]
    engine.submit([job(3)])
    (after,) = engine.collect()
    assert after.complete


def test_a_job_above_the_limit_of_memory_fails_and_the_others_of_its_pack_do_not(
    engine: EngineProcess,
) -> None:
    engine._limits = Limits(threads=1, seconds_per_job=100.0, memory=4e8)
    began = time.monotonic()
    engine.submit([job(1), job(18), job(2)])
    assert [o.reason for o in engine.collect()] == [
        None, "out of memory: above the limit of 0.40 GB", None,
    ]  # fmt: skip
    assert time.monotonic() - began < 100.0  # killed, not waited for


@pytest.mark.parametrize("first", [True, False])
def test_the_pack_beside_one_that_brings_a_process_down_is_trained_all_the_same(
    engine: EngineProcess, first: bool
) -> None:
    packs = [[job(13), job(1)], [job(2), job(3)]]
    for jobs in packs if first else packs[::-1]:
        engine.submit(jobs)
    collected = [[o.complete for o in engine.collect()] for _ in packs]
    assert collected == ([[False, True], [True, True]] if first else [[True, True], [False, True]])


def test_a_pack_in_flight_survives_that_its_child_has_grown(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RESIDENT", 1)
    for units in range(1, 5):
        engine.submit([job(units)])
        engine.submit([job(units + 20)])
        assert [engine.collect()[0].complete for _ in range(2)] == [True, True]


def test_the_outcome_crosses_the_border_whole(engine: EngineProcess) -> None:
    engine.submit([job(4)])
    (outcome,) = engine.collect()
    expected = outcome_of(job(4))
    assert outcome == expected
    assert outcome.val_losses is not None
    assert expected.val_losses is not None
    assert np.array_equal(outcome.val_losses, expected.val_losses)


def test_a_child_that_has_grown_is_replaced(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.submit([job(4)])
    engine.collect()
    first = engine._child
    assert first is not None
    assert first.resident > 10_000_000
    monkeypatch.setattr(process, "RESIDENT", first.resident // 2)
    engine.submit([job(4)])
    (outcome,) = engine.collect()
    assert outcome.complete
    assert engine._child is None
    engine.submit([job(5)])
    assert engine.collect()[0].complete


def refuse() -> None:
    raise SealBroken("not twice")


def test_an_error_of_ours_keeps_its_type_on_the_way_out() -> None:
    child = Child(threads=1)
    child.send("tests.engines.test_process:refuse")
    with pytest.raises(SealBroken, match="not twice"):
        child.receive()
    child.close()


def test_a_child_follows_its_parent_into_death() -> None:
    """SIGKILL leaves no time to say goodbye: the child must notice by itself."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child = Child(threads=1)
        os.write(writer, str(child.pid).encode())
        time.sleep(60)
    orphan = int(os.read(reader, 20))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for _ in range(100):
        if not Path(f"/proc/{orphan}").exists() or _zombie(orphan):
            return
        time.sleep(0.1)
    pytest.fail("the child outlived its parent by 10 s")


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_closed_child_cannot_be_waited_for() -> None:
    child = Child(threads=1)
    child.send("time:sleep", 30)
    with pytest.raises(ChildFailed, match="timed out after 0 s"):
        child.receive(timeout=0.1)
