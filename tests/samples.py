"""A finished study made of plain numbers: 8 rungs, 3 trials each, 4 baselines, some failures."""

from functools import cache

from capsearch import search, spec
from capsearch.families.space import bands
from capsearch.records import (
    Curve,
    Decision,
    Job,
    Outcome,
    Proof,
    StudyRecord,
    TestScore,
    Trial,
)
from capsearch.report.checks import with_checks
from capsearch.selection import (
    CapacityCurve,
    Settings,
    estimates_of,
    of_finalists,
    uncertainty_of,
    verdicts,
)
from capsearch.session import new_study
from tests.fakes import PACKED, Dice, outcome_of, profile_of


@cache
def record_of(
    name: str = "imdb", *, per_rung: int = 3, baselines: bool = True, said: tuple[str, ...] = ()
) -> StudyRecord:
    """The record of a study on 10,000 features; the second trial of every rung diverged."""
    asked = spec.read(spec.shipped()["imdb"], lambda _: [], said)
    study, asked, space = new_study(name, asked, profile_of("imdb", 10_000), PACKED, sparse=True)
    trials = search.baseline_trials(study, asked, space) if baselines else []
    for rung, band in enumerate(bands(study.ladder)):
        for number in range(per_rung):
            candidate = space.draw(Dice(100 * rung + number), band)
            job = search.job_of(study, asked, candidate)
            id_, parameters = f"search/{rung}/{number}", space.parameters(candidate)
            trials.append(Trial(id_, "search", rung, candidate.label, job, parameters))
    ended = [t.ended(_failed() if t.id.endswith("/1") else _curved(t.job)) for t in trials]
    replicates = [t.ended(_curved(t.job)) for t in search.replicate_trials(study, asked, ended)]
    test = TestScore(0.281, 0.27, 0.292, 0.8864, 0.877, 0.895, 5000, "2026-01-02T03:04:05+00:00", 1)
    decision = decision_of(ended, replicates, asked.select.settings)
    return with_checks(
        StudyRecord(study, tuple(ended), tuple(replicates), decision, test, seconds=61.0)
    )


def decision_of(
    trials: list[Trial], replicates: list[Trial], settings: Settings, rule: str = "probably_good"
) -> Decision:
    """What these trials and replicates come to."""
    curve = CapacityCurve(estimates_of(of_finalists(trials, replicates)))
    found = verdicts(curve, replicates, settings)
    return Decision(
        estimates=curve.points,
        choice=found[rule],
        verdicts=found,
        uncertainty=uncertainty_of(curve, replicates, found[rule], settings),
        growth=(),
        proof=Proof(difference=1.5e-6, rows=2000),
        versions={"capsearch": "0.1.0", "keras": "3.15.1"},
        decided_at="2026-01-02T03:04:00+00:00",
    )


def _failed() -> Outcome:
    return Outcome.failed("diverged", "diverged: loss became NaN or infinite at epoch 2")


def _curved(job: Job) -> Outcome:
    """The fake outcome, with a curve that falls to its best epoch and rises after it."""
    flat = outcome_of(job)
    turn, best = 3 + job.seed % 4, flat.val_loss
    val = tuple(best + 0.02 * abs(epoch - turn) ** 1.5 for epoch in range(1, turn + 5))
    loss = tuple(0.6 / epoch for epoch in range(1, turn + 5))
    curve = Curve(loss, tuple(1 - v for v in loss), val, tuple(1 - v for v in val))
    return Outcome(curve, turn, best, 1 - best, 1.5, None, flat.val_losses)
