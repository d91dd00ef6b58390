"""Can the choice be trusted? Read from the study's doubt."""

from capsearch.records import StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection.uncertainty import HALF

APART = 1e-3  # of a row's losses; rounding alone explains less


def margin(record: StudyRecord) -> Answer:
    """CS010: the 95 % interval of the price against the margin asked.

    Wider than the margin on either side, it could not tell a network that is as good as the best
    from one that is worse by the margin.
    """
    uncertainty, asked = record.uncertainty, record.study.question["select"]["margin"]
    if record.choice.selected == record.choice.best:
        return not_applicable("the best network itself is selected, so there is no price to tell")
    half = (uncertainty.loss_increase_high - uncertainty.loss_increase_low) / 2.0
    said = (
        f"{record.study.data.sizes['validation']:,} validation rows and "
        f"{record.choice.selected.replicates} seeds tell the price of the smaller network to "
        f"within {half:.4f}; the margin asked is {asked:g}"
    )
    return warning(f"too few rows or seeds: {said}") if half > asked else ok(said)


def stability(record: StudyRecord) -> Answer:
    """CS011: the share of resamples that choose the same network."""
    uncertainty = record.uncertainty
    share = f"{100 * uncertainty.stability:.0f} % of {uncertainty.resamples:,}"
    said = f"{share} resamples of rows and seeds choose the same network"
    return ok(said) if uncertainty.stability >= HALF else warning(f"unstable choice: only {said}")


def decided(record: StudyRecord) -> Answer:
    """CS012: whether the data can tell, by the rule, the price and the resamples together."""
    uncertainty = record.uncertainty
    if uncertainty.undecided:
        return warning(f"undecided: {_sentence(uncertainty.advice)}")
    return ok(_sentence(uncertainty.advice))


def _sentence(text: str) -> str:
    """Without a capital and a full stop, as checks are written."""
    return (text[:1].lower() + text[1:]).removesuffix(".")


def same_as_keras(record: StudyRecord) -> Answer:
    """CS018: the study's engine against Keras' own loop, on its rows (`final.prove`)."""
    proof = record.decision.proof
    if proof is None:
        return not_applicable("Keras' own loop trained this study")
    if proof.difference is None:
        return warning(f"the engine could not be compared with Keras: {proof.reason}")
    said = (
        f"after one epoch from the same weights, the loss of a row differs by at most "
        f"{proof.difference:.1e} between the engine and Keras ({proof.rows:,} rows)"
    )
    return warning(said) if proof.difference > APART else ok(said)
