"""What is known of a data set, and how its rows are judged."""

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

FEWEST = 1_000  # rows held out; fewer call a network good too often (measured: tests/bench)

GROUPS = "groups"  # 'groups/test' counts test rows whose group is searched


@dataclass(frozen=True, slots=True)
class Folds:
    """Cross-validation: rows are dealt into so many folds, anew in every repeat.

    Each fold is judged by networks trained on all others, so that every row is judged once a
    repeat, by a network that never saw it.
    """

    folds: int = 5
    repeats: int = 1
    seed: int = 0  # of the dealing

    @property
    def widening(self) -> float:
        """What errors over rows are multiplied by, for networks of two folds share training rows.

        sqrt(1 + folds / (folds - 1)): the variance of a mean over J folds is not sigma^2 / J but
        sigma^2 (1 / J + n2 / n1), n2 rows judged by a network of n1 (Nadeau and Bengio 2003,
        Machine Learning 52, 239-281); here J = folds and n2 / n1 = 1 / (folds - 1). By hand, 5
        folds: sqrt(1 + 5 / 4) = 1.5. More repeats make it smaller; it is taken as it is.
        """
        return sqrt(1.0 + self.folds / (self.folds - 1))


@dataclass(frozen=True, slots=True)
class DataProfile:
    """What is known of a data set without showing a row of it. Keys are 'train' ... 'test'.

    A study may have no test split, and of test rows in a file of their own the fingerprint alone is
    known: that of the file's bytes. With `folds` there is no validation split: the training rows
    are those of all folds.
    """

    source: str
    features: int
    sizes: dict[str, int]
    balance: dict[str, float]  # share of the positive class; empty for every other task than binary
    duplicates: dict[str, int]  # 'train/validation': rows of the second also found in the first
    fingerprints: dict[str, str]  # SHA-256 over a split's raw rows, whatever their order
    task: dict[str, Any] = field(default_factory=dict)  # `tasks.task_of` reads it; {}: plain binary
    targets: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Of each split's targets, `Task.statistics`; empty where `balance` says it."""
    weighted: bool = False  # whether rows have weights of their own
    leaks: dict[str, str] | None = None  # column: why it gives the target away; None: no columns
    folds: Folds | None = None  # None: some rows are held out for validation

    @property
    def counts_differ(self) -> bool:
        """Whether some rows count more than others in a loss, for themselves or their class."""
        return self.weighted or bool(self.task.get("class_weights"))

    @property
    def judged(self) -> str:
        """The split whose rows tell networks apart."""
        return "train" if self.folds else "validation"

    @property
    def widening(self) -> float:
        """What errors over its rows are multiplied by (`Folds.widening`)."""
        return self.folds.widening if self.folds else 1.0

    @property
    def averaged(self) -> bool:
        """Whether a row's loss is a mean over repeats: that does not say whether it was right."""
        return self.folds is not None and self.folds.repeats > 1

    def statistics(self, split: str) -> tuple[float, ...]:
        """Of a split's targets; of a binary task the share of the positive class."""
        return self.targets[split] if self.targets else (self.balance[split],)
