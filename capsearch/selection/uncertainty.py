"""How far a choice can be trusted: its stability, its cost, and what would settle it."""

from collections.abc import Sequence

import numpy as np

from capsearch.records import Choice, Trial, Uncertainty
from capsearch.selection.advice import Comparison
from capsearch.selection.choose import RULES, Evidence
from capsearch.selection.contrasts import TAIL, Contrasts, LossTable, tables_of
from capsearch.selection.curve import CapacityCurve
from capsearch.selection.probability import EVEN, Goodness, shown
from capsearch.selection.rules import Settings

RESAMPLES = 1000
SEED = 20_000  # any fixed number: the same study has the same uncertainty everywhere
HALF = 0.5  # a choice that fewer resamples make is not the data's
CLAIMING = ("probably_good", "non_inferiority")  # rules that more data let decide


def uncertainty_of(
    curve: CapacityCurve,
    replicates: Sequence[Trial],
    choice: Choice,
    settings: Settings,
    resamples: int = RESAMPLES,
) -> Uncertainty:
    """The uncertainty of `choice`, made by its rule from these replicates.

    Undecided is a choice of which nothing can be claimed, unless it is clearly worse than the best.
    The increase is read against the best as observed, which luck made look good: it errs towards a
    higher one.
    """
    tables = tables_of(curve, replicates)
    evidence = Evidence(curve, Contrasts.of(tables))
    chosen = _chosen(evidence, resampled_means(tables, resamples), choice.rule, settings)
    selected, best = (curve.points.index(point) for point in (choice.selected, choice.best))
    increase = float(evidence.contrasts.gap[selected, best])
    half = float(evidence.contrasts.half_width(TAIL)[selected, best])
    undecided = choice.standing == "open" and increase - half <= settings.margin
    open_ = _comparison(evidence, choice, settings) if undecided else None
    advice = open_.advice(curve, evidence.contrasts) if open_ else None
    return Uncertainty(
        stability=float(np.mean(chosen == selected)),
        resamples=resamples,
        loss_increase=increase,
        loss_increase_low=increase - half,
        loss_increase_high=increase + half,
        undecided=undecided,
        advice=advice or _settled(choice, undecided, settings, curve.noun),
    )


def resampled_means(tables: Sequence[LossTable], resamples: int) -> np.ndarray:
    """Mean losses had other examples and other seeds been drawn, shape (resamples, candidates).

    Examples get exponential weights (the Bayesian bootstrap, Rubin 1981, Annals of Statistics 9)
    and seeds multinomial ones, independently, the same for every candidate, so that what is paired
    stays paired (product weights: Owen and Eckles 2012, Annals of Applied Statistics 6, mildly
    conservative). Of R seeds R - 1 are drawn: drawing R would make the variance of their mean too
    small by (R - 1)/R (Rao and Wu 1988, JASA 83). Where none of a candidate's own completed seeds
    is drawn all of them count alike.
    """
    rng = np.random.default_rng(SEED)
    orders = sorted({order for table in tables for order in table})
    losses = np.concatenate([np.stack(list(t.values())) for t in tables]).astype(np.float32)
    by_seed = _example_means(losses, resamples, rng)
    drawn = max(len(orders) - 1, 1)
    counts = rng.multinomial(drawn, np.full(len(orders), 1 / len(orders)), size=resamples)
    means, row = np.empty((resamples, len(tables))), 0
    for k, table in enumerate(tables):
        weights = counts[:, [orders.index(order) for order in table]].astype(np.float64)
        weights[weights.sum(axis=1) == 0] = 1.0
        rows = by_seed[row : row + len(table)].T
        means[:, k] = (weights * rows).sum(axis=1) / weights.sum(axis=1)
        row += len(table)
    return means


def _example_means(losses: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Randomly weighted means over the examples of each row, shape (rows, resamples).

    Taken from centred rows, so that float32 sums lose nothing that matters.
    """
    centre = losses.mean(axis=1, keepdims=True)
    deviations, parts = losses - centre, list[np.ndarray]()
    for start in range(0, resamples, 100):
        size = (losses.shape[1], min(100, resamples - start))
        weights = rng.standard_exponential(size, dtype=np.float32)
        parts.append(deviations @ weights / weights.sum(axis=0))
    return np.asarray(centre.astype(np.float64) + np.concatenate(parts, axis=1))


def _chosen(evidence: Evidence, means: np.ndarray, rule: str, settings: Settings) -> np.ndarray:
    """Which point the rule selects at each row of `means`, shape (resamples,).

    Standard errors stay the study's own: those of five seeds drawn from five are not to be had, for
    often they are the same seed again.
    """
    positions = {p.parameters: i for i, p in enumerate(evidence.curve.points)}
    found = np.empty(len(means), dtype=np.int64)
    for row, drawn in enumerate(means):
        verdict = RULES[rule](evidence.at(drawn), settings)
        assert verdict is not None  # it applied to the study
        found[row] = positions[verdict.selected.parameters]
    return found


def _comparison(evidence: Evidence, choice: Choice, settings: Settings) -> Comparison | None:
    """What the data cannot tell, if more of them could: that a network is as good as the best."""
    curve, contrasts, margin = evidence.curve, evidence.contrasts, settings.margin
    best, first = (curve.points.index(point) for point in (choice.best, choice.selected))
    if choice.undecided and choice.rule not in CLAIMING:
        return None
    level = 1.0 - settings.probability
    if choice.rule == "non_inferiority":
        level = (1.0 - settings.confidence) / (len(curve.points) - 1)
    elif first == best:
        even = Goodness.of(curve, contrasts, margin).smallest(EVEN)
        first = best if even is None else even
    if first != best:
        return Comparison(first, best, margin, level)
    limits = contrasts.gap[best] + contrasts.half_width(level)[best]
    limits[best] = -np.inf
    return Comparison(best, int(limits.argmax()), margin, level)


def _settled(choice: Choice, undecided: bool, settings: Settings, noun: str) -> str:
    if undecided:
        return "This rule cannot decide here, and more data may not help: another rule may."
    if choice.standing == "open":
        return (
            f"There is enough data: in validation {noun}, the selected network is more than "
            f"{settings.margin:g} worse than the best."
        )
    if choice.selected == choice.best:
        return "The best network itself is selected, so there is no cost to estimate."
    if choice.standing == "proved":
        sure = f"with {settings.confidence * 100:g}% confidence"
    else:
        sure = f"with a probability of {shown(choice.probability or 0.0)}"
    return (
        f"There is enough data: {sure}, the selected network is at most {settings.margin:g} worse "
        f"in validation {noun} than the best."
    )
