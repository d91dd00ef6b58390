"""Can the rows carry the claim?"""

from math import hypot

from capsearch.records import StudyRecord
from capsearch.report import facts
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import by_log_loss, judge_of

RAREST = 0.2  # share of the rarer class; below it accuracy says little
APART = 0.03  # between the splits' shares of the positive class
Z95 = 1.96  # a 95% interval is so many standard errors wide on either side


def openings(record: StudyRecord) -> Answer:
    """CS007: studies that have opened the same test split."""
    if record.test is None:
        return not_applicable(_untested(record))
    others, day = facts.other_openings(record.test), record.test.opened_at[:10]
    if record.test.openings > 1:
        return warning(f"{others}: the more often it is used, the less a test score proves")
    return ok(f"this study opened the test split once, on {day}, after its choice; {others}")


def duplicates(record: StudyRecord) -> Answer:
    """CS008: rows that appear in two splits."""
    data = record.study.data
    said = facts.shared_rows(data)
    return warning(said) if any(data.duplicates.values()) else ok(said)


def leaks(record: StudyRecord) -> Answer:
    """CS019: columns that give the answer away."""
    found = record.study.data.leaks
    if found is None:
        return not_applicable("the rows have no columns that could give the target away")
    if not found:
        return ok("no column predicts the target almost perfectly by itself")
    told = "; ".join(f"{name!r}: {why}" for name, why in found.items())
    return warning(f"columns that give the target away ({told}): is each known beforehand?")


def balance(record: StudyRecord) -> Answer:
    """CS009: classes of unequal size, or splits with unequal classes."""
    shares = record.study.data.balance
    low, high = min(shares.values()), max(shares.values())
    ends = dict.fromkeys(f"{share:.1%}" for share in (low, high))
    positive = f"{' to '.join(ends)} of the rows of each split are positive"
    larger = max(high, 1.0 - low)
    if larger > 1.0 - RAREST:
        return warning(f"{positive}: always predicting the larger class is {larger:.1%} accurate")
    if high - low > APART:
        return warning(f"{positive}: the splits differ in their classes")
    return ok(positive)


def learned(record: StudyRecord) -> Answer:
    """CS016: the best network against predicting the class frequencies, whatever the row."""
    best, judge = record.choice.best, judge_of(record)
    blind = judge.blind(record.study.data.balance["validation"])
    said = (
        f"always predicting the class frequencies gives a validation {judge.noun} of {blind:.4f}, "
        f"the best network {best.mean:.4f}"
    )
    if best.mean + 2.0 * best.se >= blind:
        return warning(f"no network learned anything from the rows: {said}")
    return ok(said)


def surprise(record: StudyRecord) -> Answer:
    """CS017: the test loss against the validation loss, in standard errors of their difference."""
    test = record.test
    if test is None:
        return not_applicable(_untested(record))
    chosen = by_log_loss(record, record.choice.selected)
    error = hypot(chosen.se, (test.loss_high - test.loss_low) / (2.0 * Z95))
    apart = test.loss - chosen.mean
    said = f"the test loss ({test.loss:.4f}) and the validation loss ({chosen.mean:.4f})"
    if abs(apart) > Z95 * error:
        return warning(f"{said} differ by more than chance explains: the splits may differ")
    return ok(f"{said} differ by no more than chance explains")


def _untested(record: StudyRecord) -> str:
    return "there is no test split" if record.complete else "the test split is still sealed"
