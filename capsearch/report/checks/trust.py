"""Can the choice be trusted? Read from the study's uncertainty, and from the engine's proof."""

from math import isfinite

from capsearch.records import StudyRecord
from capsearch.report import facts
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection.uncertainty import HALF

ROUNDING = 1e-3  # of a row's losses: rounding alone explains less


def margin(record: StudyRecord) -> Answer:
    """CS010: the 95% interval of the loss increase against the margin asked.

    Wider than the margin on either side, it could not tell a network that is as good as the best
    from one that is worse by the margin.
    """
    uncertainty, asked = record.uncertainty, record.study.question["select"]["margin"]
    if record.choice.selected == record.choice.best:
        return not_applicable("the best network itself is selected, so there is no cost to measure")
    half = (uncertainty.loss_increase_high - uncertainty.loss_increase_low) / 2.0
    known = f"known to within {half:.4f}" if isfinite(half) else "not known"
    said = (
        f"the cost of the smaller network is {known} (from "
        f"{facts.judged_rows(record.study.data)} and {record.choice.selected.replicates} seeds); "
        f"the margin is {asked:g}"
    )
    return warning(f"too few rows or seeds: {said}") if half > asked else ok(said)


def stability(record: StudyRecord) -> Answer:
    """CS011: the share of resamples that choose the same network."""
    said = facts.stability(record.uncertainty)
    stable = record.uncertainty.stability >= HALF
    return ok(said) if stable else warning(f"the choice is unstable: only {said}")


def decided(record: StudyRecord) -> Answer:
    """CS012: whether the data can tell that the selected network is as good as the best."""
    uncertainty = record.uncertainty
    advice = uncertainty.advice[:1].lower() + uncertainty.advice[1:].removesuffix(".")
    return warning(f"open: {advice}") if uncertainty.undecided else ok(advice)


def same_as_keras(record: StudyRecord) -> Answer:
    """CS018: the study's engine against Keras' own loop, on its rows (`final.prove`)."""
    proof = record.decision.proof
    if proof is None:
        return not_applicable("Keras' own training loop trained this study")
    if proof.difference is None:
        return warning(f"the engine could not be compared with Keras: {proof.reason}")
    said = (
        f"trained for a few steps from the same weights, the engine and Keras differ by at most "
        f"{proof.difference:.2g} in the loss of any of {proof.rows:,} rows"
    )
    return warning(said) if proof.difference > ROUNDING else ok(said)
