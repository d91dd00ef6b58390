"""Which network to keep, and how far that can be trusted: pure functions of the replicates.

The search proposes, replicates decide: a trial that won its rung won partly by luck, so the curve
that a choice is read from holds fresh seeds only. No Keras, no Optuna, no clock; what is random
comes from a fixed seed.
"""

from capsearch.selection.choose import (
    RULES,
    Evidence,
    choose,
    probabilities_of,
    undecided_among,
    verdicts,
)
from capsearch.selection.contrasts import Contrasts, tables_of
from capsearch.selection.curve import (
    CapacityCurve,
    contenders,
    estimate,
    estimates_of,
    frontier,
    of_finalists,
    representatives,
    standard_error,
)
from capsearch.selection.judge import JUDGES, Judge, by_log_loss, judge_for, judge_of, judged
from capsearch.selection.kneedle import knee
from capsearch.selection.noninferiority import non_inferiority
from capsearch.selection.probability import Goodness, probably_good, shown
from capsearch.selection.rules import Settings, Verdict, best, budget, one_std_err, pct_loss
from capsearch.selection.uncertainty import uncertainty_of

__all__ = [
    "JUDGES",
    "RULES",
    "CapacityCurve",
    "Contrasts",
    "Evidence",
    "Goodness",
    "Judge",
    "Settings",
    "Verdict",
    "best",
    "budget",
    "by_log_loss",
    "choose",
    "contenders",
    "estimate",
    "estimates_of",
    "frontier",
    "judge_for",
    "judge_of",
    "judged",
    "knee",
    "non_inferiority",
    "of_finalists",
    "one_std_err",
    "pct_loss",
    "probabilities_of",
    "probably_good",
    "representatives",
    "shown",
    "standard_error",
    "tables_of",
    "uncertainty_of",
    "undecided_among",
    "verdicts",
]
