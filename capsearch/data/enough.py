"""Whether every split and fold has the rows and the labels that it cannot do without."""

from typing import TYPE_CHECKING

import numpy as np

from capsearch.data import folds
from capsearch.data.words import quoted, some

if TYPE_CHECKING:
    from capsearch.data.material import Material

SEARCHED = ("train", "validation")
LEAST = 2  # rows of a split: one has no spread


def too_few(material: "Material") -> list[str]:
    """Every split must have rows, and the labels that it cannot do without."""
    mistakes = []
    searched = SEARCHED if material.folds is None else ("train",)
    wanted = [*searched, *(["test"] if "test" in material.splits else [])]
    total = sum(material.sizes.values())
    for name in wanted:
        rows = material.splits.get(name, np.array([], np.int64))
        if len(rows) < LEAST:
            has = f"{len(rows) or 'none'} of the {total:,} rows"
            different = len(set(material.digests))  # equal ones stay together
            mistakes.append(
                f"data: the {name} split has {has} ({different:,} different, and equal ones stay "
                f"together); {LEAST} are the least"
            )
        elif missing := material.target.absent(material.values[rows], name):
            mistakes.append(
                f"data: the {name} split has {len(rows):,} of {total:,} rows, and none with the "
                f"label {' or '.join(map(quoted, missing))}"
            )
        elif (weight := material.raw.weight) is not None and not weight[rows].any():
            mistakes.append(f"data: every row of the {name} split has a weight of 0")
    return mistakes or wrong_folds(material)


def torn_groups(material: "Material") -> list[str]:
    """A group that was given to two splits."""
    group = material.raw.group
    if group is None:
        return []
    splits = {name: set(group[rows].tolist()) for name, rows in material.splits.items()}
    names = list(splits)
    return [
        f"data: groups stand in both {a} and {b}: {some([quoted(g) for g in torn])}"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if (torn := sorted(splits[a] & splits[b], key=str))
    ]


def wrong_folds(material: "Material") -> list[str]:
    """Folds without rows, and folds whose training rows lack a label."""
    asked, rows = material.folds, material.splits["train"]
    if asked is None:
        return []
    fewest = min(np.bincount(each, minlength=asked.folds).min() for each in material.dealt)
    if not fewest:
        different = len({material.digests[i] for i in rows})
        return [
            f"data.validation: {len(rows):,} rows ({different:,} different, in whole groups) are "
            f"too few for {asked.folds} folds"
        ]
    values = material.values[rows]
    trained = (values[train] for train, _ in folds.pairs(material.dealt))
    lacking = {name for each in trained for name in material.target.absent(each, "train")}
    return [
        f"data.validation: the training rows of a fold have none with the label {quoted(name)}: "
        "fewer folds, or a share such as 0.2"
        for name in sorted(lacking)
    ]
