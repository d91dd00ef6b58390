"""Can the rows carry the claim?"""

from math import hypot, log

from capsearch.records import StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning

RAREST = 0.2  # share of the rarer class; below it accuracy says little
APART = 0.03  # between the splits' shares of the positive class
Z95 = 1.96  # a 95 % interval is so many standard errors wide on either side


def openings(record: StudyRecord) -> Answer:
    """CS007: studies that have opened the same test split."""
    if record.test is None:
        return not_applicable("the test split is still sealed")
    others = record.test.openings - 1
    if others:
        times = "once" if others == 1 else f"{others} times"
        return warning(
            f"other studies opened this test split {times}: the more looks, the less of a test"
        )
    return ok(f"test split opened once, {record.test.opened_at[:10]}, after the choice was made")


def duplicates(record: StudyRecord) -> Answer:
    """CS008: rows that stand in two splits."""
    shared = {pair: count for pair, count in record.study.data.duplicates.items() if count}
    if shared:
        listed = ", ".join(f"{count:,} in {pair}" for pair, count in shared.items())
        return warning(f"rows that stand in two splits: {listed}")
    return ok("no row stands in two splits")


def balance(record: StudyRecord) -> Answer:
    """CS009: classes of unequal size, or splits with unequal classes."""
    shares = record.study.data.balance
    low, high = min(shares.values()), max(shares.values())
    ends = dict.fromkeys(f"{100 * share:.1f}" for share in (low, high))
    positive = f"{' to '.join(ends)} % positive"
    if min(low, 1.0 - high) < RAREST:
        return warning(
            f"unequal classes, {positive}: accuracy flatters whoever always names the larger one"
        )
    if high - low > APART:
        return warning(f"the splits differ in their classes, {positive}")
    return ok(f"{positive} in every split")


def learned(record: StudyRecord) -> Answer:
    """CS016: the best network against naming the share of the classes, whatever the row.

    By hand: a quarter positive, -(0.25 ln 0.25 + 0.75 ln 0.75) = 0.5623.
    """
    share, best = record.study.data.balance["validation"], record.choice.best
    blind = -sum(p * log(p) for p in (share, 1.0 - share) if p > 0.0)
    said = (
        f"the best network's loss is {best.mean:.4f}; knowing the classes' shares gives {blind:.4f}"
    )
    if best.mean + 2.0 * best.se >= blind:
        return warning(f"nothing was learned from the rows: {said}")
    return ok(said)


def surprise(record: StudyRecord) -> Answer:
    """CS017: the test loss against the validation loss, in standard errors of their difference."""
    test, chosen = record.test, record.choice.selected
    if test is None:
        return not_applicable("the test split is still sealed")
    error = hypot(chosen.se, (test.loss_high - test.loss_low) / (2.0 * Z95))
    apart = test.loss - chosen.mean
    said = f"the test loss ({test.loss:.4f}) and the validation loss ({chosen.mean:.4f})"
    if abs(apart) > Z95 * error:
        return warning(f"{said} differ by more than their errors explain: the splits may differ")
    return ok(f"{said} agree within their errors")
