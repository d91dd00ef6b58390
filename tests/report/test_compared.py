"""Named networks two by two: hand-worked differences, and who is named."""

from dataclasses import replace

import numpy as np
import pytest

from capsearch.records import StudyRecord, Trial
from capsearch.report.compared import compared, named
from tests.samples import record_of


def with_losses(record: StudyRecord, losses: dict[str, list[list[float]]]) -> StudyRecord:
    """The record with fresh-seed runs of these networks alone: their losses of the rows by seed."""
    kept = list[Trial]()
    for name, seeds in losses.items():
        runs = [t for t in record.replicates if t.candidate == named(record)[name]]
        for run, rows in zip(runs, seeds, strict=False):
            assert run.outcome is not None
            mine = np.array(rows, np.float32)
            outcome = replace(run.outcome, val_losses=mine, val_loss=float(mine.mean()))
            kept.append(replace(run, outcome=outcome))
    return replace(record, replicates=tuple(kept))


def test_differences_in_loss_and_accuracy_are_worked_by_hand() -> None:
    """Two seeds, four rows. A probability below one half for what is true is a wrong answer."""
    record = record_of()
    names = list(named(record))
    first = [[0.1, 0.9, 0.2, 0.2], [0.1, 0.9, 0.2, 0.6]]  # 1 of 4 wrong, twice
    second = [[0.3, 0.3, 0.3, 0.9], [0.9, 0.3, 0.3, 0.9]]  # 1 and 2 of 4 wrong
    found = compared(with_losses(record, {names[0]: first, names[1]: second}))
    pair = next(p for p in found if (p.first, p.second) == (names[0], names[1]))
    assert pair.loss.mean == pytest.approx(np.mean(first) - np.mean(second), abs=1e-6)
    assert pair.accuracy is not None
    assert pair.accuracy.mean == pytest.approx(75.0 - 62.5)
    assert pair.accuracy.low < 12.5 < pair.accuracy.high
    assert not pair.accuracy.clear


def test_baselines_are_named_and_nobody_twice() -> None:
    record = record_of()
    known = named(record)
    assert {"selected", "original", "smaller"} <= set(known)
    assert len({c.key for c in known.values()}) == len(known)
    pairs = compared(record)
    assert len(pairs) == len(known) * (len(known) - 1) / 2


def test_a_study_with_one_network_has_nobody_to_compare() -> None:
    record = record_of(baselines=False)
    only = replace(record.decision.choice, best=record.choice.selected)
    estimates = (record.choice.selected,)
    lone = replace(
        record, trials=(), decision=replace(record.decision, choice=only, estimates=estimates)
    )
    assert compared(lone) == []
