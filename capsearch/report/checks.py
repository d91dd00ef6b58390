"""What a reader of the result should doubt, in words."""

from collections.abc import Sequence

from capsearch.records import Choice, Study, Trial

DIVERGED_SHARE = 0.2  # of a study's trials; above it the space reaches into useless settings


def warnings_of(
    study: Study, trials: Sequence[Trial], replicates: Sequence[Trial], choice: Choice
) -> tuple[str, ...]:
    """One sentence for each doubt; none is a good sign."""
    found = [
        _failures(trials),
        _ceiling(replicates, choice),
        _edge(study, choice),
        _empty_rungs(study, trials),
        _duplicates(study),
    ]
    return tuple(sentence for sentence in found if sentence)


def _failures(trials: Sequence[Trial]) -> str:
    failed = sum(1 for t in trials if t.outcome and not t.outcome.complete)
    if not trials or failed / len(trials) <= DIVERGED_SHARE:
        return ""
    return f"{failed} of {len(trials)} trials failed: the space reaches into settings that diverge"


def _ceiling(replicates: Sequence[Trial], choice: Choice) -> str:
    still = [t for t in replicates if t.outcome and t.outcome.at_ceiling(t.job.epochs)]
    names = sorted({t.candidate.label for t in still})
    if not names:
        return ""
    return (
        f"still improving at the last epoch allowed: {', '.join(names)}; more epochs could lower "
        "their loss and move the choice"
    )


def _edge(study: Study, choice: Choice) -> str:
    if choice.best.parameters >= study.ladder[-2] and len(study.ladder) > 2:
        return "the best size lies on the highest rung: larger networks may do better still"
    return ""


def _empty_rungs(study: Study, trials: Sequence[Trial]) -> str:
    """Up to the largest rung that was tried: beyond it the search ended growth, and says so."""
    filled = {t.rung for t in trials if t.outcome and t.outcome.complete}
    empty = [r for r in range(max((t.rung for t in trials), default=0)) if r not in filled]
    sizes = ", ".join(f"{study.ladder[r]:,} to {study.ladder[r + 1]:,}" for r in empty)
    return f"no completed trial with this many parameters: {sizes}" if empty else ""


def _duplicates(study: Study) -> str:
    shared = {pair: count for pair, count in study.data.duplicates.items() if count}
    listed = ", ".join(f"{count} in {pair}" for pair, count in shared.items())
    return f"rows that stand in two splits: {listed}" if shared else ""
