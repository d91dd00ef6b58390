"""The ways to search that a study file can name.

Every argument of a sampler is given in full and is part of a study's question: Optuna's defaults
change. Optuna itself is used in `search` alone.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

PATIENCE = 2  # rungs in a row that do not pay, and no more are opened
WINDOW = 3  # rungs that are open at once beyond the last that is complete, to keep workers busy
LAST = 2  # candidates of a rung in the last heat of its race


@dataclass(frozen=True)
class Sampling:
    """One way to search, as it is stored with a study: a later default must not change its past.

    `arguments` are those of the sampler, a class of `optuna.samplers`.
    """

    sampler: str
    arguments: dict[str, Any]
    least: int  # trials in a round
    sized: str | None = None  # the argument that is to be the size of a round
    by_rung: bool = False  # one Optuna study a rung, or one over the whole space
    objectives: int = 1  # validation loss; the second is the number of parameters
    rounds: int = 6  # at least, in which a part of a search spends its share, if that is large
    most: int = 32  # trials in a round
    patience: int = PATIENCE  # of growth, as `window`
    window: int = WINDOW
    racers: int = 1  # candidates of a rung that race to stand for it; one does not
    race_seeds: int = 0  # fresh seeds of each
    last_seeds: int = 0  # more of the LAST best of a rung, which race on
    exchange: float = 0.0  # share of the budget for what neighbouring rungs have found

    @property
    def raced(self) -> int:
        """Trainings of a rung's race."""
        return self.racers * self.race_seeds + LAST * self.last_seeds

    def rounds_of(self, share: int) -> int:
        """In how many rounds a part of the search spends its share.

        None of a round hears of another of it, so small ones learn faster; but no more workers than
        the trials of the open rounds have work, so a large search has larger ones.
        """
        least = max(self.least, min(share // self.rounds, self.most))
        return max(share // least, ceil(share / self.most), 1)

    def own(self, budget: int) -> int:
        """How much of the budget the rungs spend before they hear of each other.

        By hand: 96 with a quarter for the exchange: 72.
        """
        return budget - int(budget * self.exchange)


TPE = {
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": True,
    "constant_liar": True,
}
RACE: dict[str, Any] = {"racers": 3, "race_seeds": 1, "last_seeds": 2}
STRATEGIES = {
    "ladder": Sampling(
        "TPESampler", TPE, 4, "n_startup_trials", by_rung=True, exchange=0.25, **RACE
    ),
    "tpe": Sampling("TPESampler", TPE, 16, "n_startup_trials", **RACE),
    "random": Sampling("RandomSampler", {}, 16, **RACE),
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
        **RACE,
    ),
}
