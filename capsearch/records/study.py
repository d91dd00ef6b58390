"""A study: question and data, what was estimated and chosen, its score; and all of it together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Literal, Self

from capsearch.records.candidate import Candidate, Job, digest_of
from capsearch.records.data import DataProfile
from capsearch.records.outcome import Trial


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A candidate's validation loss over its replicates: mean, standard error, how many."""

    candidate: Candidate
    parameters: int
    mean: float
    se: float
    replicates: int


Standing = Literal["proved", "probable", "open"]
"""What is claimed of a network: shown to be within the margin of the best, probably so, nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected candidate and why. `job` is the replicate that stands for it in the final."""

    selected: Estimate
    best: Estimate
    rule: str
    reason: str
    job: Job
    val_loss: float  # of `job`, as stored when it was a replicate
    undecided: bool = False  # the rule could not decide and fell back to the best; see `reason`
    standing: Standing | None = None  # None for one stored before there were such words
    probability: float | None = None  # of being within the margin of the truly best; as above

    @property
    def key(self) -> str:
        return self.job.key


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How far the choice can be trusted. Losses are in the task's unit, the interval is 95%."""

    stability: float  # share of resamples of examples and seeds that choose the same network
    resamples: int
    loss_increase: float  # mean validation loss of the selected minus that of the best
    loss_increase_low: float
    loss_increase_high: float
    undecided: bool  # the data cannot tell
    advice: str  # what would let them tell, as one sentence


@dataclass(frozen=True, slots=True)
class Opening:
    """One row of the ledger of openings of test splits."""

    digest: str  # of the question that opened it
    study: str  # its key
    choice: str
    opened_at: str  # ISO 8601, UTC
    score: dict[str, Any] | None

    def scored(self, choice: str) -> bool:
        """Whether this very choice was opened for, and its score is kept."""
        return self.choice == choice and self.score is not None


@dataclass(frozen=True, slots=True)
class TestScore:
    """The one evaluation on test rows. Intervals are 95%."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    loss: float
    loss_low: float
    loss_high: float
    accuracy: float | None  # None of a regression, as both its ends
    accuracy_low: float | None
    accuracy_high: float | None
    rows: int
    opened_at: str  # ISO 8601, UTC
    openings: int  # of this test split, by every study in the ledger
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    """By name, what the task is judged by beside its loss; empty for one that was stored before."""
    shared: Mapping[str, int] = field(default_factory=dict)
    """'train/test', 'groups/test': what rows of a test file share with those that were searched."""

    @classmethod
    def of(cls, opening: Opening, openings: int) -> Self:
        """The score of an opening as it was recorded."""
        told = dict(opening.score or {})
        metrics = {name: Interval(**figure) for name, figure in told.pop("metrics", {}).items()}
        return cls(**told, opened_at=opening.opened_at, openings=openings, metrics=metrics)


@dataclass(frozen=True, slots=True)
class Study:
    """The question with its data: fixed before the first trial, the same on every machine."""

    name: str
    question: dict[str, Any]  # the study file, every default filled in
    data: DataProfile
    ladder: tuple[int, ...]  # rung r holds ladder[r] <= parameters < ladder[r + 1]
    engine: str  # its id: one for the whole study
    digest: str  # of what tells the question from every other

    @property
    def key(self) -> str:
        """Names the study in a storage: another question or other data is another study."""
        return f"{self.name}-{digest_of([self.digest, self.data.fingerprints])[:12]}"

    @property
    def has_test(self) -> bool:
        """Whether there are test rows to be opened once: a study may have none."""
        return "test" in self.data.fingerprints

    @property
    def rows(self) -> str:
        """Names the training and validation rows in the keys of jobs, and what they are used for.

        How the two classes of a binary task are called changes no training.
        """
        prints, task = self.data.fingerprints, self.data.task
        if task.get("kind", "binary") == "binary":
            task = {name: said for name, said in task.items() if name not in ("kind", "labels")}
        told: list[Any] = [task] if task else []
        judged = self.data.folds
        told += [asdict(judged)] if judged else []
        rows = [prints[name] for name in ("train", "validation") if name in prints]
        return digest_of([*rows, *told])[:16]


@dataclass(frozen=True, slots=True)
class RungEvidence:
    """What the search trials of one rung say about growing to it.

    `parameters` and `val_loss` are of its best trial; None when none was complete. `gain`, and its
    standard error `se`, are by how much that lowers the mean loss of the best network up to the
    last rung that paid; None when there is nothing to compare.
    """

    rung: int
    opened: bool
    parameters: int | None = None
    val_loss: float | None = None
    gain: float | None = None
    se: float | None = None
    pays: bool = False


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where MLflow has the study."""

    uri: str
    experiment_id: str
    run_id: str
    model_version: str | None = None  # 'capsearch-imdb/1'


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a careful reader would ask of a study, and the answer."""

    code: str  # 'CS003': stable, so that a batch job may wait for it
    status: Literal["ok", "warning", "not applicable"]
    sentence: str  # without a capital and a full stop


@dataclass(frozen=True, slots=True)
class Proof:
    """The compiled engine against Keras' own loop, on this study's rows and machine.

    `difference` is the largest of one validation row's losses after one epoch from equal weights
    on the same batches; None when the comparison failed, for the `reason`.
    """

    difference: float | None
    rows: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """All that was decided before the test split was opened, as it is stored.

    Reports read it and never decide anew, so that a test score always stands beside the choice
    that was tested.
    """

    estimates: tuple[Estimate, ...]  # the finalists, smallest first
    choice: Choice
    verdicts: dict[str, Choice]  # what each rule would have chosen, by the rule's name
    uncertainty: Uncertainty
    growth: tuple[RungEvidence, ...]  # a search that grows: what each rung said of the next
    proof: Proof | None  # None for an engine that is Keras
    versions: dict[str, str]  # of capsearch and the libraries that trained and decided
    decided_at: str  # ISO 8601, UTC
    probabilities: tuple[float, ...] = ()  # of each estimate to be within the margin of the best
    metrics: tuple[Mapping[str, Interval], ...] = ()
    """Of each estimate, on validation rows: means over its replicates of figures and their ends."""
    threshold: float | None = None
    """The probability above which the second class is predicted; None for no binary task, and for a
    decision of an earlier version."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as it stands in its storage: all that the terminal, report and JSON show."""

    study: Study
    trials: tuple[Trial, ...]  # baselines, then the search, in order
    replicates: tuple[Trial, ...]
    decision: Decision
    test: TestScore | None  # None while the test split is sealed
    seconds: float  # spent on the study, over every run of the command
    cut: str | None = None  # why the search ended before its budget, if it did
    checks: tuple[Check, ...] = ()
    races: tuple[Trial, ...] = ()  # of candidates that raced to stand for their rung

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done: the test split was scored, or there is none."""
        return self.test is not None or not self.study.has_test

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        return self.decision.estimates

    @property
    def choice(self) -> Choice:
        return self.decision.choice

    @property
    def verdicts(self) -> dict[str, Choice]:
        return self.decision.verdicts

    @property
    def uncertainty(self) -> Uncertainty:
        return self.decision.uncertainty

    @property
    def growth(self) -> tuple[RungEvidence, ...]:
        return self.decision.growth

    def figure(self, candidate: Candidate) -> float:
        """Accuracy (RMSE) on validation rows, the mean of a candidate's completed replicates."""
        return fmean(
            trial.outcome.figure
            for trial in self.replicates
            if trial.candidate == candidate and trial.outcome and trial.outcome.complete
        )

    @property
    def warnings(self) -> tuple[Check, ...]:
        """What a reader should doubt."""
        return tuple(check for check in self.checks if check.status == "warning")
