"""Can the rows carry the claim?"""

from math import hypot, sqrt

import numpy as np

from capsearch.records import StudyRecord
from capsearch.records.data import FEWEST
from capsearch.report import facts
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection import by_log_loss, judge_of
from capsearch.spec.tables import blind_score
from capsearch.tasks import Task
from capsearch.tasks.base import number
from capsearch.tasks.words import second_label

RAREST = 0.2  # share of the rarer class; below it accuracy says little
APART = 0.03  # between the splits' shares of the positive class
Z95 = 1.96  # a 95% interval is so many standard errors wide on either side
FAR = 3.0  # standard errors between two splits: by chance alone, 1 in 370


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
    data, test = record.study.data, record.test
    said = facts.shared_rows(data, test)
    return warning(said) if any(facts.shares(data, test).values()) else ok(said)


def leaks(record: StudyRecord) -> Answer:
    """CS019: columns that give the answer away."""
    found = record.study.data.leaks
    if found is None:
        return not_applicable("the rows have no columns that could give the target away")
    if not found:
        return ok("no column predicts the target almost perfectly by itself")
    told = "; ".join(f"{name!r}: {why}" for name, why in found.items())
    return warning(f"columns that give the target away ({told}): is each known beforehand?")


def held_out(record: StudyRecord) -> Answer:
    """CS020: whether the rows that judge networks are enough.

    Few rows differ much from one split to another: on two of four small tables, a hold-out of a
    fifth claimed wrongly in 20% and 25% of 60 splits, five folds in none (tests/bench/README.md).
    """
    data = record.study.data
    said = f"networks are judged by {facts.judged_rows(data)}"
    if data.folds is None and data.sizes[data.judged] < FEWEST:
        return warning(
            f"{said}; with fewer than {FEWEST:,}, a claim may be true of these rows only: use more "
            "rows, or folds where the data allow them"
        )
    return ok(said)


def balance(record: StudyRecord) -> Answer:
    """CS009: classes of unequal size, or splits whose targets differ."""
    task = facts.task_in(record)
    if task.kind == "regression":
        return _spread(record)
    if task.kind != "binary":
        return _classes(record, task)
    shares = {split: record.study.data.statistics(split)[0] for split in record.study.data.sizes}
    low, high = min(shares.values()), max(shares.values())
    ends = dict.fromkeys(f"{share:.1%}" for share in (low, high))
    positive = f"{' to '.join(ends)} of the rows of each split are {second_label(task)}"
    larger = max(high, 1.0 - low)
    if larger > 1.0 - RAREST:
        return warning(f"{positive}: always predicting the larger class is {larger:.1%} accurate")
    if high - low > APART:
        return warning(f"{positive}: the splits differ in their classes")
    return ok(positive)


def _classes(record: StudyRecord, task: Task) -> Answer:
    """Of several classes or labels: the most frequent one, those that lack, and unlike splits."""
    data, what = record.study.data, "class" if task.kind == "multiclass" else "label"
    table = np.array([data.statistics(split) for split in data.sizes])
    most = int(table.mean(axis=0).argmax())
    ends = dict.fromkeys(f"{share:.1%}" for share in (table[:, most].min(), table[:, most].max()))
    said = (
        f"the most frequent {what} is {task.labels[most]!r}, {' to '.join(ends)} of the rows of "
        "each split"
    )
    if lacking := [task.labels[k] for k in np.flatnonzero(table.min(axis=0) == 0.0)]:
        return warning(f"{said}; absent from a split: {', '.join(map(repr, lacking))}")
    if what == "class" and table.max() > 1.0 - RAREST:
        return warning(f"{said}: always predicting it is {table.max():.1%} accurate")
    gap, rows = np.ptp(table, axis=0), min(data.sizes.values())
    chance = FAR * np.sqrt(table.mean(axis=0) * (1.0 - table.mean(axis=0)) * 2 / rows)
    if unlike := [task.labels[k] for k in np.flatnonzero((gap > APART) & (gap > chance))]:
        return warning(f"{said}; the splits differ in {', '.join(map(repr, unlike))}")
    return ok(said)


def _spread(record: StudyRecord) -> Answer:
    """Of a number: the splits' means, in standard errors of their difference from training's."""
    data, means, errors = record.study.data, dict[str, float](), dict[str, float]()
    told = list[str]()
    for split, rows in data.sizes.items():
        means[split], deviation = data.statistics(split)
        errors[split] = deviation / sqrt(max(rows, 1))
        told.append(f"{number(means[split])} ± {number(deviation)} ({split})")
    said = f"mean and standard deviation of the target: {', '.join(told)}"
    for split, mean in means.items():
        if abs(mean - means["train"]) > FAR * hypot(errors[split], errors["train"]):
            return warning(f"{said}; {split} differs from train by more than chance explains")
    return ok(said)


def learned(record: StudyRecord) -> Answer:
    """CS016: the best network against the best answer that looks at no row."""
    best, judge = record.choice.best, judge_of(record)
    blind = blind_score(record.study.data, judge)
    said = (
        f"{facts.task_in(record).blind} gives a validation {judge.noun} of {blind:.4f}, the best "
        f"network {best.mean:.4f}"
    )
    if best.mean + 2.0 * best.se >= blind:
        return warning(f"no network learned anything from the rows: {said}")
    return ok(said)


def surprise(record: StudyRecord) -> Answer:
    """CS017: the test loss against the validation loss, in standard errors of their difference.

    With folds the network that was tested is none of those whose loss is known.
    """
    test = record.test
    if test is None:
        return not_applicable(_untested(record))
    chosen = by_log_loss(record, record.choice.selected)
    error = hypot(chosen.se, (test.loss_high - test.loss) / Z95)  # its low end stops at 0
    apart = test.loss - chosen.mean
    said = f"the test loss ({test.loss:.4f}) and the validation loss ({chosen.mean:.4f})"
    again = f"; {refit}" if (refit := facts.trained_again(record)) else ""
    if abs(apart) > Z95 * error:
        return warning(f"{said} differ by more than chance explains: the splits may differ{again}")
    return ok(f"{said} differ by no more than chance explains{again}")


def _untested(record: StudyRecord) -> str:
    return "there is no test split" if record.complete else "the test split is still sealed"
