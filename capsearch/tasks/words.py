"""How figures and targets are written for people."""

from collections.abc import Mapping

from capsearch.records import DataProfile, Interval, TestScore
from capsearch.tasks.base import HALF, Task, number

TITLES = {
    "accuracy": "accuracy",
    "label_accuracy": "label accuracy",
    "exact_match": "rows with every label right",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "average_precision": "average precision",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "brier": "Brier score",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}
"""Of each metric, within a sentence."""
PERCENT = ("accuracy", "label_accuracy", "exact_match", "balanced_accuracy")
OWN_UNIT = ("rmse", "mae")
MANY = 12  # classes that each have a column


def shown(name: str, value: float, decimals: int = 1) -> str:
    """One value: a share of rows in percent, an error in the target's unit, else four decimals."""
    if name in PERCENT:
        return f"{100 * value:.{decimals}f}%"
    return number(value) if name in OWN_UNIT else f"{value:.4f}"


def with_ends(name: str, figure: Interval, decimals: int = 1) -> str:
    """'88.6% (87.7% to 89.5%)'."""
    value, low, high = (shown(name, v, decimals) for v in (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"


def listed(metrics: Mapping[str, Interval], *without: str) -> str:
    """'AUC 0.9505 (0.9400 to 0.9601), Brier score ...'."""
    told = [(name, each) for name, each in metrics.items() if name not in without]
    return ", ".join(f"{TITLES[name]} {with_ends(name, each)}" for name, each in told)


def score_of(test: TestScore, task: Task) -> Interval:
    """The headline of a score; those of the first versions have no metrics beside it."""
    found = test.metrics.get(task.headline.name)
    if found is not None:
        return found
    assert test.accuracy is not None
    assert test.accuracy_low is not None
    assert test.accuracy_high is not None
    return Interval(test.accuracy, test.accuracy_low, test.accuracy_high)


def second_label(task: Task) -> str:
    """What rows of the second class of a binary task are called in a sentence."""
    return "positive" if task.labels == ("0", "1") else repr(task.labels[1])


def target_columns(task: Task) -> list[str]:
    """Headings of what is shown of the targets of each split."""
    if task.kind == "binary":
        return ["positive" if task.labels == ("0", "1") else task.labels[1]]
    if task.kind == "regression":
        return ["mean", "standard deviation"]
    return list(task.labels) if len(task.labels) <= MANY else ["most frequent", "least frequent"]


def target_cells(profile: DataProfile, task: Task, split: str) -> list[str]:
    """The cells below `target_columns`."""
    values = profile.statistics(split)
    if task.kind == "regression":
        return [number(value) for value in values]
    if len(values) > MANY:
        ends = max(values), min(values)
        return [f"{task.labels[values.index(v)]} ({v:.1%})" for v in ends]
    return [f"{value:.1%}" for value in values]


def cut_at(task: Task, threshold: float | None) -> str:
    """How labels are predicted, where that is not by the more probable class; else empty."""
    if task.kind != "binary" or threshold is None or threshold == HALF:
        return ""
    return (
        f"the classes are of unequal size, so {second_label(task)} is predicted from a "
        f"probability of {threshold:.3f} on, where both classes' shares of right validation rows "
        "are best together; balanced accuracy and macro F1 are those of these labels, accuracy "
        "that of the more probable class"
    )
