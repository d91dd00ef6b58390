"""Facts of a record that page, checks and terminal tell in the same words."""

from collections.abc import Mapping
from math import isfinite

from capsearch.records import DataProfile, Interval, StudyRecord, TestScore, Uncertainty
from capsearch.records.data import GROUPS
from capsearch.selection import judge_of, shown
from capsearch.tasks import Task, task_of

NO_TEST = "none: this study has no test split"


def claim(record: StudyRecord) -> str:
    """What is claimed of the selected network, as 'proved', 'probable' or 'open', and its limits.

    Empty for a choice that was stored before capsearch made claims.
    """
    choice, asked = record.choice, record.study.question["select"]
    if choice.standing is None or choice.probability is None:
        return ""
    noun = judge_of(record).noun
    near = f"{asked['margin']:g} of the truly best network's validation {noun}"
    odds = f"a probability of {shown(choice.probability)} to be within {near}"
    if choice.standing == "proved":
        return (
            f"proved, with {asked['confidence'] * 100:g}% confidence: at most {asked['margin']:g} "
            f"worse in validation {noun} than any other network compared"
        )
    if choice.standing == "probable":
        return (
            f"probable: {odds}. It is less sure than that where one size alone is ahead of all "
            "others by just this margin"
        )
    kept = (
        "the best network is kept and nothing is claimed"
        if choice.undecided
        else "nothing is claimed"
    )
    return f"open: {kept}. It has {odds}"


def stability(uncertainty: Uncertainty) -> str:
    """'45% of 1,000 bootstrap resamples pick this network'."""
    share = f"{uncertainty.stability:.0%} of {uncertainty.resamples:,}"
    return f"{share} bootstrap resamples pick this network"


def interval(uncertainty: Uncertainty) -> str:
    """Of the loss increase: '95% interval +0.0018 to +0.0145'."""
    low, high = uncertainty.loss_increase_low, uncertainty.loss_increase_high
    if not isfinite(low + high):
        return "too few seeds for an interval"
    return f"95% interval {low:+.4f} to {high:+.4f}"


def task_in(record: StudyRecord) -> Task:
    """What the study predicts."""
    return task_of(record.study.data.task)


def figure_change(record: StudyRecord) -> str:
    """Of the selected network against the best: '-0.1 points of accuracy', '+1.2 RMSE'."""
    choice = record.choice
    best, selected = (record.figure(e.candidate) for e in (choice.best, choice.selected))
    return task_in(record).headline.change(best, selected)


def figures(record: StudyRecord) -> dict[str, Mapping[str, Interval]]:
    """Of whom which metrics are known: the selected and the best network, and the tested one."""
    choice, found = record.choice, dict[str, Mapping[str, Interval]]()
    known = dict(
        zip([e.parameters for e in record.estimates], record.decision.metrics, strict=False)
    )
    for role, one in (("selected", choice.selected), ("best", choice.best)):
        if (role == "selected" or one != choice.selected) and known.get(one.parameters):
            found[f"{role}, validation"] = known[one.parameters]
    if record.test is not None and record.test.metrics:
        found["selected, test"] = record.test.metrics
    return found


def other_openings(test: TestScore) -> str:
    """'1 other study has opened this test split'; 'no other study has opened it'."""
    others = test.openings - 1
    if not others:
        return "no other study has opened it"
    studies = "1 other study has" if others == 1 else f"{others:,} other studies have"
    return f"{studies} opened this test split"


def judged_rows(profile: DataProfile) -> str:
    """'5,000 validation rows', or 'all 142 rows, in 5 folds'; of which networks are judged."""
    rows, folds = profile.sizes[profile.judged], profile.folds
    if folds is None:
        return f"{rows:,} validation rows"
    times = f", {folds.repeats} times over" if folds.repeats > 1 else ""
    return f"all {rows:,} rows, in {folds.folds} folds{times}"


def folds_share(profile: DataProfile) -> str:
    """Why errors are wider where there are folds; else empty."""
    if profile.folds is None:
        return ""
    return f"errors over rows are taken {profile.widening:.3g} times as wide, for folds share rows"


def trained_again(record: StudyRecord) -> str:
    """What became of the selected network where there are folds; else empty."""
    data, choice = record.study.data, record.choice
    ended = [t.outcome for t in record.replicates if t.job.key == choice.key and t.outcome]
    if data.folds is None or not ended:
        return ""
    epochs = f"{ended[0].best_epoch:,} epoch{'s' if ended[0].best_epoch > 1 else ''}"
    return (
        f"the selected network was trained again on all {data.sizes[data.judged]:,} rows, for "
        f"{epochs}, the median of its folds"
    )


def shares(profile: DataProfile, test: TestScore | None) -> dict[str, int]:
    """'train/test': how many rows of the second split are in the first, too."""
    return {**profile.duplicates, **(test.shared if test else {})}


def shared_rows(profile: DataProfile, test: TestScore | None) -> str:
    """'1,200 test rows also appear in train'; or that no row appears in more than one split.

    Rows of a test file are compared once it was opened.
    """
    counts = shares(profile, test)
    pairs = [(*pair.split("/"), count) for pair, count in counts.items() if count]
    said = [
        f"{count:,} {second} rows "
        + ("are of groups that were searched" if first == GROUPS else f"also appear in {first}")
        for first, second, count in pairs
    ]
    sealed = "test" in profile.fingerprints and "test" not in profile.sizes
    apart = sealed and (test is None or not test.shared)
    none = "no row appears in more than one split"
    return (", ".join(said) or none) + (", the sealed test file not looked at" if apart else "")
