"""The search: what is to be trained, in which order, and how it gets trained."""

from capsearch.search.dispatch import Dispatcher, OnTrial
from capsearch.search.ladder import Ladder
from capsearch.search.pace import Pace
from capsearch.search.plan import (
    HEATS,
    Listed,
    Plan,
    baseline_trials,
    in_order,
    job_of,
    race_trials,
    replicate_trials,
)
from capsearch.search.rounds import Question

__all__ = [
    "HEATS",
    "Dispatcher",
    "Ladder",
    "Listed",
    "OnTrial",
    "Pace",
    "Plan",
    "Question",
    "baseline_trials",
    "in_order",
    "job_of",
    "race_trials",
    "replicate_trials",
]
