"""What is predicted: binary, multiclass, multilabel and regression, each described once.

Head, losses, blind score, metrics and words of a study are asked of its `Task`. Keras is not
imported here: losses and metrics of Keras are named, and made where networks are.
"""

from collections.abc import Mapping
from typing import Any

from capsearch.tasks.base import HALF, Head, Headline, KerasObject, Task
from capsearch.tasks.binary import Binary
from capsearch.tasks.multiclass import Multiclass
from capsearch.tasks.multilabel import Multilabel
from capsearch.tasks.regression import Regression

BINARY = Binary()
KINDS: dict[str, type[Task]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}


def task_of(description: Mapping[str, Any]) -> Task:
    """The task that `describe` described; an empty description is that of plain binary rows.

    Raises ValueError for a kind that there is not, and for a description that is no task.
    """
    told = {name: tuple(v) if isinstance(v, list) else v for name, v in description.items()}
    kind = told.pop("kind", "binary")
    if kind not in KINDS:
        raise ValueError(f"no task {kind!r}; legal: {', '.join(KINDS)}")
    made: Any = KINDS[kind]
    task: Task = made(**told)
    return task


__all__ = [
    "BINARY",
    "HALF",
    "KINDS",
    "Binary",
    "Head",
    "Headline",
    "KerasObject",
    "Multiclass",
    "Multilabel",
    "Regression",
    "Task",
    "task_of",
]
