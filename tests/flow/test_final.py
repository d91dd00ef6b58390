"""The final evaluation: a child replaced once, the model that was chosen, other rows refused."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch import final
from capsearch.data import cache
from capsearch.data.options import SplitOptions
from capsearch.data.source import SourceRef
from capsearch.deadline import Deadline
from capsearch.engines.child import ChildFailed
from capsearch.engines.packed import PackedEngine
from capsearch.errors import BadRequest, CapsearchError, Interrupted
from capsearch.executors import Limits
from capsearch.final import FinalEvaluation, FinalTask
from capsearch.kept import reader
from capsearch.records import Candidate, Choice, Job, Opening, Proof, Study
from capsearch.storage import StudyStorage, StudyWriter
from tests.contracts.engine import SMALL
from tests.fakes import PACKED, ApartSource, study_of, toy_data
from tests.samples import record_of

STUDY, CHOICE = study_of(), record_of().choice
SOURCE = SourceRef({"source": "toy"})


@dataclass
class StandIn:
    """A child that answers, or dies at its first call."""

    dies: bool
    calls: list[str] = field(default_factory=list)
    closed: bool = False
    allowed: float = inf  # seconds

    def send(self, function: str, *_: Any) -> "Future[Any]":
        self.calls.append(function.partition(":")[2])
        return Future[Any]()

    def result(self, call: "Future[Any]", timeout: float) -> dict[str, float]:
        self.allowed = timeout
        if self.dies:
            raise ChildFailed("memory", "out of memory")
        return {"loss": 0.5}

    def close(self) -> None:
        self.closed = True


Evaluation = Callable[..., FinalEvaluation]


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    """The final evaluation with these children, one after another."""

    def made(*children: StandIn, deadline: Deadline | None = None) -> FinalEvaluation:
        waiting = list(children)
        monkeypatch.setattr(final, "Child", lambda _: waiting.pop(0))
        return FinalEvaluation(STUDY, SOURCE, Limits(1, 60.0), deadline or Deadline())

    return made


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StudyWriter]:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        storage.begin(STUDY, "toy")
        yield StudyWriter(storage, STUDY)


def task(folder: Path) -> FinalTask:
    return FinalTask(CHOICE, (), folder, folder / "model")


def test_a_child_that_died_while_it_waited_is_replaced_once(
    evaluation: Evaluation, writer: StudyWriter, tmp_path: Path
) -> None:
    first, second = StandIn(dies=True), StandIn(dies=False)
    evaluating = evaluation(first, second)
    evaluating.prepare()
    evaluating.keep_model(task(tmp_path))
    evaluating.score(writer.claim("a", []), tmp_path, writer)
    assert first.closed
    assert second.calls == ["get_ready", "keep_model", "score"]
    assert second.allowed == 60.0
    assert writer.claim("a", []).score == {"loss": 0.5}


def test_a_child_that_dies_twice_ends_the_study_with_its_reason(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    with pytest.raises(CapsearchError, match="the final evaluation failed: out of memory"):
        evaluation(StandIn(dies=True), StandIn(dies=True)).keep_model(task(tmp_path))


def test_a_deadline_that_is_over_cuts_it_short_and_the_choice_may_be_finished_later(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    first, over = StandIn(dies=True), Deadline(0.5, time.monotonic() - 1.0)
    with pytest.raises(Interrupted):
        evaluation(first, deadline=over).keep_model(task(tmp_path))
    assert first.closed
    assert first.allowed == 0.0
    later = StandIn(dies=False)
    evaluation(later).keep_model(task(tmp_path))
    assert later.calls == ["get_ready", "keep_model"]


def test_a_model_that_is_kept_is_kept_once(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / reader.MANIFEST).write_text("")
    evaluation().keep_model(task(tmp_path))  # there is no child to take


def test_a_proof_is_asked_for_once_and_a_failure_is_no_reason_to_stop(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    dying = StandIn(dies=True), StandIn(dies=True)
    evaluating = evaluation(*dying)
    assert evaluating.proof() is None
    for _ in range(2):
        evaluating.begin_proof(CHOICE.job, tmp_path)
    assert dying[0].calls == ["get_ready", "prove"]
    assert evaluating.proof() == Proof(None, 0, "out of memory")
    assert dying[1].calls == ["get_ready", "prove"]
    assert evaluating.proof() is None


def test_a_proof_whose_child_was_lost_is_made_by_another(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    evaluating = evaluation(StandIn(dies=True), StandIn(dies=False))
    evaluating.begin_proof(CHOICE.job, tmp_path)
    found: object = evaluating.proof()
    assert found == StandIn(dies=False).result(Future[Any](), 1.0)


def test_an_engine_that_is_keras_has_nothing_to_prove(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keras = replace(STUDY, engine="fit/1/cpu/1 threads")
    evaluating = FinalEvaluation(keras, SOURCE, Limits(1), Deadline())
    evaluating.begin_proof(CHOICE.job, tmp_path)  # starts no child
    assert evaluating.proof() is None


def at_hand(source: ApartSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SOURCE` is this one."""
    monkeypatch.setattr(SourceRef, "open", lambda _: source)
    monkeypatch.setattr(SourceRef, "options", lambda _: SplitOptions())


def apart_study(folder: Path) -> Study:
    """A study about the rows of `ApartSource`."""
    return replace(STUDY, data=cache.prepare(ApartSource(), "toy", folder).profile)


OPENING = Opening("d", "toy-1", "a", "2026-01-02T03:04:05+00:00", None)


@pytest.mark.integration
def test_rows_that_changed_since_the_study_began_are_not_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = ApartSource()
    at_hand(source, monkeypatch)
    study = apart_study(tmp_path)
    final.get_ready(study, SOURCE)
    for split in ("train", "validation", "test"):
        changed = replace(study.data, fingerprints=study.data.fingerprints | {split: "0" * 64})
        with pytest.raises(BadRequest, match="no longer those that toy was run on"):
            final.get_ready(replace(study, data=changed), SOURCE)
    assert source.opened == 0


@pytest.fixture
def trained(tmp_path: Path) -> tuple[FinalTask, Choice]:
    """A replicate that was trained on the toy rows, and the task to keep it."""
    job = Job.of(
        Candidate((4, 3), **SMALL), study_seed=0, replicate=1, epochs=4, patience=4, engine=PACKED
    )
    (result,) = PackedEngine(threads=1).train([job], toy_data())
    rows = cache.prepare(ApartSource(), "toy", tmp_path / "cache").folder
    selected = replace(CHOICE.selected, candidate=job.candidate)
    choice = replace(CHOICE, selected=selected, job=job, val_loss=result.outcome.val_loss)
    return FinalTask(choice, result.weights, rows, tmp_path / "models" / "a"), choice


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # MLflow's, of its own model
def test_kept_weights_give_the_stored_loss_and_are_scored_on_the_opened_rows(
    trained: tuple[FinalTask, Choice], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ApartSource()
    at_hand(source, monkeypatch)
    task, _ = trained
    study = apart_study(task.data.parent)
    final.get_ready(study, SOURCE)
    (task.folder.parent / ".making-before").mkdir(parents=True)  # of a child that was killed
    final.keep_model(task)
    assert list(task.folder.parent.iterdir()) == [task.folder]
    assert (task.folder / reader.MODEL).is_file()
    assert source.opened == 0
    scored = final.score(study.key, task.folder, OPENING)
    assert (source.opened, scored["rows"]) == (1, 30)
    assert np.isfinite(scored["loss"])


@pytest.mark.integration
def test_weights_of_another_network_are_not_kept(trained: tuple[FinalTask, Choice]) -> None:
    task, _ = trained
    wrong = tuple(weights + 1.0 for weights in task.weights)
    with pytest.raises(CapsearchError, match="The test split was not opened"):
        final.keep_model(replace(task, weights=wrong))
    assert list(task.folder.parent.iterdir()) == []


@pytest.mark.integration
def test_the_compiled_engine_is_keras_on_these_rows(trained: tuple[FinalTask, Choice]) -> None:
    """CS018's number, with dropout in the job that is asked about: the proof leaves it out."""
    task, choice = trained
    asked = replace(choice.job, candidate=replace(choice.job.candidate, dropout=0.5))
    proof = final.prove(asked, task.data)
    assert proof.rows == 100
    assert proof.difference is not None
    assert 0.0 <= proof.difference < 1e-4


@pytest.mark.integration
def test_a_proof_whose_training_diverges_says_so(trained: tuple[FinalTask, Choice]) -> None:
    task, choice = trained
    wild = replace(choice.job.candidate, learning_rate=1e30, optimizer="sgd", l2=1.0, units=(4,))
    proof = final.prove(replace(choice.job, candidate=wild), task.data)
    assert proof.difference is None
    assert "diverged" in proof.reason
