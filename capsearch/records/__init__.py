"""The values that flow through a study. Frozen, checked at birth, and free of any library.

Nothing here knows Keras, Optuna or MLflow: a record can cross a process border, be stored as JSON
and be read back equal (`storage.codec`).
"""

from capsearch.records.candidate import Candidate, Job, StopOn, digest_of
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
    DataProfile,
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
    "Group",
    "Interval",
    "Job",
    "Opening",
    "Outcome",
    "Proof",
    "RungEvidence",
    "Standing",
    "StopOn",
    "Study",
    "StudyRecord",
    "TestScore",
    "Tracking",
    "Trial",
    "Uncertainty",
    "digest_of",
    "failures",
]
