"""The search on a real SQLite storage, with an engine that only pretends to train."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from capsearch import search
from capsearch.records import Outcome, Trial
from capsearch.selection import frontier, of_finalists
from capsearch.storage import StudyStore
from tests.fakes import FakeEngine, driven, outcome_of, spec_of, study_of

SPEC = spec_of()
STUDY = study_of(SPEC)
SPACE = SPEC.space_for(20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as opened:
        yield opened


def run(store: StudyStore, engine: FakeEngine) -> list[Trial]:
    """The baseline and the search."""
    return driven(search.Ladder.of(STUDY, SPEC, SPACE, store), STUDY, store, engine)


def climb(store: StudyStore, engine: FakeEngine) -> list[Trial]:
    """The search alone."""
    return [t for t in run(store, engine) if t.group == "search"]


def test_baselines_come_before_anything_else(store: StudyStore) -> None:
    assert [t.id for t in run(store, FakeEngine())[:2]] == ["baseline/original", "search/0/0"]


def test_the_budget_is_spent_evenly_over_the_rungs(store: StudyStore) -> None:
    trials = climb(store, FakeEngine())
    per_rung = [sum(t.id.startswith(f"search/{r}/") for t in trials) for r in range(3)]
    assert per_rung == [4, 4, 4]
    assert all(t.outcome and t.outcome.complete for t in trials)


def test_the_first_round_climbs_from_the_smallest_rung(store: StudyStore) -> None:
    rungs = [int(t.id.split("/")[1]) for t in climb(store, FakeEngine())]
    assert rungs == sorted(rungs)


@pytest.mark.parametrize("pack", [3, 32])
def test_what_is_suggested_does_not_depend_on_the_size_of_a_pack(
    store: StudyStore, tmp_path: Path, pack: int
) -> None:
    one = {t.id: t.candidate for t in climb(store, FakeEngine(pack=1))}
    with closing(StudyStore(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        assert {t.id: t.candidate for t in climb(other, FakeEngine(pack=pack))} == one


@pytest.mark.parametrize("survived", range(1, 13, 2))
def test_a_search_that_is_cut_goes_on_to_the_very_same_trials(
    store: StudyStore, tmp_path: Path, survived: int
) -> None:
    with closing(StudyStore(f"sqlite:///{tmp_path / 'whole.db'}")) as other:
        whole = run(other, FakeEngine())
    with pytest.raises(KeyboardInterrupt):
        run(store, FakeEngine(die_after=survived))
    again = FakeEngine()
    with closing(StudyStore(f"sqlite:///{tmp_path / 's.db'}")) as reopened:
        resumed = run(reopened, again)
    assert len(again.trained) == 13 - survived
    assert sorted(resumed, key=lambda t: t.id) == sorted(whole, key=lambda t: t.id)


def test_a_second_run_trains_nothing(store: StudyStore) -> None:
    first = climb(store, FakeEngine())
    again = FakeEngine()
    assert climb(store, again) == sorted(first, key=lambda t: t.rung)
    assert again.trained == []


def test_no_trial_is_left_running(store: StudyStore) -> None:
    climb(store, FakeEngine(fail=["linear"]))
    for rung in range(3):
        states = [t.state for t in store.optuna_trials(f"{STUDY.key}/rung-{rung}", 1)]
        assert all(state.is_finished() for state in states)


def test_a_failed_trial_is_counted_and_never_a_finalist(store: StudyStore) -> None:
    engine = FakeEngine(fail=["linear"])
    trials = climb(store, engine)
    failed = [t for t in trials if t.outcome and not t.outcome.complete]
    assert failed
    finalists = {t.candidate for t in search.replicate_trials(SPEC, trials)}
    assert not finalists & {t.candidate for t in failed}


def test_finalists_are_trained_again_with_fresh_seeds_shared_orders_and_their_own_ids(
    store: StudyStore,
) -> None:
    trials = climb(store, FakeEngine())
    replicates = search.replicate_trials(SPEC, trials)
    assert len(replicates) == 2 * len(frontier(trials)) >= 6
    assert len({t.id for t in replicates}) == len(replicates)
    assert not {t.job.seed for t in replicates} & {t.job.seed for t in trials}
    assert len({t.job.order for t in replicates}) == 2
    half = len(replicates) // 2
    assert [t.id[-2:] for t in replicates] == ["/1"] * half + ["/2"] * half


def test_baselines_are_trained_again_too_and_one_that_is_a_finalist_only_once() -> None:
    spec = spec_of(
        baseline=[
            {"name": "original", "units": [4, 4]},
            {"name": "same", "units": [4, 4]},
            {"name": "dull", "units": [4, 4], "l2": 0.1},
            {"name": "broken", "units": [2]},
        ]
    )
    original, same, dull, broken = search.baseline_trials(STUDY, spec, spec.space_for(20))
    good, bad = outcome_of(original.job), outcome_of(dull.job)
    trials = [
        original.ended(good),
        same.ended(good),
        dull.ended(replace(bad, val_loss=good.val_loss + 1.0)),
        broken.ended(Outcome.failed("diverged")),
    ]
    replicates = search.replicate_trials(spec, trials)
    assert [t.id for t in replicates] == [
        "replicate/baseline/original/1", "replicate/baseline/dull/1",
        "replicate/baseline/original/2", "replicate/baseline/dull/2",
    ]  # fmt: skip
    read = of_finalists(trials, replicates)
    assert [t.candidate for t in read] == [original.candidate] * 2


def test_a_finalist_that_was_still_improving_gets_twice_the_epochs(store: StudyStore) -> None:
    trial = search.baseline_trials(STUDY, SPEC, SPACE)[0]
    flat = (0.5, 0.4, 0.3)
    still = trial.ended(_improving(flat))
    assert {t.job.epochs for t in search.replicate_trials(SPEC, [still])} == {6}


def _improving(losses: tuple[float, ...]):  # type: ignore[no-untyped-def]
    from capsearch.records import Curve

    return Outcome(Curve(losses, losses, losses, losses), 3, 0.3, 0.9)
