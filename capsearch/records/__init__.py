"""The values that flow through a study. Frozen, checked at birth, and free of any library.

Nothing here knows Keras, Optuna or MLflow: a record can cross a process border, be stored as JSON
and be read back equal (`storage.codec`).
"""

from capsearch.records.candidate import Candidate, Job, StopOn, Stopping, digest_of
from capsearch.records.data import DataProfile, Folds
from capsearch.records.outcome import (
    KINDS,
    Curve,
    Failure,
    FailureKind,
    Group,
    Outcome,
    Trial,
    failures,
)
from capsearch.records.study import (
    Check,
    Choice,
    Decision,
    Estimate,
    Interval,
    Opening,
    Proof,
    RungEvidence,
    Standing,
    Study,
    StudyRecord,
    TestScore,
    Tracking,
    Uncertainty,
)

__all__ = [
    "KINDS",
    "Candidate",
    "Check",
    "Choice",
    "Curve",
    "DataProfile",
    "Decision",
    "Estimate",
    "Failure",
    "FailureKind",
    "Folds",
    "Group",
    "Interval",
    "Job",
    "Opening",
    "Outcome",
    "Proof",
    "RungEvidence",
    "Standing",
    "StopOn",
    "Stopping",
    "Study",
    "StudyRecord",
    "TestScore",
    "Tracking",
    "Trial",
    "Uncertainty",
    "digest_of",
    "failures",
]
