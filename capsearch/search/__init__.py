"""The search: what is to be trained, in which order, and who trains it."""

from capsearch.search.drive import Foreman, Hand, OnTrial, Trainer, drive
from capsearch.search.ladder import Ladder
from capsearch.search.pace import Pace
from capsearch.search.plan import Listed, Plan, baseline_trials, job_of, replicate_trials
from capsearch.search.strategies import STRATEGIES, sampler_of, sampling

__all__ = [
    "STRATEGIES",
    "Foreman",
    "Hand",
    "Ladder",
    "Listed",
    "OnTrial",
    "Pace",
    "Plan",
    "Trainer",
    "baseline_trials",
    "drive",
    "job_of",
    "replicate_trials",
    "sampler_of",
    "sampling",
]
