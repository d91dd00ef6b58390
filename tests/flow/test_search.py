"""The search on a real SQLite storage, with an engine that only pretends to train."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json

from capsearch import search
from capsearch.records import Curve, Outcome, Trial
from capsearch.search import rounds
from capsearch.search.exchange import beside
from capsearch.search.strategies import sampler_of
from capsearch.selection import frontier, of_finalists
from capsearch.spec.strategies import STRATEGIES, Sampling
from capsearch.storage import StudyStorage
from tests.fakes import (
    FakeEngine,
    FakeExecutor,
    driven,
    outcome_of,
    question_of,
    spec_of,
    study_of,
)

SPEC = spec_of()
STUDY = study_of(SPEC)
SPACE = SPEC.space_for(20)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StudyStorage]:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as opened:
        yield opened


def run(storage: StudyStorage, executor: FakeExecutor | None = None, pack: int = 1) -> list[Trial]:
    """The baseline and the search, whatever of it has ended before; in the order of the plan."""
    plan = search.Ladder.of(question_of(SPEC), storage.trials(STUDY.key))
    driven(plan, STUDY, storage, executor, pack=pack)
    return list(storage.trials(STUDY.key))


def climb(
    storage: StudyStorage, executor: FakeExecutor | None = None, pack: int = 1
) -> list[Trial]:
    """The search alone."""
    return [t for t in run(storage, executor, pack) if t.group == "search"]


def test_baselines_come_before_anything_else(storage: StudyStorage) -> None:
    executor = FakeExecutor()
    assert [t.id for t in run(storage, executor)[:2]] == ["baseline/original", "search/0/0"]
    assert executor.packs[0].jobs[0].candidate.units == (4, 4)


def test_a_quarter_of_the_budget_waits_for_what_all_rungs_have_found(storage: StudyStorage) -> None:
    trials = climb(storage)
    per_rung = [sum(t.id.startswith(f"search/{r}/") for t in trials) for r in range(3)]
    assert sum(per_rung) == 12
    assert min(per_rung) >= 3
    assert all(t.outcome and t.outcome.complete for t in trials)


def test_what_is_left_begins_with_the_settings_of_the_neighbouring_rungs(
    storage: StudyStorage,
) -> None:
    trials = {t.id: t for t in climb(storage)}
    own = [[trials[f"search/{rung}/{number}"] for number in range(3)] for rung in range(3)]
    tried = 0
    for rung in range(3):
        for place, values in enumerate(beside(own, rung, 0)):
            trial = trials.get(f"search/{rung}/{3 + place}")
            if trial is not None and trial.draw is not None:
                drawn = trial.draw["values"]
                shared = drawn.keys() & values.keys() - {"layers"}
                assert {name: drawn[name] for name in shared} == {n: values[n] for n in shared}
                assert "learning_rate" in shared
                tried += 1
    assert tried


def test_the_first_round_climbs_from_the_smallest_rung(storage: StudyStorage) -> None:
    rungs = [int(t.id.split("/")[1]) for t in climb(storage)]
    assert rungs == sorted(rungs)


@pytest.mark.parametrize("pack", [3, 32])
def test_what_is_suggested_does_not_depend_on_the_size_of_a_pack(
    storage: StudyStorage, tmp_path: Path, pack: int
) -> None:
    one = {t.id: t.candidate for t in climb(storage)}
    with closing(StudyStorage(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        assert {t.id: t.candidate for t in climb(other, pack=pack)} == one


@pytest.mark.parametrize("survived", range(1, 13, 2))
def test_a_search_that_is_cut_goes_on_to_the_very_same_trials(
    storage: StudyStorage, tmp_path: Path, survived: int
) -> None:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 'whole.db'}")) as other:
        whole = run(other)
    with pytest.raises(KeyboardInterrupt):
        run(storage, FakeExecutor(die_after=survived))
    kept = sum(t.outcome is not None for t in storage.trials(STUDY.key))
    again = FakeExecutor()
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as reopened:
        resumed = run(reopened, again)
    assert len(again.engine.trained) == 13 - kept
    assert kept >= survived - 1
    assert resumed == whole


def test_a_second_run_trains_nothing_and_asks_nothing(
    storage: StudyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(storage)
    monkeypatch.setattr(rounds, "sampler_of", None)  # nobody may want one
    again = FakeExecutor()
    assert run(storage, again) == first
    assert again.packs == []


def test_a_resumed_search_reads_its_draws_and_asks_for_open_rounds_only(
    storage: StudyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rounds of three, asked in the first moment; the last three when all of them ended."""
    asked = list[tuple[int, int]]()

    def count(sampling: Sampling, seed: int, part: int, number: int, size: int) -> Any:
        asked.append((part, number))
        return sampler_of(sampling, seed, part, number, size)

    monkeypatch.setattr(rounds, "sampler_of", count)
    with pytest.raises(KeyboardInterrupt):
        run(storage, FakeExecutor(die_after=2))
    assert asked == [(part, number) for part in range(3) for number in range(3)]
    asked.clear()
    run(storage)
    assert len(asked) == 3
    assert all(number >= 3 for _, number in asked)
    asked.clear()
    run(storage)
    assert asked == []


def test_every_trial_that_was_drawn_keeps_its_draw(storage: StudyStorage) -> None:
    for trial in climb(storage):
        assert trial.draw is not None
        assert set(trial.draw["values"]) == set(trial.draw["from"])


def test_a_failed_trial_is_counted_and_never_a_finalist(storage: StudyStorage) -> None:
    trials = climb(storage, FakeExecutor(FakeEngine(fail=["linear"])))
    assert len(trials) == 12
    failed = [t for t in trials if t.outcome and not t.outcome.complete]
    assert failed
    finalists = {t.candidate for t in search.replicate_trials(STUDY, SPEC, trials)}
    assert not finalists & {t.candidate for t in failed}


def test_finalists_are_trained_again_with_fresh_seeds_shared_orders_and_their_own_ids(
    storage: StudyStorage,
) -> None:
    trials = climb(storage)
    replicates = search.replicate_trials(STUDY, SPEC, trials)
    assert len(replicates) == 2 * len(frontier(trials)) >= 6
    assert len({t.id for t in replicates}) == len(replicates)
    assert not {t.job.seed for t in replicates} & {t.job.seed for t in trials}
    assert len({t.job.shuffle_seed for t in replicates}) == 2
    half = len(replicates) // 2
    assert [t.id[-2:] for t in replicates] == ["/1"] * half + ["/2"] * half


def test_those_who_race_have_seeds_of_their_own_and_only_who_races_to_the_end_can_be_a_finalist(
    storage: StudyStorage,
) -> None:
    trials, sampling = climb(storage), STRATEGIES["ladder"]
    seeds, known = Counter[str](), list(trials)
    for heat, each in zip(search.HEATS, (sampling.race_seeds, sampling.last_seeds), strict=True):
        races = search.race_trials(STUDY, SPEC, known, sampling, heat)
        assert set(Counter(t.candidate.key for t in races).values()) == {each}
        assert {t.candidate for t in frontier(known)} <= {t.candidate for t in races}
        seeds.update(t.candidate.key for t in races)
        known += [t.ended(outcome_of(t.job)) for t in races]
    again = search.replicate_trials(STUDY, SPEC, known)
    raced = {t.job.seed for t in known if t.group == "race"}
    assert not raced & {t.job.seed for t in [*trials, *again]}
    assert {seeds[t.candidate.key] for t in frontier(known)} == {3}
    assert len(seeds) > len(frontier(known))


def test_a_race_that_diverges_is_no_reason_to_leave_it(storage: StudyStorage) -> None:
    trials, sampling = climb(storage), STRATEGIES["ladder"]
    first = search.race_trials(STUDY, SPEC, trials, sampling, 0)
    ended = [first[0].ended(Outcome.failed("diverged"))]
    ended += [t.ended(outcome_of(t.job)) for t in first[1:]]
    last = search.race_trials(STUDY, SPEC, [*trials, *ended], sampling, 1)
    assert first[0].candidate not in {t.candidate for t in last}  # it has no loss at all
    ended += [last[0].ended(Outcome.failed("diverged"))]
    ended += [t.ended(outcome_of(t.job)) for t in last[1:]]
    assert frontier([*trials, *ended])
    whole = {t.candidate for t in last}
    assert {t.candidate for t in frontier([*trials, *ended])} <= whole


@pytest.mark.parametrize("heat", search.HEATS)
def test_a_study_that_was_begun_without_races_goes_on_without_them(
    storage: StudyStorage, heat: int
) -> None:
    before = Sampling("TPESampler", {}, 4, by_rung=True)
    assert search.race_trials(STUDY, SPEC, climb(storage), before, heat) == []


def test_a_study_that_was_begun_with_one_heat_has_one(storage: StudyStorage) -> None:
    before = Sampling("TPESampler", {}, 4, by_rung=True, racers=3, race_seeds=2)
    trials = climb(storage)
    races = search.race_trials(STUDY, SPEC, trials, before, 0)
    assert set(Counter(t.candidate.key for t in races).values()) == {2}
    ended = [t.ended(outcome_of(t.job)) for t in races]
    assert search.race_trials(STUDY, SPEC, [*trials, *ended], before, 1) == []


def test_more_fresh_seeds_begin_with_those_that_were_asked_for(storage: StudyStorage) -> None:
    trials = climb(storage)
    fewer, more = (search.replicate_trials(STUDY, SPEC, trials, count) for count in (2, 5))
    assert more[: len(fewer)] == fewer
    assert len(more) == 5 * len(fewer) // 2


@pytest.mark.parametrize("on", [False, True])
def test_a_search_goes_on_from_draws_that_an_earlier_version_made(
    storage: StudyStorage, on: bool
) -> None:
    """Whether L1 is on was a flag of its own once, and what is on a value beside it."""
    once = {"l1_on": CategoricalDistribution([False, True]), "l1": FloatDistribution(1e-8, 1e-3)}
    drawn = {"l1_on": True, "l1": 1e-5} if on else {"l1_on": False}
    space = SPEC.model_dump()["space"] | {"l1": {"low": 1e-8, "high": 1e-3, "off": True}}
    question = question_of(spec_of(space=space))
    names = {name: distribution_to_json(once[name]) for name in drawn}
    past = [
        replace(t, draw={"values": drawn, "from": names, "system": {}})
        for t in climb(storage)
        if t.id.endswith(("/0", "/1", "/2"))
    ]
    asked = [t for t in search.Ladder.of(question, past).take() if t.draw]
    assert len(asked) == 3
    assert all(t.draw and "l1_position" in t.draw["values"] for t in asked)


def test_a_larger_budget_begins_with_the_trials_of_the_smaller(storage: StudyStorage) -> None:
    first = {t.id: t for t in climb(storage)}
    plan = search.Ladder.of(question_of(SPEC), storage.trials(STUDY.key), trials=18)
    executor = FakeExecutor()
    driven(plan, STUDY, storage, executor)
    more = {t.id: t for t in storage.trials(STUDY.key) if t.group == "search"}
    assert len(more) == 18
    assert {id_: trial for id_, trial in more.items() if id_ in first} == first
    assert len(executor.engine.trained) == 6


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
    replicates = search.replicate_trials(STUDY, spec, trials)
    assert [t.id for t in replicates] == [
        "replicate/baseline/original/1", "replicate/baseline/dull/1",
        "replicate/baseline/original/2", "replicate/baseline/dull/2",
    ]  # fmt: skip
    read = of_finalists(trials, replicates)
    assert [t.candidate for t in read] == [original.candidate] * 2


def test_a_finalist_that_was_still_improving_gets_twice_the_epochs() -> None:
    trial, losses = search.baseline_trials(STUDY, SPEC, SPACE)[0], (0.5, 0.4, 0.3)
    still = trial.ended(Outcome(Curve(losses, losses, losses, losses), 3, 0.3, 0.9))
    assert {t.job.epochs for t in search.replicate_trials(STUDY, SPEC, [still])} == {6}
