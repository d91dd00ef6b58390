"""Fresh seeds in looks: more of them for networks that can still decide, and for those alone."""

from collections import Counter

import pytest

from capsearch.driver import Driver
from capsearch.errors import CapsearchError
from capsearch.records import Trial
from capsearch.selection import (
    CapacityCurve,
    Settings,
    estimates_of,
    of_finalists,
    undecided_among,
)
from tests.fakes import spec_of
from tests.flow.test_run import Flow, flow  # noqa: F401 - a fixture

OPEN = {"replicates": 2, "margin": 1e-6}  # no difference is ever known so well
CLEAR = {"replicates": 2, "margin": 5.0}


def seeds(flow: Flow) -> Counter[str]:  # noqa: F811
    return Counter(t.candidate.key for t in flow.trials("replicate"))


def test_what_is_decided_takes_no_further_seeds(flow: Flow) -> None:  # noqa: F811
    flow.spec = spec_of(select=CLEAR)
    result = flow()
    assert result.record is not None
    assert result.record.choice.standing != "open"
    assert set(seeds(flow).values()) == {2}


def test_networks_that_can_still_decide_get_four_times_the_seeds(flow: Flow) -> None:  # noqa: F811
    flow.spec = spec_of(select=OPEN)
    result = flow()
    assert result.record is not None
    record = result.record
    assert record.choice.standing == "open"
    assert record.choice.selected == record.choice.best
    assert set(seeds(flow).values()) <= {2, 4, 8}
    assert seeds(flow)[record.choice.best.candidate.key] == 8
    able = contenders_at(record.trials, flow.trials("replicate"), look=2)
    more = {key for key, count in seeds(flow).items() if count > 2}
    assert more == able
    assert flow().worked is False


def contenders_at(trials: tuple[Trial, ...], replicates: list[Trial], look: int) -> set[str]:
    """Who can still decide after so many seeds each, worked out from what is stored."""
    seen = [t for t in replicates if int(t.id.rpartition("/")[2]) <= look]
    finalists = of_finalists(trials, seen)
    curve = CapacityCurve(estimates_of(finalists))
    found = undecided_among(curve, finalists, Settings(margin=OPEN["margin"]))
    return {candidate.key for candidate in found}


def test_a_study_cut_between_looks_ends_as_one_that_was_not(
    flow: Flow,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow.spec = spec_of(select=OPEN)
    whole = flow(hold_test=True).record
    assert whole is not None
    flow.folder = flow.folder / "again"
    flow.folder.mkdir()
    told, count = Driver._told, 0

    def cut(self: Driver, trial: Trial) -> None:
        nonlocal count
        count += 1
        if count % 10 == 9:
            raise CapsearchError("cut")
        told(self, trial)

    monkeypatch.setattr(Driver, "_told", cut)
    for _ in range(30):
        try:
            again = flow(hold_test=True).record
            break
        except CapsearchError:
            continue
    else:
        pytest.fail("it never ended")
    assert again is not None
    assert again.decision.estimates == whole.decision.estimates
    assert again.decision.probabilities == whole.decision.probabilities
