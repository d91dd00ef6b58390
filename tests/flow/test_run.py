"""The whole flow, `run()`, on toy rows in this process: a fake engine, and a final that pretends.

What is real is the storage, the search, the choice and the seal.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from capsearch import driver, reader
from capsearch import run as run_module
from capsearch.config import RunConfig
from capsearch.data import source as source_module
from capsearch.data.source import RawData, SourceRef
from capsearch.deadline import Deadline
from capsearch.engines.registry import ENGINES
from capsearch.errors import BadRequest, CapsearchError, Interrupted, SealBroken
from capsearch.executors import InlineExecutor
from capsearch.identity import former_digest
from capsearch.listeners import Silent
from capsearch.records import Opening, Proof, StudyRecord, TestScore, Trial
from capsearch.report.page import ReportFiles
from capsearch.run import StudyResult, run
from capsearch.search import Pace
from capsearch.selection import RULES, rules, uncertainty_of
from capsearch.session import stored_session
from capsearch.spec import StudySpec
from capsearch.storage import FenceLost, StudyRow, StudyStorage, StudyWriter
from capsearch.storage.tables import openings
from tests.fakes import FakeEngine, ToySource, in_this_process, spec_of, toy_study
from tests.storage.test_openings import FORMER
from tests.tracking.memory import MemoryTracker

SCORE = {
    "loss": 0.5, "loss_low": 0.4, "loss_high": 0.6, "accuracy": 0.8, "accuracy_low": 0.7,
    "accuracy_high": 0.9, "rows": 30,
}  # fmt: skip
TRAININGS = 13  # the baseline and twelve of the search
SELECT = {"replicates": 2, "rule": "one_std_err"}


@dataclass
class Flow:
    """Studies of the name `toy` in a folder of their own, and what happened in the last start."""

    folder: Path
    spec: StudySpec = field(default_factory=lambda: spec_of(select=SELECT))
    engine: FakeEngine = field(default_factory=FakeEngine)
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    kept: list[str] = field(default_factory=list)  # choices whose model was kept
    scored: list[Opening] = field(default_factory=list)
    interfere: Callable[[str], None] = lambda _: None  # called as things happen

    @property
    def config(self) -> RunConfig:
        url = f"sqlite:///{self.folder / 'studies.db'}"
        return RunConfig(self.folder, url, "sqlite:///unused.db", self.folder / "cache")

    def __call__(self, **config: Any) -> StudyResult:
        self.engine, self.tracker = FakeEngine(), MemoryTracker()
        asked = SourceRef(self.spec.data)
        return run("toy", self.spec, asked, replace(self.config, **config), Silent())

    @property
    def storage(self) -> StudyStorage:
        return StudyStorage(self.config.storage)

    def row(self) -> StudyRow:
        with closing(self.storage) as storage:
            (row,) = storage.rows()
            return row

    def trials(self, group: str = "") -> list[Trial]:
        with closing(self.storage) as storage:
            return [t for t in storage.trials(self.row().key) if t.group.startswith(group)]

    def opening(self) -> Opening | None:
        with closing(self.storage) as storage:
            return storage.opening(toy_study(self.spec), [toy_study(self.spec).digest])


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flow:
    made = Flow(tmp_path)

    class FakeFinal:
        """Keeps no model and reads no row."""

        def __init__(self, *_: object) -> None:
            self.begun = False

        def prepare(self) -> None: ...

        def begin_proof(self, *_: object) -> None:
            self.begun = True

        def proof(self) -> Proof | None:
            return Proof(1e-6, 100) if self.begun else None

        def keep_model(self, task: Any) -> None:
            made.interfere("model")
            made.kept.append(task.choice.key)

        def score(self, opening: Opening, folder: Path, writer: StudyWriter) -> None:
            made.interfere("score")
            made.scored.append(opening)
            writer.record(SCORE)

        def close(self) -> None: ...

    toy = {
        name: EntryPoint(name, f"tests.fakes:{kind}", source_module.GROUP)
        for name, kind in (("toy", "ToySource"), ("untested", "UntestedSource"))
    }
    monkeypatch.setattr(source_module, "installed", lambda: toy)
    monkeypatch.setattr(reader, "_in_a_child", in_this_process)
    monkeypatch.setattr(run_module, "executor_of", lambda *_: InlineExecutor(made.engine))
    monkeypatch.setattr(run_module, "open_tracker", lambda *_: made.tracker)
    monkeypatch.setattr(run_module, "FinalEvaluation", FakeFinal)
    monkeypatch.setattr(driver, "write", written)
    monkeypatch.setattr(driver, "uncertainty_of", partial(uncertainty_of, resamples=50))
    return made


def recorded(flow: Flow) -> StudyRecord:
    """The record of the stored study, as `test` and `report` read it."""
    with stored_session("toy", flow.spec, flow.config) as session:
        return session.record()


def written(record: StudyRecord, folder: Path, _: object) -> ReportFiles:
    """Instead of a report, whose figures take their time."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(repr(record))
    return ReportFiles(page, ())


def test_a_study_runs_to_its_score(flow: Flow) -> None:
    result = flow()
    assert result.worked
    assert result.record is not None
    assert isinstance(result.record.test, TestScore)
    assert result.document["status"] == "complete"
    assert result.document["test"]["loss"] == SCORE["loss"]
    assert Path(result.document["report"]).is_file()
    assert flow.kept == [result.record.choice.key]
    assert [o.choice for o in flow.scored] == flow.kept
    assert len(flow.engine.trained) == len(flow.trials()) > TRAININGS
    assert set(flow.tracker.trials) == {t.id for t in flow.trials()}
    assert flow.tracker.finished is not None
    assert flow.tracker.closed


def test_what_trains_is_ended_before_the_test(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()

    class Watched(InlineExecutor):
        def shutdown(self) -> None:
            told.append("ended")

    monkeypatch.setattr(run_module, "executor_of", lambda *_: Watched(flow.engine))
    flow.interfere = told.append
    flow()
    assert told == ["ended", "model", "score"]


def test_a_finished_study_is_found_complete(flow: Flow) -> None:
    first = flow()
    again = flow()
    assert not again.worked
    assert again.document == first.document
    assert again.record == first.record
    assert (flow.engine.trained, flow.tracker.studies, len(flow.scored)) == ([], [], 1)


def test_a_report_that_is_gone_is_made_again_and_nothing_else(flow: Flow) -> None:
    first = flow()
    Path(first.document["report"]).unlink()
    again = flow()
    assert Path(again.document["report"]).is_file()
    assert (flow.engine.trained, len(flow.scored)) == ([], 1)
    assert again.record == first.record


def test_a_report_shows_what_can_be_shown_again_from_the_storage(flow: Flow) -> None:
    """To the last digit, the time that it took included."""
    result = flow()
    assert Path(result.document["report"]).read_text() == repr(result.record)


def test_the_whole_decision_is_stored_before_the_split_is_opened(flow: Flow) -> None:
    seen = list[tuple[str, bool, bool]]()

    def interfere(what: str) -> None:
        seen.append((what, flow.row().decision is not None, flow.opening() is not None))

    flow.interfere = interfere
    result = flow()
    assert seen == [("model", True, False), ("score", True, True)]
    decision = flow.row().decision
    assert decision is not None
    assert result.record is not None
    assert decision == result.record.decision
    assert decision.proof == Proof(1e-6, 100)
    assert {"capsearch", "keras", "optuna"} <= set(decision.versions)
    assert set(decision.verdicts) == set(RULES) - {"budget"}


@pytest.mark.parametrize("cut", ["model", "score"])
def test_what_was_decided_is_tested_though_the_rule_has_changed_since(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    def interfere(what: str) -> None:
        if what == cut:
            raise KeyboardInterrupt

    flow.interfere = interfere
    with pytest.raises(KeyboardInterrupt):
        flow()
    decided, flow.interfere = flow.row().decision, lambda _: None
    assert decided is not None
    largest = decided.estimates[-1]
    assert decided.choice.selected != largest
    monkeypatch.setitem(
        RULES, "one_std_err", lambda *_: rules.Verdict(largest, "the largest, from now on")
    )
    result = flow()
    assert result.record is not None
    assert result.record.decision == decided
    assert [o.choice for o in flow.scored] == [decided.choice.key]
    assert result.document["selected"]["reason"] == decided.choice.reason


def test_a_report_shows_the_choice_that_was_tested_whatever_the_rule_says_today(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = flow()
    assert first.record is not None
    largest = first.record.estimates[-1]
    monkeypatch.setitem(RULES, "one_std_err", lambda *_: rules.Verdict(largest, "the largest"))
    with stored_session("toy", flow.spec, flow.config) as session:
        assert session.record() == first.record
    Path(first.document["report"]).unlink()
    again = flow()
    assert again.document["selected"] == first.document["selected"]


@pytest.mark.parametrize("survived", [0, 5, 12, 15, 20])
def test_a_study_that_was_cut_trains_what_is_left_and_ends_the_same(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    def trained(self: FakeEngine, jobs: Any, data: Any) -> Any:
        if len(self.trained) >= survived:
            raise KeyboardInterrupt
        return train(self, jobs, data)

    train = FakeEngine.train
    with monkeypatch.context() as patch:
        patch.setattr(FakeEngine, "train", trained)
        patch.setitem(ENGINES, "packed", replace(ENGINES["packed"], pack=3))
        with pytest.raises(KeyboardInterrupt):
            flow()
        before = len([t for t in flow.trials() if t.outcome is not None])
    result = flow()
    assert len(flow.engine.trained) == len(flow.trials()) - before
    assert result.record is not None
    undisturbed = replace(flow, folder=tmp_path / "undisturbed")
    monkeypatch.setattr(run_module, "executor_of", lambda *_: InlineExecutor(undisturbed.engine))
    monkeypatch.setattr(run_module, "open_tracker", lambda *_: undisturbed.tracker)
    expected = undisturbed().record
    assert expected is not None
    assert result.record.trials == expected.trials
    assert result.record.replicates == expected.replicates
    assert result.record.choice == expected.choice
    assert result.record.growth == expected.growth


def test_a_study_is_held_before_its_test_and_then_opened_without_training(flow: Flow) -> None:
    held = flow(hold_test=True)
    assert held.record is not None
    assert (held.record.test, held.document["test"]) == (None, None)
    assert held.document["status"] != "complete"
    assert Path(held.document["report"]).is_file()
    assert flow.opening() is None
    again = flow(hold_test=True)
    assert not again.worked
    assert again.document == held.document
    recorded(flow)
    opened = flow()
    assert opened.worked
    assert opened.record is not None
    assert opened.record.decision == held.record.decision
    assert opened.record.test is not None
    assert flow.engine.trained == []
    assert not flow(hold_test=True).worked  # it is complete: nothing can be held any more


def without_test(flow: Flow) -> None:
    """A study whose source has no test rows, and which asks for none."""
    flow.spec = spec_of(select=SELECT, data={"source": "untested", "test": 0.0})


def test_a_study_without_a_test_split_is_complete_once_it_has_a_choice(flow: Flow) -> None:
    without_test(flow)
    result = flow()
    assert result.record is not None
    assert (result.record.test, result.record.complete) == (None, True)
    assert (result.document["status"], result.document["test"]) == ("complete", None)
    assert result.document["data"]["sizes"].keys() == {"train", "validation"}
    assert (flow.scored, flow.kept) == ([], [result.record.choice.key])
    assert flow.tracker.finished
    assert {c.code: c.status for c in result.record.checks}["CS007"] == "not applicable"
    assert not flow().worked
    assert not flow(hold_test=True).worked
    with closing(flow.storage) as storage:
        assert storage.database.read(lambda c: c.execute(sa.select(openings)).all()) == []


def test_more_may_be_added_to_a_study_without_a_test_split_at_any_time(flow: Flow) -> None:
    without_test(flow)
    flow()
    more = flow(add_trials=6)
    assert more.worked
    assert len(flow.trials("search")) == 12 + 6


def test_other_rows_of_the_same_identity_are_refused_while_a_study_is_under_way(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.interfere = lambda _: (_ for _ in ()).throw(Interrupted("cut"))
    with pytest.raises(Interrupted):
        flow()
    monkeypatch.setattr(ToySource, "dense", True)
    with pytest.raises(BadRequest, match="no longer those that toy was run on"):
        flow()
    monkeypatch.undo()


def test_nothing_is_made_before_the_rows_are_known_to_be_good(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToySource, "read", lambda _: RawData({"x": [[1.0]]}, [0, 1]))
    with pytest.raises(BadRequest, match="rows"):
        flow()
    assert list(flow.folder.iterdir()) == []
    monkeypatch.undo()


def test_there_is_nothing_to_open_before_there_is_a_choice(flow: Flow) -> None:
    with pytest.raises(BadRequest):
        recorded(flow)
    flow.interfere = lambda _: pytest.fail("it is not to come so far")
    with pytest.raises(CapsearchError):
        run_with(flow, FakeEngine(fail=["*"]))
    with pytest.raises(BadRequest):
        recorded(flow)


def run_with(flow: Flow, engine: FakeEngine, **config: Any) -> StudyResult:
    """A start with this engine."""
    asked = SourceRef(flow.spec.data)
    flow.engine = engine
    return run("toy", flow.spec, asked, replace(flow.config, **config), Silent())


def test_trials_may_be_added_to_a_study_that_is_held_and_none_is_trained_twice(flow: Flow) -> None:
    flow(hold_test=True)
    before = flow.trials()
    more = flow(hold_test=True, add_trials=6)
    assert more.record is not None
    assert len(more.record.trials) == TRAININGS + 6
    known = {t.job.key for t in before}
    assert known.isdisjoint({job.key for job in flow.engine.trained})
    assert flow.trials()[: len(before)] == before
    assert more.record.test is None
    opened = flow()
    assert flow.engine.trained == []
    assert opened.record is not None
    assert opened.record.decision == more.record.decision


def test_fresh_seeds_may_be_added_and_whichever_stands_for_the_choice_can_be_tested(
    flow: Flow,
) -> None:
    """With five seeds another may be the one of median loss than with two or three."""
    representatives = set[str]()
    flow(hold_test=True)
    for _ in range(3):
        more = flow(hold_test=True, add_replicates=1)
        assert more.record is not None
        representatives.add(more.record.choice.job.key)
        with closing(flow.storage) as storage:
            for verdict in more.record.verdicts.values():
                assert storage.weights(more.record.study.key, verdict.job.key) is not None
    assert len(representatives) > 1
    assert more.record is not None
    assert {e.replicates for e in more.record.estimates} == {5}
    opened = flow()
    assert opened.record is not None
    assert flow.kept == [more.record.choice.key]


def test_an_extension_that_was_cut_is_not_made_twice(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow(hold_test=True)

    def dies(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FakeEngine, "train", dies)
        with pytest.raises(KeyboardInterrupt):
            flow(hold_test=True, add_trials=6)
    assert flow.row().more_trials == 6
    result = flow(hold_test=True, add_trials=6)
    assert result.record is not None
    assert len(result.record.trials) == TRAININGS + 6
    assert len(flow(hold_test=True, add_trials=6).record.trials) == TRAININGS + 12  # type: ignore[union-attr]


@pytest.mark.parametrize("more", [{"add_trials": 6}, {"add_replicates": 1}])
def test_nothing_is_added_after_the_split_was_opened(flow: Flow, more: dict[str, int]) -> None:
    flow()
    with pytest.raises(SealBroken) as refused:
        flow(**more)
    assert refused.value.exit_code == 4
    assert flow.engine.trained == []


def test_only_the_weights_of_those_that_stand_for_finalists_outlive_the_opening(
    flow: Flow,
) -> None:
    result = flow()
    assert result.record is not None
    with closing(flow.storage) as storage:
        kept = {
            t.job.key
            for t in flow.trials()
            if storage.weights(result.record.study.key, t.job.key) is not None
        }
    assert result.record.choice.key in kept
    assert len(kept) == len(result.record.estimates)


def test_an_engine_is_fixed_with_the_study(flow: Flow) -> None:
    flow(engine="fit", threads=1, hold_test=True)
    assert flow.row().engine == "fit/1/cpu/1 threads"
    for wrong in ({"engine": "packed"}, {"engine": "fit", "threads": 2}):
        with pytest.raises(BadRequest) as refused:
            flow(**wrong)
        assert refused.value.exit_code == 2
        assert flow.engine.trained == []
    result = flow()  # names none: it goes on with the stored one
    assert result.document["engine"] == "fit/1/cpu/1 threads"
    assert {t.job.engine for t in flow.trials()} == {"fit/1/cpu/1 threads"}
    with pytest.raises(BadRequest):
        flow(engine="packed")
    with pytest.raises(BadRequest):
        flow(engine="none such")


def test_a_study_of_which_every_trial_fails_says_why_and_opens_nothing(flow: Flow) -> None:
    with pytest.raises(CapsearchError, match=f"{TRAININGS} x diverged") as failed:
        run_with(flow, FakeEngine(fail=["*"]))
    assert failed.value.exit_code == 1
    assert flow.opening() is None


def test_a_driver_that_is_overtaken_opens_nothing(flow: Flow) -> None:
    def interfere(what: str) -> None:
        if what == "model":
            with closing(flow.storage) as storage:
                StudyWriter(storage, toy_study(flow.spec))

    flow.interfere = interfere
    with pytest.raises(FenceLost):
        flow()
    assert flow.opening() is None
    assert flow.tracker.finished is None
    flow.interfere = lambda _: None
    assert flow().record is not None
    assert len(flow.scored) == 1


def test_the_deadline_cuts_the_search_and_what_was_cut_stays_cut(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that is left is needed for the end as soon as the first pack has ended."""
    flow.spec = spec_of(search={"trials": 60, "rungs": 3})
    monkeypatch.setattr("capsearch.search.pace.FINAL", 1e9)
    result = flow(deadline=Deadline(1000.0))
    cut = flow.row().cut
    assert cut is not None
    assert "60 trials" in cut
    assert result.record is not None
    assert TRAININGS < len(result.record.trials) + 1 < 61
    assert result.record.cut == cut


def test_time_is_kept_for_the_seeds_that_were_added(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of each finalist and baseline: two that the file asks for, and two more."""
    kept = list[float]()

    def needed(self: Pace, trained: int, open_: int, ended: Any, replicates: Any) -> float:
        again = [t.candidate for t in replicates if t.group == "replicate"]
        kept.append(len(again) / len(set(again)))
        return 0.0

    flow.spec = spec_of(search={"trials": 60, "rungs": 3})
    monkeypatch.setattr(Pace, "needed", needed)
    flow(deadline=Deadline(1000.0), add_replicates=2, hold_test=True)
    assert set(kept) == {4.0}


def test_a_deadline_that_is_over_ends_in_3_and_gives_every_start_back(flow: Flow) -> None:
    with pytest.raises(Interrupted) as over:
        flow(deadline=Deadline(0.0))
    assert over.value.exit_code == 3
    assert {t.starts for t in flow.trials()} == {0}


def test_what_mlflow_lacks_is_made_up_for_without_training(flow: Flow) -> None:
    class Away(MemoryTracker):
        def finish(self, *_: Any) -> None:
            return None

    away, told = Away(), list[str]()

    class Hears(Silent):
        def warn(self, message: str) -> None:
            told.append(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "open_tracker", lambda *_: away)
        run("toy", flow.spec, SourceRef(flow.spec.data), flow.config, Hears())
    assert flow.row().tracking is None
    again = flow()
    assert again.worked
    assert (flow.engine.trained, len(flow.scored)) == ([], 1)
    assert set(flow.tracker.trials) == {t.id for t in flow.trials()}
    assert flow.row().tracking is not None


def former(flow: Flow, document: str | None) -> None:
    """As if the first version of capsearch had opened the split, and ended or not."""
    engine = sa.create_engine(flow.config.storage, poolclass=sa.NullPool)
    study = toy_study(flow.spec)
    with engine.begin() as connection:
        for statement in FORMER.strip().split(";\n"):
            connection.exec_driver_sql(statement)
        connection.execute(
            sa.text(
                "INSERT INTO capsearch_opening (test_split, digest, study, choice, opened_at) "
                "VALUES (:split, :digest, 'toy-1', 'c', '2026-01-02T03:04:05+00:00')"
            ),
            {"split": study.data.fingerprints["test"], "digest": former_digest(flow.spec)},
        )
        connection.execute(
            sa.text(
                "INSERT INTO capsearch_study (key, name, digest, question, started_at, seconds, "
                "document) VALUES ('toy-1', 'toy', 'd', '{}', 't', 1.0, :document)"
            ),
            {"document": document},
        )


def test_a_study_that_the_first_version_finished_is_complete(flow: Flow) -> None:
    former(flow, '{"study": "toy", "test": {"loss": 0.25}}')
    result = flow()
    assert result.document == {"study": "toy", "test": {"loss": 0.25}}
    assert (result.record, result.worked) == (None, False)
    assert (flow.engine.trained, flow.scored) == ([], [])
    with pytest.raises(SealBroken):
        flow(add_trials=1)


def test_a_split_that_the_first_version_opened_is_not_opened_again(flow: Flow) -> None:
    former(flow, None)
    with pytest.raises(SealBroken) as refused:
        flow()
    assert refused.value.exit_code == 4
    assert (flow.engine.trained, flow.scored) == ([], [])


def test_another_question_about_the_same_rows_is_free_to_open_its_own(flow: Flow) -> None:
    former(flow, None)
    flow.spec = spec_of(search={"trials": 9, "rungs": 3})
    result = flow()
    assert result.record is not None
    assert result.record.test is not None
    assert result.record.test.openings == 2


def test_a_second_study_file_of_the_same_name_is_another_study(flow: Flow) -> None:
    flow()
    flow.spec = spec_of(search={"trials": 9, "rungs": 3})
    flow()
    with closing(flow.storage) as storage:
        assert len(storage.rows("toy")) == 2
    with stored_session("toy", spec_of(select=SELECT), flow.config) as session:
        assert len(session.record().trials) == TRAININGS
    never = stored_session("toy", spec_of(baseline=[], select=SELECT), flow.config)
    with pytest.raises(BadRequest), never:
        pass
