"""Every strategy on a real storage: what it suggests depends on the study alone."""

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from capsearch import search
from capsearch.families.space import Band
from capsearch.records import Trial
from capsearch.search import rounds
from capsearch.search.plan import shares
from capsearch.search.strategies import sampler_of
from capsearch.spec import StudySpec
from capsearch.spec.strategies import STRATEGIES, WINDOW, Sampling
from capsearch.storage import StudyStorage
from tests.fakes import (
    FakeEngine,
    FakeExecutor,
    LevelEngine,
    driven,
    outcome_of,
    question_of,
    spec_of,
)

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


def run(
    url: str, spec: StudySpec, engine: FakeEngine, pack: int = 16, **more: Any
) -> tuple[list[Trial], search.Ladder]:
    """All trials of the study, trained by one driver; and its plan."""
    question = question_of(spec)
    with closing(StudyStorage(url)) as storage:
        plan = search.Ladder.of(question, storage.trials(question.study.key))
        driven(plan, question.study, storage, FakeExecutor(engine, **more), pack=pack)
        return list(storage.trials(question.study.key)), plan


def searched(trials: list[Trial]) -> dict[str, str]:
    """Each trial of the search to the last digit; as text, for NaN is not equal to itself."""
    return {t.id: repr(replace(t, starts=0)) for t in trials if t.group == "search"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_search_has_the_trials_it_was_given_whatever_its_strategy(
    url: str, strategy: str
) -> None:
    trials, _ = run(url, asking(strategy), LevelEngine(enough=50))
    assert len(searched(trials)) == 40


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("pack", [3, 32])
def test_what_is_suggested_does_not_depend_on_the_size_of_a_pack(
    url: str, tmp_path: Path, strategy: str, pack: int
) -> None:
    one = run(url, asking(strategy), LevelEngine(enough=50), pack=1)[0]
    other = f"sqlite:///{tmp_path / 'other.db'}"
    many = run(other, asking(strategy), LevelEngine(enough=50), pack=pack)[0]
    assert searched(many) == searched(one)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("survived", [5, 30])
def test_a_search_that_is_cut_goes_on_to_the_very_same_trials(
    url: str, tmp_path: Path, strategy: str, survived: int
) -> None:
    """Some trials fail, so that a generation of NSGA-II reaches over two rounds."""
    spec, fail = asking(strategy), ["1", "2", "3", "4", "5"]
    whole = run(f"sqlite:///{tmp_path / 'whole.db'}", spec, LevelEngine(enough=50, fail=fail))[0]
    with pytest.raises(KeyboardInterrupt):
        run(url, spec, LevelEngine(enough=50, fail=fail), pack=1, die_after=survived)
    resumed = run(url, spec, LevelEngine(enough=50, fail=fail))[0]
    assert searched(resumed) == searched(whole)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", [1])
def test_the_order_in_which_many_workers_end_does_not_matter(
    url: str, tmp_path: Path, strategy: str, seed: int
) -> None:
    in_order = run(url, asking(strategy), LevelEngine(enough=50))[0]
    other, engine = f"sqlite:///{tmp_path / 'many.db'}", LevelEngine(enough=50)
    many = run(other, asking(strategy), engine, pack=2, slots=7, rng=Random(seed))[0]
    assert searched(many) == searched(in_order)


def test_growth_ends_once_larger_networks_no_longer_pay(url: str) -> None:
    """From 50 parameters on (rung 1) nothing is gained, so every open rung may be the answer."""
    trials, plan = run(url, asking(), LevelEngine(enough=50))
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
    again = search.Ladder.of(question_of(spec), trials)
    assert again.evidence == plan.evidence
    assert again.take() == []


def test_workers_find_several_rungs_open_at_once() -> None:
    plan = search.Ladder.of(question_of(asking()))
    assert plan.width == WINDOW * 4
    taken = [t for t in plan.take() if t.group == "search"]
    assert {t.id.split("/")[1] for t in taken} == {str(rung) for rung in range(WINDOW)}
    assert len(taken) == WINDOW * 4


@pytest.mark.parametrize(("trials", "width"), [(24, 8), (96, 15), (480, 24), (10_000, 96)])
def test_a_larger_search_asks_for_more_at_once(trials: int, width: int) -> None:
    """Of three rungs of 8, a sixth of what each spends at first, 4 at least and 32 at most.

    By hand, 96 trials: 72 at first, 9 a rung, in rounds of 5 and 4.
    """
    plan = search.Ladder.of(question_of(asking(trials=trials)))
    assert plan.width == width
    taken = [t for t in plan.take() if t.group == "search"]
    assert len(taken) == width


@pytest.mark.parametrize(
    ("share", "sizes"),
    [
        (3, [3]),
        (12, [4, 4, 4]),
        (13, [5, 4, 4]),
        (50, [9, 9, 8, 8, 8, 8]),
        (70, [12, 12, 12, 12, 11, 11]),
    ],
)
def test_rounds_are_equal_so_that_none_keeps_few_workers_busy(share: int, sizes: list[int]) -> None:
    """And what is added to a budget comes in rounds of their smallest size."""
    question = question_of(asking("ladder"))
    band = Band(*question.study.ladder[:2])
    part, found = rounds.Rounds(question, 0, band, share), list[int]()
    while asked := part.ask():
        found.append(len(asked))
        for trial in asked:
            part.tell(trial.ended(outcome_of(trial.job)))
    assert found == sizes
    part.budget = share + 100
    assert len(part.ask()) == sizes[-1]


def test_a_search_that_is_stopped_ends_what_is_open_and_asks_no_more(url: str) -> None:
    question = question_of(asking())
    with closing(StudyStorage(url)) as storage:
        plan = search.Ladder.of(question)
        opened = plan.take()
        plan.waiting, plan.stopped = opened, True
        ended = driven(plan, question.study, storage)
    assert {t.id for t in ended} == {t.id for t in opened}


@pytest.mark.parametrize("strategy", ["tpe", "random", "nsga2"])
def test_a_strategy_without_rungs_draws_from_the_whole_space(url: str, strategy: str) -> None:
    trials, _ = run(url, asking(strategy, 60), LevelEngine(enough=50))
    assert len({t.rung for t in trials if t.group == "search"}) >= 6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_argument_of_a_sampler_is_one_that_optuna_still_knows(strategy: str) -> None:
    sampling = STRATEGIES[strategy]
    assert type(sampler_of(sampling, 0, 1, 2, 4)).__name__ == sampling.sampler


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_stored_sampling_is_read_back_equal(strategy: str) -> None:
    sampling = STRATEGIES[strategy]
    assert Sampling(**json.loads(json.dumps(asdict(sampling)))) == sampling


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_trial_is_drawn_once_however_often_the_search_is_cut(
    url: str, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = list[tuple[int, int]]()

    def count(sampling: Sampling, seed: int, part: int, number: int, size: int) -> Any:
        drawn.append((part, number))
        return sampler_of(sampling, seed, part, number, size)

    monkeypatch.setattr(rounds, "sampler_of", count)
    for survived in (7, 9, 11):
        with pytest.raises(KeyboardInterrupt):
            run(url, asking(strategy), LevelEngine(enough=50), pack=1, die_after=survived)
    run(url, asking(strategy), LevelEngine(enough=50))
    assert len(drawn) == len(set(drawn)) == 40
