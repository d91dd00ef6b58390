"""The search: what is to be trained, in which order, and who trains it."""

from capsearch.search.drive import OnTrial, Trainer, drive
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
    "Ladder",
    "Listed",
    "OnTrial",
    "Plan",
    "Rung",
    "Trainer",
    "baseline_trials",
    "drive",
    "job_of",
    "replicate_trials",
    "sampler",
]
