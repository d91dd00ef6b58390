"""How trainings are handed out, counted, and blamed: once each, and only for their own faults."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from capsearch import search
from capsearch.data import cache
from capsearch.errors import Interrupted
from capsearch.executors import InlineExecutor, Pack, Unusable
from capsearch.executors import Rows as RowsRef
from capsearch.records import Trial
from capsearch.search import Listed, dispatch
from capsearch.search.dispatch import MOST_STARTS
from capsearch.storage import FenceLost, StudyStorage, StudyWriter
from tests.fakes import (
    FakeEngine,
    FakeExecutor,
    dispatcher_of,
    driven,
    question_of,
    spec_of,
    study_of,
    toy_data,
)

SPEC = spec_of(baseline=[{"name": f"of {n}", "units": [n]} for n in range(1, 9)])
STUDY = study_of(SPEC)
TRIALS = search.baseline_trials(STUDY, SPEC, SPEC.space_for(20))
KEYS = [t.job.key for t in TRIALS]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StudyStorage]:
    with closing(StudyStorage(f"sqlite:///{tmp_path / 's.db'}")) as opened:
        yield opened


def listed(count: int = 8) -> Listed:
    return Listed(TRIALS[:count])


def starts(storage: StudyStorage) -> list[int]:
    return [t.starts for t in storage.trials(STUDY.key)]


def holds(number: int, pack: Pack) -> bool:
    return KEYS[number] in [job.key for job in pack.jobs]


def test_a_start_is_stored_before_the_pack_is_handed_out(storage: StudyStorage) -> None:
    seen = list[list[int]]()

    class Looks(FakeExecutor):
        def submit(self, pack, priority):  # type: ignore[no-untyped-def]
            seen.append(starts(storage))
            return super().submit(pack, priority)

    driven(listed(4), STUDY, storage, Looks(), pack=2)
    assert seen == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_an_outcome_is_stored_before_anybody_hears_of_it(storage: StudyStorage) -> None:
    executor = FakeExecutor()
    dispatcher = dispatcher_of(STUDY, storage, executor)

    def on_trial(trial: Trial) -> None:
        stored = {t.id: t for t in storage.trials(STUDY.key)}
        assert stored[trial.id].outcome == trial.outcome

    assert len(dispatcher.train(listed(), on_trial, executor.tick)) == 8


@pytest.mark.parametrize("end", [KeyboardInterrupt, Interrupted("the deadline is over")])
def test_an_end_in_good_order_gives_starts_back(
    storage: StudyStorage, end: BaseException | type[BaseException]
) -> None:
    executor = FakeExecutor(slots=2)
    dispatcher = dispatcher_of(STUDY, storage, executor)
    began = list[list[int]]()

    def tick() -> None:
        began.append(starts(storage))
        raise end

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        dispatcher.train(listed(), lambda _: None, tick)
    assert began == [[1] * 6 + [0] * 2]
    assert starts(storage) == [0] * 8


def test_an_end_while_results_are_stored_gives_back_those_that_were_not(
    storage: StudyStorage,
) -> None:
    """A signal comes in the middle of a pack's results."""
    executor = FakeExecutor()
    dispatcher = dispatcher_of(STUDY, storage, executor)

    def on_trial(trial: Trial) -> None:
        if trial.id == TRIALS[2].id:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatcher.train(listed(), on_trial, executor.tick)
    assert starts(storage) == [1, 1, 1, 0, 0, 0, 0, 0]
    assert [t.outcome is not None for t in storage.trials(STUDY.key)] == [True] * 3 + [False] * 5


def test_a_driver_that_dies_gives_nothing_back_and_its_successor_begins_again(
    storage: StudyStorage,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        driven(listed(), STUDY, storage, FakeExecutor(die_after=4), pack=2)
    assert starts(storage) == [1] * 6 + [0] * 2  # it died after it had stored two packs
    again = FakeExecutor()
    ended = driven(listed(), STUDY, storage, again)
    assert len(ended) == 8
    assert again.engine.trained == [t.job for t in TRIALS[4:]]


def test_one_loss_blames_nobody(storage: StudyStorage) -> None:
    lost = list[Pack]()

    def lose(pack: Pack) -> bool:
        lost.append(pack)
        return len(lost) == 1

    executor = FakeExecutor(lose=lose)
    ended = driven(listed(), STUDY, storage, executor)
    assert all(t.outcome and t.outcome.complete for t in ended)
    assert [len(pack.jobs) for pack in executor.packs] == [8, 8]
    assert starts(storage) == [2] * 8


def test_a_training_that_was_lost_twice_trains_alone(storage: StudyStorage) -> None:
    """Were it lost again, it should not take others along."""
    executor = FakeExecutor(lose=lambda pack: len(executor.packs) < 3)
    ended = driven(listed(3), STUDY, storage, executor)
    assert all(t.outcome and t.outcome.complete for t in ended)
    assert [len(pack.jobs) for pack in executor.packs] == [3, 3, 1, 1, 1]


def test_the_sixth_loss_of_a_training_fails_it_and_no_other(storage: StudyStorage) -> None:
    executor = FakeExecutor(lose=lambda pack: holds(2, pack))
    ended = {t.id: t.outcome for t in driven(listed(4), STUDY, storage, executor)}
    failed = ended[TRIALS[2].id]
    assert failed is not None
    assert failed.failure is not None
    assert failed.failure.kind == "lost"
    assert str(MOST_STARTS) in failed.failure.text
    assert sum(holds(2, pack) for pack in executor.packs) == MOST_STARTS == 6
    assert sum(o is not None and o.complete for o in ended.values()) == 3
    assert executor.engine.trained.count(TRIALS[1].job) == 1


def test_losses_are_counted_over_drivers(storage: StudyStorage) -> None:
    """Each dies while it hands the same training out; none of them outlives it."""
    for _ in range(MOST_STARTS):
        with pytest.raises(KeyboardInterrupt):
            driven(listed(1), STUDY, storage, FakeExecutor(die_after=0))
    assert starts(storage) == [MOST_STARTS]
    executor = FakeExecutor()
    (trial,) = driven(listed(1), STUDY, storage, executor)
    assert trial.outcome is not None
    assert trial.outcome.failure is not None
    assert trial.outcome.failure.kind == "lost"
    assert executor.packs == []


def test_what_has_ended_is_not_trained_again_by_the_next_driver(storage: StudyStorage) -> None:
    first = driven(listed(), STUDY, storage)
    again = FakeExecutor()
    assert driven(listed(), STUDY, storage, again) == first
    assert again.packs == []


def test_trials_with_the_same_job_share_one_training(storage: StudyStorage) -> None:
    twin = replace(TRIALS[0], id="baseline/twin", name="twin")
    late = replace(TRIALS[0], id="baseline/late", name="late")

    class Later:
        def __init__(self) -> None:
            self.waiting = [TRIALS[0], twin]

        def take(self) -> list[Trial]:
            taken, self.waiting = self.waiting, []
            return taken

        def tell(self, trial: Trial) -> None:
            if trial is not None and trial.id == TRIALS[0].id:
                self.waiting = [late]

    executor = FakeExecutor()
    ended = driven(Later(), STUDY, storage, executor)
    assert {t.id for t in ended} == {TRIALS[0].id, "baseline/twin", "baseline/late"}
    assert len({t.outcome.val_loss for t in ended if t.outcome}) == 1
    assert executor.engine.trained == [TRIALS[0].job]
    assert all(t.outcome for t in storage.trials(STUDY.key))


@pytest.mark.parametrize(
    ("slots", "sizes"), [(1, [8]), (2, [4, 2, 1, 1]), (3, [3, 2, 1, 1, 1]), (16, [1] * 8)]
)
def test_packs_get_smaller_towards_the_end_so_that_all_that_train_end_together(
    storage: StudyStorage, slots: int, sizes: list[int]
) -> None:
    executor = FakeExecutor(slots=slots)
    driven(listed(), STUDY, storage, executor)
    assert [len(pack.jobs) for pack in executor.packs] == sizes


@pytest.mark.parametrize("seed", range(3))
def test_the_end_is_the_same_in_whatever_order_packs_come_back(
    storage: StudyStorage, tmp_path: Path, seed: int
) -> None:
    question = question_of()
    study = question.study
    driven(search.Ladder.of(question), study, storage)
    with closing(StudyStorage(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        rng = Random(seed)
        executor = FakeExecutor(slots=4, rng=rng, lose=lambda _: rng.random() < 0.2)
        driven(search.Ladder.of(question), study, other, executor, pack=2)
        assert other.trials(study.key) == storage.trials(study.key)


def test_workers_may_come_late_and_go(
    storage: StudyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LOOK", 0.001)
    executor = FakeExecutor(slots=0)
    dispatcher, looks = dispatcher_of(STUDY, storage, executor), iter(range(10_000))

    def tick() -> None:
        executor.slots = (0, 0, 3, 0)[next(looks) % 4]
        executor.tick()

    assert len(dispatcher.train(listed(), lambda _: None, tick)) == 8


def test_without_any_worker_for_too_long_it_ends_and_can_be_continued(
    storage: StudyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LOOK", 0.01)
    dispatcher = dispatcher_of(STUDY, storage, FakeExecutor(slots=0))
    dispatcher.patience = 0.1
    with pytest.raises(Interrupted, match="no worker"):
        dispatcher.train(listed(), lambda _: None, lambda: None)
    assert len(driven(listed(), STUDY, storage)) == 8


def test_what_can_never_be_trained_ends_the_study_in_words(storage: StudyStorage) -> None:
    class Refuses(FakeExecutor):
        def tick(self) -> None:
            self.flying.pop()[1].set_exception(Unusable("another version of capsearch"))

    executor = Refuses()
    with pytest.raises(Unusable, match="another version"):
        dispatcher_of(STUDY, storage, executor).train(listed(), lambda _: None, executor.tick)
    assert starts(storage) == [0] * 8


def test_a_driver_that_was_overtaken_stops_and_hands_nothing_out(storage: StudyStorage) -> None:
    executor = FakeExecutor()
    dispatcher = dispatcher_of(STUDY, storage, executor)
    StudyWriter(storage, STUDY)
    with pytest.raises(FenceLost):
        dispatcher.train(listed(), lambda _: None, executor.tick)
    assert executor.packs == []


def test_only_what_is_to_be_kept_is_stored_with_its_weights(storage: StudyStorage) -> None:
    driven(listed(2), STUDY, storage, keep=True)
    driven(listed(4), STUDY, storage)
    kept = [storage.weights(STUDY.key, key) is not None for key in KEYS[:4]]
    assert kept == [True, True, False, False]


def test_it_trains_in_this_very_process_too(
    storage: StudyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "load", lambda _: toy_data())
    executor = InlineExecutor(FakeEngine(fail=["3"]))
    executor.open(RowsRef("rows", tmp_path))
    ended = dispatcher_of(STUDY, storage, executor).train(
        listed(), lambda _: None, lambda: None, keep=True
    )
    complete = [t.outcome is not None and t.outcome.complete for t in ended]
    assert complete == [True, True, False, True, True, True, True, True]
