"""The final's child: replaced once when it dies, and stopped before the seal by other rows."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest

from capsearch import final
from capsearch.deadline import Deadline
from capsearch.engines.child import Child, ChildFailed
from capsearch.engines.process import Limits
from capsearch.errors import CapsearchError, Interrupted
from capsearch.final import FinalTask, LastLook
from capsearch.seal import Ledger
from capsearch.storage import StudyStore
from tests.fakes import ToySource, study_of
from tests.samples import record_of


@dataclass
class StandIn:
    """A child that answers, or dies at its first call."""

    dies: bool
    calls: list[str] = field(default_factory=list)
    closed: bool = False
    allowed: float = inf  # seconds

    def send(self, function: str, *_: Any) -> None:
        self.calls.append(function.partition(":")[2])

    def receive(self, timeout: float) -> dict[str, float]:
        self.allowed = timeout
        if self.dies:
            raise ChildFailed("out of memory")
        return {"loss": 0.5}

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as store:
        yield store


def last_look(store: StudyStore, *children: StandIn, deadline: Deadline | None = None) -> LastLook:
    waiting = list(children)

    class Look(LastLook):
        def _start(self) -> Child:
            self._child = cast(Child, waiting.pop(0))
            return self._child

    limits = Limits(threads=1, seconds_per_job=60.0)
    return Look(record_of().study, {}, store, limits, deadline or Deadline())


def task_of(folder: Path) -> FinalTask:
    record = record_of()
    return FinalTask(record.study, record.choice, folder, "packed", folder / "model")


def test_a_child_that_died_while_it_waited_is_replaced_once(
    store: StudyStore, tmp_path: Path
) -> None:
    first, second = StandIn(dies=True), StandIn(dies=False)
    look = last_look(store, first, second)
    look.get_ready()
    look(task_of(tmp_path))
    assert first.closed
    assert second.calls == ["keep_model", "score"]
    assert second.allowed == 60.0


def test_a_child_that_dies_twice_ends_the_study_with_its_reason(
    store: StudyStore, tmp_path: Path
) -> None:
    look = last_look(store, StandIn(dies=True), StandIn(dies=True))
    with pytest.raises(CapsearchError, match="the final evaluation failed: out of memory"):
        look(task_of(tmp_path))


def test_a_deadline_that_is_over_cuts_it_short_and_the_choice_may_be_finished_later(
    store: StudyStore, tmp_path: Path
) -> None:
    first, over = StandIn(dies=True), Deadline(0.5, time.monotonic() - 1.0)
    with pytest.raises(Interrupted, match="the deadline of 0 s is over"):
        last_look(store, first, deadline=over)(task_of(tmp_path))
    assert first.closed
    assert first.allowed == 0.0
    later = StandIn(dies=False)
    last_look(store, later)(task_of(tmp_path))
    assert later.calls == ["keep_model", "score"]


def test_nothing_is_started_for_a_split_that_was_opened(store: StudyStore) -> None:
    Ledger(store.database).claim(record_of().study, "a choice")
    last_look(store).get_ready()  # there is no child to take


@pytest.mark.real
def test_rows_that_changed_since_the_study_began_are_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, study = ToySource(), study_of()
    monkeypatch.setattr(final, "open_source", lambda _: source)
    final.get_ready(study, {})
    changed = replace(study.data, fingerprints=study.data.fingerprints | {"test": "0" * 64})
    with pytest.raises(CapsearchError, match="no longer those that toy was run on"):
        final.get_ready(replace(study, data=changed), {})
    assert source.opened == 0
