"""The ways to search that a study file can name.

Every argument of a sampler is given in full and is part of a study's question: Optuna's defaults
change. Optuna itself is used in `search` alone.
"""

from dataclasses import dataclass
from typing import Any

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
