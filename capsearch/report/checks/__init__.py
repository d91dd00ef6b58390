"""What a careful reader would ask of a study, each question with its code and its answer.

A code never changes its meaning and is never given again. Every check is a pure function of the
record and answers `ok`, `warning` or `not applicable`; its numbers are those in storage.
"""

from collections.abc import Callable
from dataclasses import replace

from capsearch.records import Check, StudyRecord
from capsearch.report.checks import rows, size, training, trust
from capsearch.report.checks.answer import Answer

CHECKS: dict[str, Callable[[StudyRecord], Answer]] = {
    "CS001": size.largest,
    "CS002": size.smallest,
    "CS003": size.settings,
    "CS004": training.rungs,
    "CS005": training.failures,
    "CS006": training.epochs,
    "CS007": rows.openings,
    "CS008": rows.duplicates,
    "CS009": rows.balance,
    "CS010": trust.margin,
    "CS011": trust.stability,
    "CS012": trust.decided,
    "CS013": training.best_epoch,
    "CS014": training.replicates,
    "CS015": size.lagging,
    "CS016": rows.learned,
    "CS017": rows.surprise,
    "CS018": trust.same_as_keras,
    "CS019": rows.leaks,
    "CS020": rows.held_out,
}


def with_checks(record: StudyRecord) -> StudyRecord:
    """The record with the answer to every check, in the order of the codes."""
    answers = ((code, check(record)) for code, check in CHECKS.items())
    checks = tuple(Check(code, answer.status, answer.sentence) for code, answer in answers)
    return replace(record, checks=checks)
