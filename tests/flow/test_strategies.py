"""Every strategy on a real storage: what it suggests depends on the study alone."""

from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from capsearch import search
from capsearch.records import Trial
from capsearch.search.growth import WINDOW
from capsearch.search.ladder import shares
from capsearch.spec import StudySpec
from capsearch.storage import StudyStore
from tests.fakes import FakeEngine, LevelEngine, driven, spec_of, study_of

STRATEGIES = ["ladder", "tpe", "random", "nsga2"]
TALL = {
    "layers": {"low": 1, "high": 1},
    "units": {"low": 1, "high": 256, "log": True},
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "l2": {"low": 1e-6, "high": 1e-2, "log": True, "off": True},
}


def asking(strategy: str = "ladder", trials: int = 40, **more: Any) -> StudySpec:
    """A space tall enough for growth to end in it: 8 rungs of 5 trials, or one of 40."""
    return spec_of(space=TALL, search={"strategy": strategy, "trials": trials, "rungs": 8, **more})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


def run(url: str, spec: StudySpec, engine: FakeEngine) -> tuple[list[Trial], search.Ladder]:
    study = study_of(spec)
    with closing(StudyStore(url)) as store:
        plan = search.Ladder.of(study, spec, spec.space_for(20), store)
        return driven(plan, study, store, engine), plan


def searched(trials: list[Trial]) -> dict[str, Trial]:
    return {t.id: t for t in trials if t.group == "search"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_search_has_the_trials_it_was_given_whatever_its_strategy(
    url: str, strategy: str
) -> None:
    trials, _ = run(url, asking(strategy), LevelEngine(pack=16, enough=50))
    assert len(searched(trials)) == 40


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("pack", [3, 32])
def test_what_is_suggested_does_not_depend_on_the_size_of_a_pack(
    url: str, tmp_path: Path, strategy: str, pack: int
) -> None:
    one = run(url, asking(strategy), LevelEngine(pack=1, enough=50))[0]
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert searched(run(other, asking(strategy), LevelEngine(pack=pack, enough=50))[0]) == (
        searched(one)
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("survived", [5, 18, 30, 37])
def test_a_search_that_is_cut_goes_on_to_the_very_same_trials(
    url: str, tmp_path: Path, strategy: str, survived: int
) -> None:
    """Some trials fail, so that a generation of NSGA-II reaches over two rounds."""
    spec, fail = asking(strategy), ["1", "2", "3", "4", "5"]
    whole = run(f"sqlite:///{tmp_path / 'whole.db'}", spec, LevelEngine(enough=50, fail=fail))[0]
    with pytest.raises(KeyboardInterrupt):
        run(url, spec, LevelEngine(enough=50, fail=fail, die_after=survived))
    resumed = run(url, spec, LevelEngine(enough=50, fail=fail))[0]
    assert searched(resumed) == searched(whole)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_many_workers_tell_does_not_matter(
    url: str, tmp_path: Path, strategy: str, seed: int
) -> None:
    in_order = run(url, asking(strategy), LevelEngine(enough=50))[0]
    spec, rng = asking(strategy), Random(seed)
    study, flying, ended = study_of(spec), list[Trial](), list[Trial]()
    with closing(StudyStore(f"sqlite:///{tmp_path / 'many.db'}")) as store:
        plan = search.Ladder.of(study, spec, spec.space_for(20), store)
        while True:
            flying += plan.take(rng.randint(1, 20))
            if not flying:
                break
            trial = flying.pop(rng.randrange(len(flying)))
            ended.append(trial.ended(LevelEngine(enough=50).outcome(trial.job)))
            plan.tell(ended[-1])
    assert searched(ended) == searched(in_order)


def test_growth_ends_once_larger_networks_no_longer_pay(url: str) -> None:
    """From 50 parameters on (rung 1) nothing is gained."""
    trials, plan = run(url, asking(), LevelEngine(pack=16, enough=50))
    opened = max(rung for rung in range(8) if plan.evidence[rung].pays) + 1 + WINDOW + 1
    assert [e.opened for e in plan.evidence] == [True] * opened + [False] * (8 - opened)
    assert opened < 8
    per_rung = [sum(t.startswith(f"search/{r}/") for t in searched(trials)) for r in range(8)]
    assert per_rung == shares(40, opened) + [0] * (8 - opened)


def test_growth_goes_on_while_it_pays_and_to_the_end_when_it_is_told_to(
    url: str, tmp_path: Path
) -> None:
    assert all(e.opened for e in run(url, asking(), LevelEngine(enough=10_000))[1].evidence)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert all(e.opened for e in run(other, asking(grow=False), LevelEngine(enough=50))[1].evidence)


def test_the_evidence_can_be_had_again_from_stored_trials(url: str) -> None:
    spec = asking()
    trials, plan = run(url, spec, LevelEngine(enough=50))
    with closing(StudyStore(url)) as store:
        again = search.Ladder.of(study_of(spec), spec, spec.space_for(20), store)
        assert {t.id for t in again.waiting} == {t.id for t in trials}
        for trial in reversed(trials):
            again.tell(trial)
    assert again.evidence == plan.evidence


def test_workers_find_several_rungs_open_at_once(url: str) -> None:
    spec = asking()
    with closing(StudyStore(url)) as store:
        plan = search.Ladder.of(study_of(spec), spec, spec.space_for(20), store)
        taken = [t for t in plan.take(100) if t.group == "search"]
        assert {t.id.split("/")[1] for t in taken} == {str(rung) for rung in range(WINDOW)}
        assert len(taken) == plan.width == WINDOW * 4


@pytest.mark.parametrize(("trials", "each"), [(24, 3), (96, 4), (480, 10), (10_000, 32)])
def test_a_larger_search_asks_for_more_at_once(url: str, trials: int, each: int) -> None:
    """Each of 8 rungs a sixth of its share, 4 at least and 32 at most."""
    spec = asking(trials=trials)
    with closing(StudyStore(url)) as store:
        plan = search.Ladder.of(study_of(spec), spec, spec.space_for(20), store)
        taken = [t for t in plan.take(10_000) if t.group == "search"]
    assert len(taken) == plan.width == WINDOW * each


@pytest.mark.parametrize("strategy", ["tpe", "random", "nsga2"])
def test_a_strategy_without_rungs_draws_from_the_whole_space(url: str, strategy: str) -> None:
    trials = searched(run(url, asking(strategy, 60), LevelEngine(pack=16, enough=50))[0])
    assert len({t.rung for t in trials.values()}) >= 6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_argument_of_a_sampler_is_one_that_optuna_still_knows(strategy: str) -> None:
    asked = asking(strategy).search
    search.sampler_of(asked, 1, 2, 4)
    assert search.sampling(asked)["sampler"] == type(search.sampler_of(asked, 1, 2, 4)).__name__
