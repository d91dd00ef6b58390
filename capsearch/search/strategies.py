"""How a search suggests: the sampler of its strategy, made anew and seeded for each suggestion."""

import warnings

import optuna

from capsearch.records import digest_of
from capsearch.spec.strategies import Sampling


def sampler_of(
    sampling: Sampling, seed: int, part: int, number: int, size: int
) -> optuna.samplers.BaseSampler:
    """For one suggestion, seeded by its number: a restart must not repeat the first ones.

    `size` is that of its round.
    """
    sized = {sampling.sized: size} if sampling.sized else {}
    own = int(digest_of([seed, "rung", part, number])[:8], 16)
    with warnings.catch_warnings():  # TPE's `group` is still called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, sampling.sampler)(
            seed=own, **sampling.arguments, **sized
        )
    return sampler
