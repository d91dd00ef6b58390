"""A finished study made of plain numbers: 8 rungs, 12 trials each, 4 baselines, some failures."""

from capsearch import search, spec
from capsearch.families.space import bands, ladder
from capsearch.records import Curve, Job, Outcome, Study, StudyRecord, TestScore, Trial
from capsearch.report.checks import with_checks
from capsearch.selection import CapacityCurve, uncertainty_of, of_finalists, verdicts
from capsearch.study import finalists
from tests.fakes import Dice, outcome_of, profile_of


def record_of(name: str = "imdb", *, per_rung: int = 3, baselines: bool = True) -> StudyRecord:
    """The record of a study on 10,000 features; the second trial of every rung diverged."""
    asked = spec.read(spec.shipped()["imdb"], lambda _: [])
    space, profile = asked.space_for(10_000), profile_of("imdb", 10_000)
    study = Study(name, asked.question, profile, ladder(space, asked.search.rungs))
    trials = search.baseline_trials(study, asked, space) if baselines else []
    for rung, band in enumerate(bands(study.ladder)):
        for number in range(per_rung):
            candidate = space.draw(Dice(100 * rung + number), band)
            job = search.job_of(asked, candidate)
            id_, parameters = f"search/{rung}/{number}", space.parameters(candidate)
            trials.append(Trial(id_, "search", rung, candidate.label, job, parameters))
    ended = [t.ended(_failed() if t.id.endswith("/1") else _curved(t.job)) for t in trials]
    replicates = [t.ended(_curved(t.job)) for t in search.replicate_trials(asked, ended)]
    estimates = finalists(of_finalists(ended, replicates))
    curve = CapacityCurve(estimates)
    found = verdicts(curve, replicates, asked.select.settings)
    choice = found["one_std_err"]
    doubt = uncertainty_of(curve, replicates, choice, asked.select.settings)
    test = TestScore(0.281, 0.27, 0.292, 0.8864, 0.877, 0.895, 5000, "2026-01-02T03:04:05+00:00", 1)
    record = StudyRecord(
        study, tuple(ended), tuple(replicates), estimates, choice, doubt, found, test, 61.0
    )
    return with_checks(record)


def _failed() -> Outcome:
    return Outcome.failed("diverged: loss became NaN or infinite at epoch 2")


def _curved(job: Job) -> Outcome:
    """The fake outcome, with a curve that falls to its best epoch and rises after it."""
    flat = outcome_of(job)
    turn, best = 3 + job.seed % 4, flat.val_loss
    val = tuple(best + 0.02 * abs(epoch - turn) ** 1.5 for epoch in range(1, turn + 5))
    loss = tuple(0.6 / epoch for epoch in range(1, turn + 5))
    curve = Curve(loss, tuple(1 - v for v in loss), val, tuple(1 - v for v in val))
    return Outcome(curve, turn, best, 1 - best, 1.5, None, flat.val_losses)
