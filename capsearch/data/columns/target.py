"""What is to be predicted, told by the target's values; where they leave a doubt, a question."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capsearch.data.columns.declared import Declared
from capsearch.data.columns.doubt import line, short, worst
from capsearch.data.columns.values import Values, almost
from capsearch.data.preparation.transform import parse_number

TaskKind = Literal["binary", "multiclass", "regression"]
LEVELS = 20  # whole numbers of so many values or fewer may be classes
UNLABELLED = 'unlabelled = "drop"'  # rows without a label are a mistake unless this is said
CLASSES = 1_000  # more labels than that are no classes


@dataclass(frozen=True)
class Target:
    """The task, or None and what to ask. `lines` settle it, for the [data] table."""

    task: TaskKind | None
    why: str
    missing: int
    lines: tuple[str, ...] = ()


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
    if different == 2:
        return found("binary", f"two values: {' and '.join(map(short, sorted(values.counts)))}")
    misfits = {text: values.counts[text] for text, number in numbers.items() if number is None}
    if misfits:
        return _classes(values, null, misfits)
    spread = f"{different:,} different numbers, {min(known):g} to {max(known):g}"
    if different > LEVELS or different > values.known / 2:
        return found("regression", spread)
    why = f"{spread}: classes, or amounts?"
    return found(None, why, 'task = "multiclass"', 'task = "regression"')


def _classes(values: Values, null: tuple[str, ...], misfits: dict[str, int]) -> Target:
    """What labels are that are not all numbers."""
    name, different = values.name, len(values.counts)
    numbers = different - len(misfits)
    fitting = values.known - sum(misfits.values())
    if numbers and almost(fitting, values.known, numbers, len(misfits)):
        why = f"{fitting:,} of {values.known:,} labels are numbers, but not {worst(misfits)}"
        fix = line("null", name, [*null, *sorted(misfits)[:5]])
        return Target(None, why, values.missing, (f"{fix}\n{UNLABELLED}", 'task = "multiclass"'))
    if different > CLASSES or different > values.known / 2:
        why = f"{different:,} different labels in {values.known:,} rows are no classes"
        return Target(None, why, values.missing)
    return Target("multiclass", f"{different} different labels", values.missing)
