"""What is to be predicted, from the target as given to the numbers that engines train on. Pure.

A target is read once the task is known: said in [data], or told by the values where they leave no
doubt. The task itself is made with the training rows, for an amount is learned in their standard
deviations and balanced classes count by their shares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from capsearch.data.columns.target import plain_label, target_of
from capsearch.data.labels import binary, classes, numbers_of, relabelled, texts_of
from capsearch.data.options import DataOptions
from capsearch.data.words import quoted, some
from capsearch.errors import BadRequest
from capsearch.tasks import Binary, Multiclass, Multilabel, Regression, Task
from capsearch.tasks.weights import balanced_weights

YES, NO = ("1", "true", "yes"), ("0", "false", "no")  # of a label that a row has, or has not


class Target(Protocol):
    """How the target of a study is read. Values are float64, one row each."""

    def values(self, target: np.ndarray, name: str = "target") -> np.ndarray:
        """Class numbers, amounts, or (rows, labels) of 0 and 1. Raises BadRequest."""
        ...

    def task(self, train: np.ndarray) -> Task:
        """By the values of the training rows. Raises BadRequest for rows that teach nothing."""
        ...

    def y(self, values: np.ndarray, task: Task) -> np.ndarray:
        """As `Rows` holds them: float32."""
        ...

    def strata(self, values: np.ndarray) -> np.ndarray:
        """(rows,): of equal numbers every split gets its share."""
        ...

    def text(self, value: Any) -> str:
        """A row's value as it was given, for its fingerprint."""
        ...

    def absent(self, values: np.ndarray, split: str) -> list[str]:
        """What a split lacks that it cannot do without, for people."""
        ...


@dataclass(frozen=True)
class Classes:
    """One of several labels, in the order of their numbers."""

    labels: tuple[str, ...]
    balanced: bool = False
    relabel: Mapping[str, str] = field(default_factory=dict)

    def values(self, target: np.ndarray, name: str = "target") -> np.ndarray:
        texts = relabelled(texts_of(target, name), self.relabel)
        if other := sorted(set(texts.tolist()) - set(self.labels)):
            rows = [int(np.flatnonzero(texts == label)[0]) for label in other]
            shown = some([f"row {row + 1:,} has {quoted(texts[row])}" for row in rows])
            known = some([quoted(label) for label in self.labels])
            raise BadRequest(
                f"data: the {name} has labels that are not known: {shown}. Known: {known}"
            )
        places = {label: number for number, label in enumerate(self.labels)}
        return np.array([places[text] for text in texts.tolist()], np.float64)

    def recognised(self, target: np.ndarray, name: str) -> np.ndarray:
        """Labels as texts, those that only look otherwise than a known one made that one."""
        texts = relabelled(texts_of(target, name), self.relabel)
        known: dict[str, list[str]] = {}
        for label in self.labels:
            known.setdefault(plain_label(label), []).append(label)
        alike = {text: known.get(plain_label(text), []) for text in {*texts} - {*self.labels}}
        return relabelled(texts, {t: found[0] for t, found in alike.items() if len(found) == 1})

    def task(self, train: np.ndarray) -> Task:
        kind = Binary if len(self.labels) == 2 else Multiclass
        if not self.balanced:
            return kind(self.labels)
        shares = np.bincount(train.astype(np.int64), minlength=len(self.labels)) / len(train)
        return kind(self.labels, balanced_weights(tuple(shares.tolist())))

    def y(self, values: np.ndarray, task: Task) -> np.ndarray:
        return values.astype(np.float32)

    def strata(self, values: np.ndarray) -> np.ndarray:
        return values

    def text(self, value: Any) -> str:
        return self.labels[int(value)]

    def absent(self, values: np.ndarray, split: str) -> list[str]:
        """Training rows must show every label; a loss needs two of the others, all of two."""
        found = {self.labels[int(each)] for each in np.unique(values)}
        missing = [label for label in self.labels if label not in found]
        few = split == "train" or len(self.labels) == 2 or len(found) < 2
        return missing if few else []


@dataclass(frozen=True)
class Amounts:
    """A number, in its own unit."""

    loss: str = "squared"

    def values(self, target: np.ndarray, name: str = "target") -> np.ndarray:
        return numbers_of(target, name)

    def task(self, train: np.ndarray) -> Task:
        try:
            return Regression.of(train, loss=self.loss)
        except ValueError as error:
            raise BadRequest(
                f"data: the target of all {len(train):,} training rows is {train[0]:g}, so there "
                "is nothing to learn"
            ) from error

    def y(self, values: np.ndarray, task: Task) -> np.ndarray:
        assert isinstance(task, Regression)
        return task.standardised(values)

    def strata(self, values: np.ndarray) -> np.ndarray:
        return np.zeros(len(values))

    def text(self, value: Any) -> str:
        return repr(float(value))

    def absent(self, values: np.ndarray, split: str) -> list[str]:
        return []


@dataclass(frozen=True)
class Flags:
    """Any number of labels at once."""

    labels: tuple[str, ...]

    def values(self, target: np.ndarray, name: str = "target") -> np.ndarray:
        if target.ndim != 2 or target.shape[1] != len(self.labels):
            raise BadRequest(
                f"data: the {name} of {len(self.labels)} labels must have the shape (rows, "
                f"{len(self.labels)}), not {target.shape}"
            )
        found, mistakes = np.empty(target.shape), list[str]()
        for number, label in enumerate(self.labels):
            texts = [str(v).strip().casefold().removesuffix(".0") for v in target[:, number]]
            other = [i for i, text in enumerate(texts) if text not in (*YES, *NO)]
            if other:
                shown = some([f"row {i + 1:,} has {quoted(target[i, number])}" for i in other])
                mistakes.append(f"data: the label {quoted(label)} must be 0 or 1: {shown}")
            found[:, number] = [text in YES for text in texts]
        if mistakes:
            raise BadRequest(*mistakes)
        return found

    def task(self, train: np.ndarray) -> Task:
        return Multilabel(self.labels)

    def y(self, values: np.ndarray, task: Task) -> np.ndarray:
        return values.astype(np.float32)

    def strata(self, values: np.ndarray) -> np.ndarray:
        return np.zeros(len(values))

    def text(self, value: Any) -> str:
        return "".join("1" if each else "0" for each in value)

    def absent(self, values: np.ndarray, split: str) -> list[str]:
        if split != "train":
            return []
        return [self.labels[k] for k in np.flatnonzero(~values.any(axis=0))]


def read_target(target: np.ndarray, options: DataOptions) -> Target:
    """How this target is to be read, by what [data] says and by its values.

    Raises BadRequest where they leave a doubt, with the line to write.
    """
    kind = options.task or ("multilabel" if target.ndim == 2 else _told(target, options))
    if target.ndim == 2 and kind != "multilabel":
        raise BadRequest(
            f"data.task: a target of {target.shape[1]} columns is one of several labels. Legal: "
            "'multilabel'"
        )
    classed = ("binary", "multiclass")
    beside = {"class_weights": classed, "relabel": classed, "loss": ("regression",)}
    if wrong := [k for k, kinds in beside.items() if getattr(options, k) and kind not in kinds]:
        raise BadRequest(
            *(f"data.{k}: is for {' and '.join(beside[k])} tasks, not {kind}" for k in wrong)
        )
    balanced, relabel = options.class_weights == "balanced", options.relabel
    match kind:
        case "regression":
            return Amounts(options.loss or "squared")
        case "multilabel":
            return Flags(_names(target, options))
        case "multiclass":
            return Classes(classes(_read_as(target, relabel), options.labels), balanced, relabel)
    return Classes(binary(_read_as(target, relabel), options.labels), balanced, relabel)


def _told(target: np.ndarray, options: DataOptions) -> str:
    """The task that values tell of."""
    if options.labels:
        return "binary" if len(options.labels) == 2 else "multiclass"
    found = target_of("target", _read_as(target, options.relabel))
    if found.task is None:
        lines = " or ".join(line.replace("\n", " and ") for line in found.lines)
        asked = f". Write in [data]: {lines}" if lines else ""
        raise BadRequest(f"data: the task is not clear. The target: {found.why}{asked}")
    return found.task


def _read_as(target: np.ndarray, relabel: Mapping[str, str]) -> np.ndarray:
    return relabelled(texts_of(target), relabel)


def _names(target: np.ndarray, options: DataOptions) -> tuple[str, ...]:
    """Of the labels of a target with several columns."""
    wide = target.shape[1] if target.ndim == 2 else 1
    if wide < 2:
        raise BadRequest("data.task: 'multilabel' needs a target of two or more columns")
    columns: Sequence[Any] = options.labels or getattr(options, "target", None) or ()
    if not columns:
        return tuple(f"{number + 1}" for number in range(wide))
    if len(columns) != wide:
        raise BadRequest(f"data.labels: names {len(columns)} labels, but the target has {wide}")
    return tuple(map(str, columns))
