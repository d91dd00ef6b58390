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

ROUNDS = 6  # at least, in which a part of a search spends its share of the budget, if that is large
MOST = 32  # trials in a round


@dataclass(frozen=True)
class Strategy:
    """One way to search. `arguments` are those of the sampler, a class of `optuna.samplers`."""

    sampler: str
    arguments: dict[str, Any]
    least: int  # trials in a round
    sized: str | None = None  # the argument that is to be the size of a round
    by_rung: bool = False  # one Optuna study a rung, or one over the whole space
    objectives: int = 1  # validation loss; the second is the number of parameters

    def round_of(self, share: int) -> int:
        """How many trials are asked for at once, by a part of the search with this share.

        None of a round hears of another of it, so small ones learn faster; but no more workers than
        the trials of the open rounds have work, so a large search has larger ones.
        """
        return max(self.least, min(share // ROUNDS, MOST))


TPE = {
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": True,
    "constant_liar": True,
}
STRATEGIES = {
    "ladder": Strategy("TPESampler", TPE, 4, "n_startup_trials", by_rung=True),
    "tpe": Strategy("TPESampler", TPE, 16, "n_startup_trials"),
    "random": Strategy("RandomSampler", {}, 16),
    "nsga2": Strategy(
        "NSGAIISampler",
        {
            "mutation_prob": None,  # 1 / number of dimensions
            "crossover_prob": 0.9,
            "swapping_prob": 0.5,
        },
        16,
        "population_size",  # a round is a generation
        objectives=2,
    ),
}


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
