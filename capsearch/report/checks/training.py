"""Was enough trained, and did it train well?"""

import numpy as np

from capsearch.records import Curve, StudyRecord
from capsearch.records import failures as kinds_of_failure
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import frontier
from capsearch.words import network

FEWEST_TRIALS = 6  # in a band: the best of 6 is in its best third 9 times in 10, 1 - (2/3)^6
FAILED_SHARE = 0.2  # of a study's trials; above it the space reaches into useless settings
FEWEST_SEEDS = 3  # with 2, the spread of the seeds is known to within 70%: 1 / sqrt(2 (n - 1))
OPTIMISM = 0.5  # standard errors by which a best epoch may flatter the selected network


def rungs(record: StudyRecord) -> Answer:
    """CS004: different candidates that completed in every size band up to the largest tried.

    Two trials of one candidate are one training: they say nothing more about its size.
    """
    ladder = record.study.ladder
    tried = max((t.rung for t in record.trials), default=-1) + 1
    done: list[set[str]] = [set() for _ in range(tried)]
    for trial in record.trials:
        if trial.outcome is not None and trial.outcome.complete:
            done[trial.rung].add(trial.candidate.key)
    few = [r for r in range(tried) if len(done[r]) < FEWEST_TRIALS]
    if not few:
        least = min(map(len, done), default=0)
        return ok(f"at least {least} different networks completed in every size band searched")
    sizes = [f"{len(done[r])} from {ladder[r]:,} to {ladder[r + 1] - 1:,} parameters" for r in few]
    return warning(
        f"fewer than {FEWEST_TRIALS} different networks completed in a size band, too few to know "
        f"what that size can do: {', '.join(sizes)}"
    )


def failures(record: StudyRecord) -> Answer:
    """CS005: the share of trials that failed."""
    failed = sum(1 for t in record.trials if t.outcome and not t.outcome.complete)
    said = f"{failed} of {len(record.trials)} trials failed"
    if failed:
        said += f" ({kinds_of_failure(record.trials)})"
    return warning(said) if failed > FAILED_SHARE * len(record.trials) else ok(said)


def epochs(record: StudyRecord) -> Answer:
    """CS006: finalists whose best epoch is the last that they were allowed."""
    finalists = {e.candidate for e in record.estimates}
    runs = [t for t in record.replicates if t.candidate in finalists and t.outcome]
    still = {
        network(t.candidate.units) for t in runs if t.outcome and t.outcome.at_ceiling(t.job.epochs)
    }
    if still:
        return warning(
            f"still improving at the last epoch allowed: {', '.join(sorted(still))}; with more "
            f"epochs {'its' if len(still) == 1 else 'their'} loss may fall and the choice may "
            "change"
        )
    return ok("every finalist was past its best epoch when training ended")


def best_epoch(record: StudyRecord) -> Answer:
    """CS013: what the selected network gains by choosing its epoch on the rows that rank it.

    Each seed's loss at the epoch that the other seeds' mean curve would choose, less its loss at
    its own best epoch. It sees the luck of a seed's epochs, not what all seeds share in the rows.
    By hand, seeds (0.5, 0.3, 0.4) and (0.5, 0.4, 0.2): each at the other's epoch, 0.1 and 0.2
    higher: 0.15. In folds no row chooses the epoch of a network that it ranks.
    """
    if record.study.data.folds is not None:
        return not_applicable("each fold is judged at the epoch that the other folds chose")
    chosen = record.choice.selected
    runs = [t.outcome for t in record.replicates if t.candidate == chosen.candidate]
    curves = [o.curve for o in runs if o and o.complete]
    if len(curves) < 2:
        return not_applicable("only one fresh-seed run of the selected network completed")
    flattered = optimism(curves)
    said = (
        f"the rows that measure the loss also choose the best epoch; at the epoch that its other "
        f"seeds would choose, the selected network's loss is {flattered:.4f} higher "
        f"({flattered / chosen.se:.1f} standard errors)"
    )
    return warning(said) if flattered > OPTIMISM * chosen.se else ok(said)


def optimism(curves: list[Curve]) -> float:
    """Mean loss that seeds gain over the epoch that the other seeds would choose for them."""
    shortest = min(map(len, curves))
    table = np.array([c.val_loss[:shortest] for c in curves])
    others = (table.sum(axis=0) - table).argmin(axis=1)
    own = np.array([min(c.val_loss) for c in curves])
    return float((table[np.arange(len(table)), others] - own).mean())


def replicates(record: StudyRecord) -> Answer:
    """CS014: fresh seeds that failed, and too few of them to know their spread."""
    baselines = [t for t in record.trials if t.group == "baseline"]
    shown = {t.candidate for t in (*frontier((*record.trials, *record.races)), *baselines)}
    runs = [t for t in record.replicates if t.candidate in shown]  # not of former finalists
    failed = [t for t in runs if t.outcome and not t.outcome.complete]
    fewest = min(e.replicates for e in record.estimates)
    if failed:
        who = ", ".join(sorted({network(t.candidate.units) for t in failed}))
        return warning(f"{len(failed)} of {len(runs)} fresh-seed runs failed: {who}")
    if fewest < FEWEST_SEEDS:
        return warning(
            f"{fewest} fresh-seed runs of a finalist are too few to know how much seeds differ: "
            "raise select.replicates"
        )
    return ok(f"all {len(runs)} fresh-seed runs completed, at least {fewest} of every finalist")
