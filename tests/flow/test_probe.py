"""What can be memorised: planned by hand, counted by hand, and seen on toy rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capsearch import probe
from capsearch.data import cache
from capsearch.data.source import Rows
from capsearch.errors import CapsearchError
from capsearch.executors import Limits
from capsearch.families.space import bands, count_parameters, ladder
from capsearch.records import Candidate, Curve, Job, Outcome
from capsearch.tasks import BINARY
from capsearch.tasks.chance import reachable
from tests.fakes import PACKED, ToySource, spec_of, toy_rows

SPACE = spec_of().space_for(20)
LADDER = ladder(SPACE, 3)


def plan_of(*units: tuple[int, ...], seeds: int = 1, epochs: int = 80) -> probe.ProbePlan:
    return probe.ProbePlan(tuple(Candidate(u, batch_size=16) for u in units), 20, 0, seeds, epochs)


def reached(accuracy: float, best: int = 1) -> Outcome:
    """An outcome of so much training accuracy, at its epoch `best`."""
    series = (0.5,) * best
    return Outcome(Curve(series, series, series, (accuracy,) * best), best, 0.5, accuracy)


class Answers:
    """Answers as the child would, from a table of accuracies; remembers what it was asked."""

    def __init__(self, *answers: Sequence[Outcome]) -> None:
        self.answers, self.asked = list(answers), list[Sequence[Job]]()

    def __call__(self, labels: Sequence[int], jobs: Sequence[Job]) -> probe.ProbeResult:
        self.asked.append(jobs)
        return probe.ProbeResult(list(self.answers.pop(0)), 200, 0.5, 1.0)


def test_every_rung_has_a_network_of_its_size_and_the_first_is_linear() -> None:
    spec = spec_of(space={"layers": {"low": 0, "high": 2}, "units": {"low": 1, "high": 64}})
    space = spec.space_for(1000)
    edges = ladder(space, 4)
    planned = probe.plan(space, edges, rows=5000, seed=0, seeds=1, epochs=10)
    sizes = [count_parameters(c.units, 1000) for c in planned.candidates]
    assert planned.candidates[0].units == ()
    assert all(band.low <= size < band.high for band, size in zip(bands(edges), sizes, strict=True))
    assert {c.batch_size for c in planned.candidates} == {500}
    assert {(c.l1, c.l2, c.dropout) for c in planned.candidates} == {(0.0, 0.0, 0.0)}


def test_a_space_without_a_linear_model_begins_with_a_layer() -> None:
    spec = spec_of(space={"layers": {"low": 1, "high": 2}, "units": {"low": 1, "high": 8}})
    space = spec.space_for(20)
    planned = probe.plan(space, ladder(space, 3), rows=50, seed=0, seeds=1, epochs=10)
    assert all(len(c.units) == 1 for c in planned.candidates)
    assert planned.candidates[0].batch_size == 16


def test_what_can_be_reached_is_less_than_all_where_equal_rows_have_unlike_labels() -> None:
    x = sparse.csr_matrix(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32))
    rows = Rows(x, np.array([1, 1, 0, 0], np.float32))
    assert reachable(BINARY, rows.x, rows.y) == 0.75
    assert reachable(BINARY, x.toarray(), rows.y) == 0.75


@given(st.integers(0, 1000), st.integers(1, 5))
def test_shuffling_keeps_the_rows_and_the_balance_and_depends_on_its_seed(
    seed: int, number: int
) -> None:
    rows = toy_rows(100)
    dealt = probe.shuffled(rows, (seed, number))
    assert dealt.x is rows.x
    assert dealt.y.sum() == rows.y.sum()
    assert np.array_equal(dealt.y, probe.shuffled(rows, (seed, number)).y)
    assert not np.array_equal(dealt.y, probe.shuffled(rows, (seed, number + 1)).y)


def test_the_share_memorised_by_hand() -> None:
    heard = probe.ProbeResult([], 100, 0.5, 1.0)
    assert heard.learned(reached(0.9)) == pytest.approx(0.8)
    assert heard.learned(reached(0.4)) == 0.0
    assert heard.learned(Outcome.failed("diverged")) == 0.0
    assert heard._replace(reachable=0.9).learned(reached(0.9)) == 1.0


def test_the_best_rate_counts_and_only_what_has_not_learned_all_is_trained_on() -> None:
    first = [reached(a) for a in (0.6, 0.7, 0.5, 0.9, 1.0, 0.5)]
    train = Answers(first, [reached(a) for a in (0.75, 0.8, 0.6)])
    heard = probe.one_seed(plan_of((), (64,)), 1, train)
    assert [o.val_accuracy for o in heard.outcomes] == [0.8, 1.0]
    early, late = train.asked
    assert {job.epochs for job in early} == {10}
    assert {(job.epochs, job.patience) for job in late} == {(80, 80)}
    assert {job.candidate.units for job in late} == {()}
    assert [job.candidate.learning_rate for job in late] == list(probe.RATES)


def test_the_first_pass_is_enough_when_all_have_learned_all() -> None:
    train = Answers([reached(1.0)] * 3)
    probe.one_seed(plan_of((64,)), 1, train)
    assert len(train.asked) == 1


@pytest.mark.integration
def test_on_toy_rows_a_wide_network_memorises_all_and_a_linear_one_does_not(tmp_path: Path) -> None:
    prepared = cache.prepare(ToySource(), "toy", tmp_path)
    seen = list[int]()
    asked = plan_of((), (2,), (128,), seeds=2, epochs=400)
    found = probe.run(asked, prepared.folder, PACKED, Limits(1, 60.0), seen.append)
    linear, _, wide = found.sizes
    assert seen == [1, 2]
    assert (found.rows, linear.parameters) == (200, 21)
    assert linear.mean < 0.5  # 21 parameters separate 2 x 21 rows in general position (Cover 1965)
    assert min(wide.learned) >= probe.ALL
    assert found.smallest == wide
    again = probe.run(asked, prepared.folder, PACKED, Limits(1, 60.0), seen.append)
    assert again == found
    document = probe.document("toy", found)
    assert document["smallest"] == document["sizes"][-1]
    assert document["sizes"][0]["learned"] == list(linear.learned)


@pytest.mark.integration
def test_where_no_size_memorises_all_none_is_named(tmp_path: Path) -> None:
    prepared = cache.prepare(ToySource(), "toy", tmp_path)
    asked = plan_of((), epochs=8)
    found = probe.run(asked, prepared.folder, PACKED, Limits(1, 60.0), lambda _: None)
    assert found.smallest is None
    assert found.sizes[0].unfinished  # its loss still fell at the eighth epoch
    assert probe.document("toy", found)["smallest"] is None


@pytest.mark.integration
def test_a_probe_whose_child_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CapsearchError, match=r"the probe failed: crashed: |damaged"):
        probe.run(plan_of(()), tmp_path, PACKED, Limits(1, 60.0), lambda _: None)
