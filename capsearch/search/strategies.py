"""How a search suggests: the sampler of its strategy, made anew and seeded for each suggestion."""

import warnings
from dataclasses import asdict
from typing import Any

import optuna

from capsearch.records import digest_of
from capsearch.search.growth import PATIENCE, WINDOW
from capsearch.spec import Search
from capsearch.spec.strategies import MOST, ROUNDS, STRATEGIES

__all__ = ["STRATEGIES", "sampler_of", "sampling"]


def sampling(search: Search) -> dict[str, Any]:
    """What the study file does not say of the sampling: part of the question, as JSON values."""
    strategy = STRATEGIES[search.strategy]
    growth = {"patience": PATIENCE, "window": WINDOW} if strategy.by_rung else {}
    return asdict(strategy) | {"rounds": ROUNDS, "most": MOST} | growth


def sampler_of(search: Search, part: int, number: int, size: int) -> optuna.samplers.BaseSampler:
    """For one suggestion, seeded by its place: a restart must not repeat the first ones.

    `size` is that of its round.
    """
    strategy = STRATEGIES[search.strategy]
    sized = {strategy.sized: size} if strategy.sized else {}
    place = int(digest_of([search.seed, "rung", part, number])[:8], 16)
    with warnings.catch_warnings():  # TPE's `group` is still called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, strategy.sampler)(
            seed=place, **strategy.arguments, **sized
        )
    return sampler
