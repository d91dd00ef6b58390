"""When and how fast a network overfits, read off its curve. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from capsearch.records import Trial


@dataclass(frozen=True)
class Overfitting:
    """The turn of a validation curve."""

    epoch: int  # 1-based: where validation loss is lowest
    lowest: float
    rise: float  # mean rise of validation loss per epoch after it; 0 when it never rose
    gap: float  # validation less training loss at that epoch
    turned: bool  # False when the last epoch was still the best


def overfitting(trial: Trial) -> Overfitting | None:
    """The turn of a completed trial; None for one that failed.

    By hand, validation 0.5, 0.3, 0.4, 0.6: epoch 2, rise (0.6 - 0.3) / 2 = 0.15.
    """
    if trial.outcome is None or not trial.outcome.complete:
        return None
    curve, epoch = trial.outcome.curve, trial.outcome.best_epoch
    lowest, after = curve.val_loss[epoch - 1], len(curve) - epoch
    rise = (curve.val_loss[-1] - lowest) / after if after else 0.0
    return Overfitting(epoch, lowest, rise, lowest - curve.loss[epoch - 1], turned=after > 0)


def in_words(name: str, trial: Trial) -> str:
    """One sentence on what happened to a network."""
    found = overfitting(trial)
    if found is None:
        return f"The {name} network could not be trained."
    size = f"The {name} network ({trial.candidate.label}, {trial.parameters:,} parameters)"
    if not found.turned:
        return f"{size} was still improving at its last epoch, {found.epoch}."
    return (
        f"{size} starts to overfit after epoch {found.epoch}, at a validation loss of "
        f"{found.lowest:.4f}; from there it rises by {found.rise:.4f} an epoch."
    )


def pair_to_compare(trials: Sequence[Trial], chosen: Trial, best: Trial) -> list[tuple[str, Trial]]:
    """The baselines 'original' and 'smaller'; without them, the best and the selected network."""
    trained = (t for t in trials if t.outcome and t.outcome.complete)
    named = {t.name: t for t in trained if t.group == "baseline"}
    if {"original", "smaller"} <= set(named):
        return [("original", named["original"]), ("smaller", named["smaller"])]
    return [("best", best), ("selected", chosen)]
