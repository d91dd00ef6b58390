"""How a search suggests: which of Optuna's samplers, with which arguments, over which parts.

Every argument is given in full and is part of a study's question: Optuna's defaults change.
"""

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from capsearch.records import digest_of
from capsearch.search.growth import PATIENCE, WINDOW
from capsearch.spec import Search

ROUND = 4  # trials of a rung that are asked for at once
WHOLE_ROUND = 16  # the same, of a study over the whole space


@dataclass(frozen=True)
class Strategy:
    """One way to search. `arguments` are those of the sampler, a class of `optuna.samplers`."""

    sampler: str
    arguments: dict[str, Any]
    round: int  # trials that are asked for at once: none of them hears of another
    by_rung: bool = False  # one Optuna study a rung, or one over the whole space
    objectives: int = 1  # validation loss; the second is the number of parameters


def _tpe(startup: int) -> dict[str, Any]:
    return {
        "n_startup_trials": startup,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": True,
        "constant_liar": True,
    }


STRATEGIES = {
    "ladder": Strategy("TPESampler", _tpe(ROUND), ROUND, by_rung=True),
    "tpe": Strategy("TPESampler", _tpe(WHOLE_ROUND), WHOLE_ROUND),
    "random": Strategy("RandomSampler", {}, WHOLE_ROUND),
    "nsga2": Strategy(
        "NSGAIISampler",
        {
            "population_size": WHOLE_ROUND,  # a round is a generation
            "mutation_prob": None,  # 1 / number of dimensions
            "crossover_prob": 0.9,
            "swapping_prob": 0.5,
        },
        WHOLE_ROUND,
        objectives=2,
    ),
}


def sampling(search: Search) -> dict[str, Any]:
    """What the study file does not say of the sampling: part of the question, as JSON values."""
    strategy = STRATEGIES[search.strategy]
    growth = {"patience": PATIENCE, "window": WINDOW} if strategy.by_rung else {}
    return asdict(strategy) | growth


def sampler_of(search: Search, part: int, number: int) -> optuna.samplers.BaseSampler:
    """For one suggestion, seeded by its place: a restart must not repeat the first ones."""
    strategy = STRATEGIES[search.strategy]
    place = int(digest_of([search.seed, "rung", part, number])[:8], 16)
    with warnings.catch_warnings():  # TPE's `group` is still called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, strategy.sampler)(
            seed=place, **strategy.arguments
        )
    return sampler
