"""The values that flow through a study. Frozen, checked at birth, and free of any library.

Nothing here knows Keras, Optuna or MLflow: a record can cross a process border, be stored as JSON
and be read back equal (`as_dict` and `from_dict` of the records that are stored).
"""

from capsearch.records.candidate import Candidate, Job, StopOn, digest_of
from capsearch.records.outcome import Curve, Group, Outcome, Trial
from capsearch.records.study import (
    Check,
    Choice,
    DataProfile,
    Doubt,
    Estimate,
    RungEvidence,
    Study,
    StudyRecord,
    TestScore,
    Tracking,
)

__all__ = [
    "Candidate",
    "Check",
    "Choice",
    "Curve",
    "DataProfile",
    "Doubt",
    "Estimate",
    "Group",
    "Job",
    "Outcome",
    "RungEvidence",
    "StopOn",
    "Study",
    "StudyRecord",
    "TestScore",
    "Tracking",
    "Trial",
    "digest_of",
]
