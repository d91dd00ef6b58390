"""Between which bounds a network's accuracy lies: no row is looked at, and all are known."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from capsearch.tasks.base import Task
from capsearch.tasks.regression import Regression


def unweighted(task: Task) -> Task:
    """The same task with all classes alike, and a number's error squared."""
    if isinstance(task, Regression):
        return replace(task, loss="squared")
    given: Any = task  # one of the frozen tasks with class weights
    return replace(given, class_weights=()) if task.class_weights else task


def chance(task: Task, y: np.ndarray) -> float:
    """The accuracy of the best answer that looks at no row; 0 for a number (R2)."""
    if task.kind == "regression":
        return 0.0
    shares = np.array(task.statistics(y))
    if task.kind == "multiclass":
        return float(shares.max())
    return float(np.maximum(shares, 1.0 - shares).mean())


def reachable(task: Task, x: np.ndarray | sparse.csr_matrix, y: np.ndarray) -> float:
    """The highest accuracy (R2) that a function of the rows can have: equal rows get one answer.

    By hand, rows a, a, a, b labelled 1, 1, 0, 0: the best answers are a -> 1, b -> 0: 3 of 4. As
    numbers: their mean is 1/2 and a's is 2/3, so 2/3 of the variance of 1 is left: R2 is 1/3.
    """
    y = y if y.ndim == 2 else y[:, None]
    groups = _equal_rows(x)
    if task.kind == "regression":
        counts = np.bincount(groups)
        means = np.bincount(groups, y[:, 0].astype(np.float64)) / counts
        left, total = ((y[:, 0] - means[groups]) ** 2).sum(), ((y[:, 0] - y.mean()) ** 2).sum()
        return float(1.0 - left / total) if total else 1.0
    most = 0
    for column in y.T:  # votes of each group for each class
        _, classes = np.unique(column, return_inverse=True)
        width = int(classes.max()) + 1
        votes = np.bincount(groups * width + classes, minlength=(groups.max() + 1) * width)
        most += int(votes.reshape(-1, width).max(axis=1).sum())
    return most / y.size


def _equal_rows(x: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """The number of each row's group of equal ones, in the order of their first appearance."""
    held, known = sparse.csr_matrix(x), dict[bytes, int]()
    held.sort_indices()
    found = np.empty(held.shape[0], np.int64)
    for i in range(held.shape[0]):
        part = slice(held.indptr[i], held.indptr[i + 1])
        key = held.indices[part].tobytes() + held.data[part].tobytes()
        found[i] = known.setdefault(key, len(known))
    return found
