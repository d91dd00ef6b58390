"""The search: what is to be trained, in which order, and who trains it."""

from capsearch.search.deadline import Deadline, Pace
from capsearch.search.drive import Foreman, Hand, OnTrial, Trainer, drive
from capsearch.search.plan import (
    SAMPLER,
    Ladder,
    Listed,
    Plan,
    Rung,
    baseline_trials,
    job_of,
    replicate_trials,
    sampler,
)

__all__ = [
    "SAMPLER",
    "Deadline",
    "Foreman",
    "Hand",
    "Ladder",
    "Listed",
    "OnTrial",
    "Pace",
    "Plan",
    "Rung",
    "Trainer",
    "baseline_trials",
    "drive",
    "job_of",
    "replicate_trials",
    "sampler",
]
