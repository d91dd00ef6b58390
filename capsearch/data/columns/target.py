"""What is to be predicted, told by the target's values; where they leave a doubt, a question."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capsearch.data.columns.declared import Declared
from capsearch.data.columns.doubt import amount, line, short, times, worst
from capsearch.data.columns.values import Values, almost
from capsearch.data.columns.writing import other_writings
from capsearch.data.preparation.transform import parse_number
from capsearch.data.toml import listed, quoted

TaskKind = Literal["binary", "multiclass", "regression"]
LEVELS = 20  # whole numbers of so many values or fewer may be classes
UNLABELLED = 'unlabelled = "drop"'  # rows without a label are a mistake unless this is said
CLASSES = 1_000  # more labels than that are no classes


@dataclass(frozen=True)
class Target:
    """The task, or None and what to ask. `lines` settle it, for the [data] table.

    `labels` must be said, too: numbers of two classes, of which somebody knows the negative one.
    """

    task: TaskKind | None
    why: str
    missing: int
    lines: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def target_of(name: str, labels: np.ndarray, null: tuple[str, ...] = ()) -> Target:
    """What the values of a target say of the task."""
    values = Values.of(name, labels, Declared(null={name: null}))
    different = len(values.counts)
    numbers = {text: parse_number(text, {}) for text in values.counts}
    known = [number for number in numbers.values() if number is not None]

    def found(task: TaskKind | None, why: str, *lines: str) -> Target:
        return Target(task, why, values.missing, lines)

    if different < 2:
        return found(None, "it has one value only, so there is nothing to predict")
    if twins := _twins(values.counts):
        return found(None, *_the_same(values.counts, twins))
    if different == 2:
        why = f"two values: {' and '.join(map(short, sorted(values.counts)))}"
        unclear = len(known) == 2 and set(numbers) != {"0", "1"}
        said = tuple(sorted(numbers, key=lambda text: numbers[text] or 0.0)) if unclear else ()
        return replace(found("binary", why), labels=said)
    misfits = {text: values.counts[text] for text, number in numbers.items() if number is None}
    if misfits:
        return _classes(values, null, misfits)
    return _amounts_or_classes(values, known)


def _amounts_or_classes(values: Values, known: Sequence[float]) -> Target:
    """What labels are that are all numbers."""
    different = len(values.counts)
    spread = f"{different:,} different numbers, {amount(min(known))} to {amount(max(known))}"
    if different > LEVELS or different > values.known / 2:
        return Target("regression", spread, values.missing)
    lines = ('task = "multiclass"', 'task = "regression"')
    return Target(None, f"{spread}: classes, or amounts?", values.missing, lines)


def labels_line(labels: Sequence[str]) -> str:
    """A line of [data]: labels = [1, 2]. What is no plain whole number stays text: "1.0"."""
    whole = all(re.fullmatch("0|-?[1-9][0-9]*", label) for label in labels)
    return f"labels = [{', '.join(labels)}]" if whole else f"labels = {listed(*labels)}"


def plain_label(label: str) -> str:
    """A label without what hardly ever tells two apart: capitals, and a full stop at its end."""
    return label.casefold().rstrip(". ")


def _twins(counts: Mapping[str, int]) -> dict[str, str]:
    """Labels that are a commoner one but for capitals or a full stop at the end, and that one."""
    first, found = dict[str, str](), dict[str, str]()
    for label in sorted(counts, key=lambda each: -counts[each]):
        if parse_number(label, {}) is None and first.setdefault(plain_label(label), label) != label:
            found[label] = first[plain_label(label)]
    return found


def _the_same(counts: Mapping[str, int], twins: Mapping[str, str]) -> tuple[str, str, str]:
    """What to ask of labels that are alike, and the lines that answer it."""
    pairs = [(twins[label], label) for label in twins]
    told = ", ".join(
        f"{quoted(short(a))} ({times(counts[a])}) and {quoted(short(b))} ({times(counts[b])})"
        for a, b in pairs[:3]
    )
    same = ", ".join(f"{quoted(b)} = {quoted(a)}" for a, b in pairs)
    kind = "binary" if len(counts) == 2 else "multiclass"
    return f"labels are alike: {told}. The same?", f"relabel = {{ {same} }}", f'task = "{kind}"'


def _classes(values: Values, null: tuple[str, ...], misfits: dict[str, int]) -> Target:
    """What labels are that are not all numbers."""
    name, different = values.name, len(values.counts)
    numbers = different - len(misfits)
    fitting = values.known - sum(misfits.values())
    if numbers and almost(fitting, values.known, numbers, len(misfits)):
        why = f"{fitting:,} of {values.known:,} labels are numbers, but not {worst(misfits)}"
        fix = line("null", name, [*null, *sorted(misfits)[:5]])
        return Target(None, why, values.missing, (f"{fix}\n{UNLABELLED}", 'task = "multiclass"'))
    written = other_writings(values, {"decimal": ".", "thousands": "", "unit": ""}, fitting)
    if written and different > LEVELS:
        why = f"its values are numbers only in another way of writing: {worst(misfits)}"
        lines = tuple(f'{each}\ntask = "regression"' for each in written)
        return Target(None, why, values.missing, lines)
    if different > CLASSES or different > values.known / 2:
        why = f"{different:,} different labels in {values.known:,} rows are no classes"
        return Target(None, why, values.missing)
    return Target("multiclass", f"{different} different labels", values.missing)
