"""When and how fast a network overfits, read off the curves of its fresh seeds. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from capsearch.records import Candidate, Curve, Estimate, StudyRecord, Trial
from capsearch.selection import estimate
from capsearch.words import network

ORIGINAL, SMALLER = "original", "smaller"  # the baselines whose story is told in words
CLEARLY = 2.0  # standard errors of a difference of means, above which it is called one


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, with their standard deviation (0 for one seed) and both ends."""

    mean: float
    sd: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        held = list(values)
        sd = stdev(held) if len(held) > 1 else 0.0
        return cls(fmean(held), sd, min(held), max(held), len(held))

    def differs(self, other: "Spread") -> bool:
        """Two means further apart than two standard errors of their difference (Welch's)."""
        error = sqrt(self.sd**2 / self.seeds + other.sd**2 / other.seeds)
        return abs(self.mean - other.mean) > CLEARLY * error


@dataclass(frozen=True)
class Turn:
    """Where one seed's validation curve turns."""

    epoch: int  # the best one, 1-based: where validation loss is lowest
    lowest: float
    rise: float  # mean rise of validation loss an epoch after it; 0 when there is none after
    gap: float  # validation less training loss at that epoch
    turned: bool  # False when the last epoch was still the best


@dataclass(frozen=True)
class Overfit:
    """How one network overfits, over its fresh seeds."""

    name: str  # of the baseline; 'finalist', 'best' or 'selected' for another
    candidate: Candidate
    parameters: int
    curves: tuple[Curve, ...]
    turns: tuple[Turn, ...]  # one for each curve
    loss: Estimate | None  # None when most seeds failed

    @property
    def turned(self) -> list[Turn]:
        return [t for t in self.turns if t.turned]

    @property
    def epoch(self) -> Spread:
        """Of the lowest validation loss, over all seeds."""
        return Spread.of(t.epoch for t in self.turns)

    @property
    def lowest(self) -> Spread:
        return Spread.of(t.lowest for t in self.turns)

    @property
    def gap(self) -> Spread:
        return Spread.of(t.gap for t in self.turns)

    @property
    def rise(self) -> Spread | None:
        """Over the seeds that turned; None when none did."""
        return Spread.of(t.rise for t in self.turned) if self.turned else None


def turn_of(trial: Trial, *, folded: bool = False) -> Turn | None:
    """The turn of a completed trial; None for one that failed.

    By hand, validation 0.5, 0.3, 0.4, 0.6: epoch 2, rise (0.6 - 0.3) / 2 = 0.15. A curve over folds
    is `folded`: the best epoch of most of them need not be where their mean is lowest.
    """
    if trial.outcome is None or not trial.outcome.complete:
        return None
    curve, epoch = trial.outcome.curve, trial.outcome.best_epoch
    if folded:
        epoch = 1 + min(range(len(curve)), key=curve.val_loss.__getitem__)
    lowest, after = curve.val_loss[epoch - 1], len(curve) - epoch
    rise = (curve.val_loss[-1] - lowest) / after if after else 0.0
    return Turn(epoch, lowest, rise, lowest - curve.loss[epoch - 1], turned=after > 0)


def baselines(record: StudyRecord) -> list[Overfit]:
    """The baselines that were trained again, as the study file lists them."""
    order = {each["name"]: n for n, each in enumerate(record.study.question["baseline"])}
    named = [(t.name, t) for t in record.trials if t.group == "baseline"]
    return _described(record, sorted(named, key=lambda pair: order.get(pair[0], 0)))


def finalists(record: StudyRecord) -> list[Overfit]:
    """The finalists, smallest first."""
    first = {t.candidate: t for t in reversed(record.replicates)}
    return _described(record, [("finalist", first[e.candidate]) for e in record.estimates])


def pair_to_compare(record: StudyRecord) -> tuple[Overfit, Overfit]:
    """The baselines 'original' and 'smaller'; without both, the best and the selected network."""
    named = {o.name: o for o in baselines(record)}
    if {ORIGINAL, SMALLER} <= named.keys():
        return named[ORIGINAL], named[SMALLER]
    described = {o.candidate: o for o in finalists(record)}
    choice = record.choice
    roles = (("best", choice.best), ("selected", choice.selected))
    first, second = (replace(described[e.candidate], name=role) for role, e in roles)
    return first, second


def in_words(first: Overfit, second: Overfit) -> str:
    """What happened to two networks, and to the second when seen from the first."""
    if second.candidate == first.candidate:
        return f"{_alone(first)} The {second.name} network is the same one."
    if first.rise is None or second.rise is None:
        return f"{_alone(first)} {_alone(second)}"
    pace = _pace(first.rise, second.rise)
    return f"{_alone(first)} {_named(second)} {_when(first, second)}, and its loss {pace}."


def _described(record: StudyRecord, named: Sequence[tuple[str, Trial]]) -> list[Overfit]:
    """Those of the named networks of which a replicate completed."""
    found = []
    for name, one in named:
        runs = [t for t in record.replicates if t.candidate == one.candidate]
        curves = tuple(t.outcome.curve for t in runs if t.outcome and t.outcome.complete)
        folded = record.study.data.folds is not None
        turns = tuple(turn for t in runs if (turn := turn_of(t, folded=folded)))
        if turns:
            mean = estimate(runs)
            found.append(Overfit(name, one.candidate, one.parameters, curves, turns, mean))
    return found


def _alone(overfit: Overfit) -> str:
    """One network's story, in a sentence."""
    turned, seeds = len(overfit.turned), len(overfit.turns)
    if overfit.rise is None:
        return (
            f"{_named(overfit)} never started to overfit: it was still improving at its last "
            f"epoch, {_epochs(overfit.epoch)}."
        )
    some = (
        ""
        if turned == seeds
        else f" in {turned} of {seeds} seeds (the others were still improving)"
    )
    return (
        f"{_named(overfit)} starts to overfit after epoch {_epochs(overfit.epoch)}{some}, at a "
        f"validation loss of {overfit.lowest.mean:.4f}; from there its loss rises by "
        f"{overfit.rise.mean:.4f} per epoch."
    )


def _named(overfit: Overfit) -> str:
    layers = network(overfit.candidate.units)
    return f"The {overfit.name} network ({layers}, {overfit.parameters:,} parameters)"


def _when(first: Overfit, second: Overfit) -> str:
    """When the second turns, compared with the first."""
    one, two = first.epoch, second.epoch
    at = f"after epoch {_epochs(two)}, at {second.lowest.mean:.4f}"
    if not two.differs(one):
        return f"starts to overfit at about the same time, {at}"
    return f"starts to overfit {'later' if two.mean > one.mean else 'earlier'}, {at}"


def _pace(one: Spread, two: Spread) -> str:
    """How fast the second rises, compared with the first."""
    at = f"({two.mean:.4f} per epoch)"
    if not two.differs(one) or not one.mean:
        return f"rises about as fast {at}"
    ratio = two.mean / one.mean
    much = f"{ratio:.1f} times as fast" if ratio > 1.0 else f"at {ratio:.0%} of that pace"
    return f"rises {much} {at}"


def _epochs(spread: Spread) -> str:
    """'4 (3 to 5 over 5 seeds)', '4 (in every one of 5 seeds)', '4 (1 seed)'."""
    mean = f"{spread.mean:.1f}".removesuffix(".0")
    if spread.seeds == 1:
        return f"{mean} (1 seed)"
    if spread.low == spread.high:
        return f"{mean} (in every one of {spread.seeds} seeds)"
    return f"{mean} ({spread.low:.0f} to {spread.high:.0f} over {spread.seeds} seeds)"
