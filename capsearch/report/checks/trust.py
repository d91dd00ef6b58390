"""Can the choice be trusted? Read from the study's doubt."""

from capsearch.records import StudyRecord
from capsearch.report.checks.answer import Answer, not_applicable, ok, warning
from capsearch.selection.doubt import HALF


def margin(record: StudyRecord) -> Answer:
    """CS010: the 95 % interval of the price against the margin asked.

    Wider than the margin on either side, it could not tell a network that is as good as the best
    from one that is worse by the margin.
    """
    doubt, asked = record.doubt, record.study.question["select"]["margin"]
    if record.choice.selected == record.choice.best:
        return not_applicable("the best network itself is selected, so there is no price to tell")
    half = (doubt.price_high - doubt.price_low) / 2.0
    said = (
        f"{record.study.data.sizes['validation']:,} validation rows and "
        f"{record.choice.selected.replicates} seeds tell the price of the smaller network to "
        f"within {half:.4f}; the margin asked is {asked:g}"
    )
    return warning(f"too few rows or seeds: {said}") if half > asked else ok(said)


def stability(record: StudyRecord) -> Answer:
    """CS011: the share of resamples that choose the same network."""
    doubt = record.doubt
    share = f"{100 * doubt.stability:.0f} % of {doubt.resamples:,}"
    said = f"{share} resamples of rows and seeds choose the same network"
    return ok(said) if doubt.stability >= HALF else warning(f"unstable choice: only {said}")


def decided(record: StudyRecord) -> Answer:
    """CS012: whether the data can tell, by the rule, the price and the resamples together."""
    doubt = record.doubt
    if doubt.undecided:
        return warning(f"undecided: {_sentence(doubt.advice)}")
    return ok(_sentence(doubt.advice))


def _sentence(text: str) -> str:
    """Without a capital and a full stop, as checks are written."""
    return (text[:1].lower() + text[1:]).removesuffix(".")
