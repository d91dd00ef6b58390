"""Every record comes back from the storage as it went in, whatever its numbers."""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.codec import array_of, decode, encode, floats, pack_arrays, unpack_arrays
from capsearch.records import (
    Candidate,
    Choice,
    Curve,
    DataProfile,
    Decision,
    Estimate,
    Failure,
    Job,
    Outcome,
    Proof,
    RungEvidence,
    Tracking,
    Trial,
    Uncertainty,
)
from capsearch.search import baseline_trials
from capsearch.storage import StudyStorage, StudyWriter
from tests.fakes import outcome_of, question_of, spec_of, study_of
from tests.samples import record_of

ANY = st.floats()  # NaN and both infinities among them
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
COUNT = st.integers(0, 2**31)

candidates = st.builds(
    Candidate,
    units=st.lists(st.integers(1, 256), max_size=3).map(tuple),
    l1=st.floats(0, 1),
    l2=st.floats(0, 1),
    dropout=st.floats(0, 0.9),
    learning_rate=st.floats(1e-6, 1),
    batch_size=st.integers(1, 4096),
    optimizer=st.sampled_from(["adam", "sgd"]),
)
jobs = st.builds(
    Job, candidates, seed=COUNT, shuffle_seed=COUNT, epochs=st.integers(1, 99),
    patience=st.integers(1, 9),
    stop_on=st.sampled_from(["all", "half"]), engine=TEXT, data=TEXT,
)  # fmt: skip
failures = st.builds(
    Failure, st.sampled_from(["diverged", "timeout", "memory", "crash", "lost"]), TEXT
)
estimates = st.builds(Estimate, candidates, COUNT, ANY, ANY, COUNT)
choices = st.builds(Choice, estimates, estimates, TEXT, TEXT, jobs, ANY, st.booleans())
uncertainties = st.builds(Uncertainty, ANY, COUNT, ANY, ANY, ANY, st.booleans(), TEXT)
evidence = st.builds(
    RungEvidence, COUNT, st.booleans(), parameters=st.none() | COUNT,
    val_loss=st.none() | ANY, gain=st.none() | ANY, se=st.none() | ANY, pays=st.booleans(),
)  # fmt: skip
proofs = st.builds(Proof, st.none() | ANY, COUNT, TEXT)
decisions = st.builds(
    Decision,
    estimates=st.lists(estimates, max_size=3).map(tuple),
    choice=choices,
    verdicts=st.dictionaries(TEXT, choices, max_size=2),
    uncertainty=uncertainties,
    growth=st.lists(evidence, max_size=3).map(tuple),
    proof=st.none() | proofs,
    versions=st.dictionaries(TEXT, TEXT, max_size=3),
    decided_at=TEXT,
)
profiles = st.builds(
    DataProfile, TEXT, COUNT, st.dictionaries(TEXT, COUNT, max_size=3),
    st.dictionaries(TEXT, FINITE, max_size=3), st.dictionaries(TEXT, COUNT, max_size=3),
    st.dictionaries(TEXT, TEXT, max_size=3),
)  # fmt: skip
trackings = st.builds(Tracking, TEXT, TEXT, TEXT, st.none() | TEXT)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    epochs = draw(st.integers(0, 4))
    return Curve(*(tuple(draw(st.lists(ANY, min_size=epochs, max_size=epochs))) for _ in range(4)))


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    curve, seconds = draw(curves()), draw(FINITE)
    if not len(curve) or draw(st.booleans()):
        return Outcome(curve, seconds=seconds, failure=draw(failures))
    best = draw(st.integers(1, len(curve)))
    return Outcome(curve, best, draw(FINITE), draw(ANY), seconds)


def same(one: Any, other: Any) -> bool:
    """Equal, where NaN is NaN."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, tuple):
        pairs = zip(one, other, strict=True)
        return type(other) is tuple and all(same(a, b) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)
        )
    return bool(one == other)


@given(st.one_of(outcomes(), decisions, profiles, trackings, proofs, jobs))
def test_a_record_survives_as_text(record: Any) -> None:
    text = encode(record)
    assert "NaN" not in text.replace('"NaN"', "")  # strict parsers read it
    assert same(decode(type(record), text), record)


@given(st.lists(st.floats(width=32), max_size=9))
def test_losses_survive_as_bytes(values: list[float]) -> None:
    array = np.array(values, np.float32)
    back = array_of(floats(array))
    assert back is not None
    np.testing.assert_array_equal(back, array)
    assert array_of(floats(None)) is None


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), max_size=3),
    st.none() | st.dictionaries(TEXT, st.integers()),
)
def test_weights_survive_with_their_shapes_and_kinds(shapes: list[Any], header: Any) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random(shape).astype(np.float32) for shape in shapes]
    found, back = unpack_arrays(pack_arrays(arrays, header))
    assert found == header
    assert [a.shape for a in back] == [a.shape for a in arrays]
    for one, other in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float32


SPEC = spec_of()
STUDY = study_of(SPEC)
DRAW = {
    "values": {"layers": 1, "width_1": 0.25, "l2_on": True, "optimizer": "adam"},
    "from": {"layers": '{"name": "IntDistribution"}'},
    "system": {"nsga2:generation": 3, "tpe": [1.5, None]},
}


@pytest.fixture
def storage(storage_url: str) -> Iterator[StudyStorage]:
    with closing(StudyStorage(storage_url)) as opened:
        opened.begin(STUDY, "toy")
        yield opened


def planned(**changes: Any) -> Trial:
    return replace(baseline_trials(STUDY, SPEC, question_of().space)[0], **changes)


def test_a_trial_comes_back_with_its_draw_and_its_losses(storage: StudyStorage) -> None:
    writer, trial = StudyWriter(storage, STUDY), planned(draw=DRAW)
    writer.add([trial])
    assert storage.trials(STUDY.key) == (trial,)
    writer.end(trial.job.key, outcome_of(trial.job), np.ones(3, np.float32), [np.eye(2, dtype="f")])
    (back,) = storage.trials(STUDY.key)
    assert back == trial.ended(outcome_of(trial.job))
    assert back.draw == DRAW
    assert back.outcome is not None
    np.testing.assert_array_equal(back.outcome.val_losses, outcome_of(trial.job).val_losses)
    weights = storage.weights(STUDY.key, trial.job.key)
    assert weights is not None
    np.testing.assert_array_equal(weights[0], np.eye(2))


def test_a_failed_trial_comes_back_with_its_kind(storage: StudyStorage) -> None:
    writer, trial = StudyWriter(storage, STUDY), planned()
    nan = Curve((0.5, math.nan), (1, 1), (0.6, math.inf), (1, 1))
    writer.add([trial])
    writer.end(trial.job.key, Outcome.failed("diverged", "diverged at epoch 2", nan, 2.0))
    outcome = storage.trials(STUDY.key)[0].outcome
    assert outcome is not None
    assert outcome.failure == Failure("diverged", "diverged at epoch 2")
    assert math.isnan(outcome.curve.loss[1])
    assert outcome.curve.val_loss[1] == math.inf
    assert outcome.val_losses is None
    assert storage.weights(STUDY.key, trial.job.key) is None


def test_a_decision_comes_back_whole_though_its_interval_is_open(storage: StudyStorage) -> None:
    decision = record_of().decision
    open_ended = replace(
        decision.uncertainty, loss_increase_low=-math.inf, loss_increase_high=math.inf
    )
    decided = replace(decision, uncertainty=open_ended)
    StudyWriter(storage, STUDY).decide(decided)
    row = storage.row(STUDY.key)
    assert row is not None
    assert row.decision == decided


def test_a_study_comes_back_as_it_was_begun(storage: StudyStorage) -> None:
    row = storage.row(STUDY.key)
    assert row is not None
    assert (row.name, row.digest, row.question) == (STUDY.name, STUDY.digest, STUDY.question)
    assert (row.profile, row.ladder, row.engine) == (STUDY.data, STUDY.ladder, STUDY.engine)
    assert (row.decision, row.proof, row.document, row.tracking, row.cut) == (None,) * 5
    assert storage.rows(STUDY.name) == storage.rows() == (row,)
    assert storage.rows("other") == ()


def test_a_study_reads_its_trials_in_the_order_in_which_they_were_planned(
    storage: StudyStorage, tmp_path: Path
) -> None:
    ids = ["baseline/b", "search/0/0", "search/0/10", "search/0/9", "baseline/a"]
    trials = [planned(id=id_) for id_ in ids]
    StudyWriter(storage, STUDY).add(trials[:2])
    StudyWriter(storage, STUDY).add(trials)  # the next driver plans some of them again
    assert [t.id for t in storage.trials(STUDY.key)] == ids
