"""How a search suggests: which of Optuna's samplers, with which arguments, over which parts.

Every argument is given in full and is part of a study's question: Optuna's defaults change.
"""

import warnings
from dataclasses import asdict, dataclass
from typing import Any, Self

import optuna

from capsearch.records import digest_of
from capsearch.search.growth import PATIENCE, WINDOW


@dataclass(frozen=True)
class Sampling:
    """One way to search, as it is stored with a study: a later default must not change its past.

    `arguments` are those of the sampler, a class of `optuna.samplers`.
    """

    sampler_name: str
    arguments: dict[str, Any]
    least: int  # trials in a round
    sized: str | None = None  # the argument that is to be the size of a round
    by_rung: bool = False  # one Optuna study a rung, or one over the whole space
    objectives: int = 1  # validation loss; the second is the number of parameters
    rounds: int = 6  # at least, in which a part of a search spends its share, if that is large
    most: int = 32  # trials in a round
    patience: int = PATIENCE  # of growth, as `window`
    window: int = WINDOW

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        return cls(**stored)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def round_of(self, share: int) -> int:
        """How many trials are asked for at once, by a part of the search with this share.

        None of a round hears of another of it, so small ones learn faster; but no more workers than
        the trials of the open rounds have work, so a large search has larger ones.
        """
        return max(self.least, min(share // self.rounds, self.most))

    def sampler(self, seed: int, part: int, number: int, size: int) -> optuna.samplers.BaseSampler:
        """For one suggestion, seeded by its number: a restart must not repeat the first ones.

        `size` is that of its round.
        """
        sized = {self.sized: size} if self.sized else {}
        own = int(digest_of([seed, "rung", part, number])[:8], 16)
        with warnings.catch_warnings():  # TPE's `group` is still called experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made: optuna.samplers.BaseSampler = getattr(optuna.samplers, self.sampler_name)(
                seed=own, **self.arguments, **sized
            )
        return made


TPE = {
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": True,
    "constant_liar": True,
}
STRATEGIES = {
    "ladder": Sampling("TPESampler", TPE, 4, "n_startup_trials", by_rung=True),
    "tpe": Sampling("TPESampler", TPE, 16, "n_startup_trials"),
    "random": Sampling("RandomSampler", {}, 16),
    "nsga2": Sampling(
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
