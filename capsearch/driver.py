"""The stages of a study: search, fresh seeds, decision, sealed test, report.

Each reads what is stored, does what is left, and stores it before the next one begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from capsearch.errors import CapsearchError
from capsearch.final import FinalEvaluation, FinalTask
from capsearch.kept.folder import about, as_mlflow
from capsearch.listeners.base import Listener
from capsearch.records import Candidate, Decision, Trial, failures
from capsearch.report.document import document
from capsearch.report.page import write
from capsearch.search import (
    HEATS,
    Dispatcher,
    Ladder,
    Listed,
    Pace,
    in_order,
    race_trials,
    replicate_trials,
)
from capsearch.search.growth import best_of
from capsearch.selection import (
    CapacityCurve,
    Judge,
    estimates_of,
    judge_for,
    of_finalists,
    probabilities_of,
    representatives,
    uncertainty_of,
    undecided_among,
    verdicts,
)
from capsearch.session import StudySession
from capsearch.spec.tables import RULE
from capsearch.storage import StudyWriter
from capsearch.tasks import task_of
from capsearch.tracking import Tracker
from capsearch.validation import JudgingRows

LIBRARIES = ("capsearch", "numpy", "keras", "tensorflow", "optuna", "scikit-learn")
LOOKS = (2, 4)  # times as many fresh seeds, for as long as nothing can be claimed
SEARCHED = ("baseline", "search")
NEARLY = 16  # trials before the end of the search: what the end needs is loaded meanwhile


@dataclass(frozen=True)
class Driver:
    """The one process at work on a study, with all that it works with."""

    session: StudySession
    writer: StudyWriter
    dispatcher: Dispatcher
    tracker: Tracker
    final: FinalEvaluation
    listener: Listener

    def search(self, stored: Sequence[Trial]) -> list[Trial]:
        """Baselines and candidates; returns all of them."""
        session, row = self.session, self.session.begun()
        budget = session.spec.search.trials + row.more_trials
        plan = Ladder.of(session.question, stored, budget)
        plan.stopped = row.cut is not None
        planned = len(session.spec.baseline) + budget
        ended = [t for t in stored if t.group in SEARCHED and t.outcome is not None]
        self.listener.phase("search", planned, len(ended))
        if session.config.workers > plan.width:
            self.listener.note(
                f"At most {plan.width} trainings can run at once while the search grows: not all "
                f"of {session.config.workers} workers have work. A larger search.trials opens more"
            )
        pace, seeds = Pace(), session.spec.select.replicates + row.more_replicates

        def on_trial(trial: Trial) -> None:
            ended.append(trial)
            self._told(trial)
            if planned - len(ended) <= NEARLY:
                self.final.prepare()

        def tick() -> None:
            session.config.check()
            if not plan.stopped and self._must_stop(ended, seeds, pace):
                plan.stopped = True
                self.writer.cut(
                    f"the search ended before its budget of {budget} trials: the deadline left "
                    "time for the fresh-seed runs alone"
                )

        self.dispatcher.train(plan, on_trial, tick)
        return sorted(ended, key=in_order)

    def race(self, trials: Sequence[Trial], stored: Sequence[Trial]) -> list[Trial]:
        """The best candidates of every rung race to stand for it; returns the trials with these."""
        session, raced = self.session, list(trials)
        for heat in HEATS:
            planned = race_trials(session.study, session.spec, raced, session.sampling, heat)
            if planned:
                raced += self._trained(planned, stored, "race", keep=False)
        return raced

    def replicate(self, trials: Sequence[Trial], stored: Sequence[Trial]) -> list[Trial]:
        """The finalists and the baselines again, from fresh seeds; returns all of them.

        While nothing can be claimed, the networks that can still decide get twice as many seeds.
        """
        session, row, select = self.session, self.session.begun(), self.session.spec.select
        least = select.replicates + row.more_replicates
        best = best_of([t for t in trials if t.group == "search"]) or best_of(trials)
        if best is None:
            raise CapsearchError(f"every trial of {session.study.name} failed: {failures(trials)}")
        if row.proof is None:
            self.final.begin_proof(best.job, session.folder)
        ended = self._replicated(trials, stored, least, {})
        more = dict[Candidate, int]()
        for seeds in [least * factor for factor in LOOKS if select.rule == RULE]:
            finalists = self._judge.read(of_finalists(trials, ended))
            able = undecided_among(self._curve(finalists), finalists, select.settings)
            if not able:
                break
            more |= dict.fromkeys(able, seeds)
            ended = self._replicated(trials, [*stored, *ended], least, more)
        if (proof := self.final.proof()) is not None:
            self.writer.prove(proof)
        return ended

    def _replicated(
        self,
        trials: Sequence[Trial],
        stored: Sequence[Trial],
        least: int,
        more: Mapping[Candidate, int],
    ) -> list[Trial]:
        """So many fresh seeds of every network, in the order in which they were planned."""
        session = self.session
        planned = replicate_trials(session.study, session.spec, trials, least, more)
        return self._trained(planned, stored, "replicates", keep=True)

    def _trained(
        self, planned: Sequence[Trial], stored: Sequence[Trial], phase: str, *, keep: bool
    ) -> list[Trial]:
        """All of these, in their order, from the storage or trained now."""
        known = {t.id: t for t in stored if t.outcome is not None}
        waiting = Listed([t for t in planned if t.id not in known])
        self.listener.phase(phase, len(planned), len(planned) - len(waiting.waiting))

        def on_trial(trial: Trial) -> None:
            known[trial.id] = trial
            self._told(trial)

        self.dispatcher.train(waiting, on_trial, self.session.config.check, keep=keep)
        return [known[t.id] for t in planned]

    def decide(self, trials: Sequence[Trial], replicates: Sequence[Trial]) -> Decision:
        """Choose, and store all of the decision; what was decided before stays."""
        session, row, select = self.session, self.session.begun(), self.session.spec.select
        if row.decision is not None:
            return row.decision
        finalists = self._judge.read(of_finalists(trials, replicates))
        curve = self._curve(finalists)
        found = verdicts(curve, finalists, select.settings)
        choice = found[select.rule or RULE]
        plan = Ladder.of(session.question, trials, session.spec.search.trials + row.more_trials)
        task, outputs = task_of(session.study.data.task), session.storage.outputs_of(session.study)
        rows = JudgingRows.in_folder(
            task, session.folder, session.spec.training.stop_on, session.study.data.widening
        )
        threshold = rows.threshold(choice, outputs)
        decision = Decision(
            estimates=curve.points,
            choice=choice,
            verdicts=found,
            uncertainty=uncertainty_of(curve, finalists, choice, select.settings),
            growth=plan.evidence if plan.grow else (),
            proof=row.proof,
            versions=versions(),
            probabilities=probabilities_of(curve, finalists, select.settings),
            decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
            metrics=rows.metrics(curve.points, replicates, outputs, threshold),
            threshold=threshold,
        )
        self.writer.decide(decision)
        return decision

    @property
    def _judge(self) -> Judge:
        return judge_for(self.session.spec.select.judge, self.session.study.data)

    def _curve(self, finalists: Sequence[Trial]) -> CapacityCurve:
        return CapacityCurve(estimates_of(finalists), self._judge.noun)

    def test(self, decision: Decision) -> None:
        """Keep the chosen model, then open the test split for it, once, where there is one."""
        session = self.session
        self.listener.phase("sealed test" if session.study.has_test else "model")
        choice = decision.choice
        folder = session.model_folder(choice.key)
        replicates = [
            t for t in session.storage.trials(session.study.key) if t.group == "replicate"
        ]
        self.final.keep_model(self._final_task(decision, replicates, folder))
        if not session.study.has_test:
            return
        keep = representatives(CapacityCurve(decision.estimates), replicates)
        opening = self.writer.claim(choice.key, keep)
        if not opening.scored(choice.key):
            self.final.score(opening, folder, self.writer)

    def _final_task(
        self, decision: Decision, replicates: Sequence[Trial], folder: Path
    ) -> FinalTask:
        """With the weights of the chosen replicate; of folds, with the epochs of a training."""
        session, choice = self.session, decision.choice
        task = FinalTask(choice, (), session.folder, folder, decision.threshold)
        if session.study.data.folds is not None:
            outcome = next(t.outcome for t in replicates if t.job.key == choice.key)
            assert outcome is not None  # it was chosen
            return replace(task, epochs=outcome.best_epoch)
        weights = session.storage.weights(session.study.key, choice.key)
        assert weights is not None  # they were stored with the outcome of the chosen replicate
        return replace(task, weights=weights)

    def publish(self) -> None:
        """Report, MLflow, and the mark that the study is complete."""
        session = self.session
        self.listener.phase("report")
        record = session.record()
        files = write(record, session.reports, None)
        tracking, folder = None, session.model_folder(record.choice.key)
        if record.complete:
            tracking = self.tracker.finish(record, files.page, files.figures, as_mlflow(folder))
            files = write(record, session.reports, tracking)
            if tracking is None or self.tracker.missing:
                self.listener.warn(
                    "not everything could be written to MLflow; the next start of this study makes "
                    "up for it"
                )
        whole = tracking if not self.tracker.missing else None
        model = about(folder, tracking.model_version if tracking else None)
        self.writer.finish(document(record, tracking, files.page, model), whole)

    def _told(self, trial: Trial) -> None:
        self.tracker.log(trial)
        self.listener.trial(trial)

    def _must_stop(self, ended: Sequence[Trial], seeds: int, pace: Pace) -> bool:
        """Whether the time that is left is needed for what must follow the search."""
        session = self.session
        if not session.config.deadline.bounded or not ended:
            return False
        study, spec = session.study, session.spec
        replicates = replicate_trials(study, spec, ended, seeds)
        for heat in HEATS:
            replicates += race_trials(study, spec, ended, session.sampling, heat)
        dispatcher = self.dispatcher
        needed = pace.needed(dispatcher.trained, dispatcher.open, ended, replicates)
        left: float = session.config.deadline.left
        return left < needed


def versions() -> dict[str, str]:
    """Of capsearch and of the libraries that train and decide."""
    return {name: version(name) for name in LIBRARIES}
