"""What a study would train, how long that would take, and with how much memory: measured, not kept.

One network of every size band is trained for two epochs on the study's rows. Nothing is stored.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

from capsearch.config import RunConfig
from capsearch.data.source import SourceRef
from capsearch.errors import CapsearchError
from capsearch.executors import Pack
from capsearch.executors.train import Guard
from capsearch.families.space import bands
from capsearch.records import Trial, failures
from capsearch.search import Ladder
from capsearch.search.plan import shares
from capsearch.search.rounds import Rounds
from capsearch.session import StudySession, open_session
from capsearch.spec import StudySpec
from capsearch.storage import StudyStorage, exists

EPOCHS = 2  # that are trained to measure; the first one compiles
FINALISTS = 1  # of every size band, at least


@dataclass(frozen=True)
class Estimate:
    """What a study would come to. Seconds are of a whole run on this machine, both ends of them."""

    study: str
    engine: str
    baselines: int
    trials: int
    bands: int
    replicates: int  # at least: those of one finalist in each band, and of the baselines
    stored: int  # trainings that have ended already
    shortest: float  # seconds, when every training stops as soon as it may
    longest: float  # seconds, when every training takes all its epochs
    memory: int  # bytes of a process that trains, at most so far

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "study": self.study,
            "engine": self.engine,
            "trainings": {
                "baselines": self.baselines,
                "trials": self.trials,
                "replicates": self.replicates,
                "stored": self.stored,
            },
            "bands": self.bands,
            "seconds": [round(self.shortest, 1), round(self.longest, 1)],
            "memory": self.memory,
        }


def estimate(name: str, spec: StudySpec, source: SourceRef, config: RunConfig) -> Estimate:
    """Measure what the study of this question would take.

    Raises:
        BadRequest: as a run would.
        CapsearchError: no network could be trained.
    """
    with (
        TemporaryDirectory(prefix="capsearch-") as folder,
        # A SQLite file that is not there would be made by being asked.
        closing(
            StudyStorage(config.storage if exists(config.storage) else f"sqlite:///{folder}/none")
        ) as storage,
    ):
        session = open_session(name, spec, source, config, lambda: storage)
        known = storage.trials(session.study.key)
    with closing(Guard(session.study.engine, config.limits)) as guard:
        measured = _measured(session, guard)
        memory = guard.memory
    return _reckoned(session, measured, len([t for t in known if t.outcome]), memory)


def _measured(session: StudySession, guard: Guard) -> list[float]:
    """Seconds an epoch takes in each band."""
    assert session.rows is not None
    asked = [
        Rounds(session.question, number, band, 1).ask()[0]
        for number, band in enumerate(bands(session.study.ladder))
    ]
    jobs = tuple(replace(t.job, epochs=EPOCHS, patience=EPOCHS) for t in asked)
    pack = Pack(session.study.engine, jobs, session.rows.key, session.config.limits)
    outcomes = [each.outcome for each in guard.train_pack(pack, session.rows.folder)]
    ended: list[Trial] = [t.ended(o) for t, o in zip(asked, outcomes, strict=True)]
    good = [o.seconds / len(o.curve) for o in outcomes if o.complete]
    if not good:
        raise CapsearchError(
            f"no network of {session.study.name} could be trained: {failures(ended)}"
        )
    mean = sum(good) / len(good)
    return [o.seconds / len(o.curve) if o.complete else mean for o in outcomes]


def _reckoned(session: StudySession, measured: list[float], stored: int, memory: int) -> Estimate:
    spec = session.spec
    each = shares(spec.search.trials, len(measured))
    race = session.sampling.raced
    again = spec.select.replicates * FINALISTS + race
    epochs = sum((share + again) * seconds for share, seconds in zip(each, measured, strict=True))
    baselines = len(spec.baseline)
    epochs += baselines * (1 + spec.select.replicates) * sum(measured) / len(measured)
    at_once = session.config.limits.threads * session.config.workers
    plan = Ladder.of(session.question)
    return Estimate(
        study=session.study.name,
        engine=session.study.engine,
        baselines=baselines,
        trials=plan.trials,
        bands=len(measured),
        replicates=(len(measured) * FINALISTS + baselines) * spec.select.replicates
        + len(measured) * race,
        stored=stored,
        shortest=epochs * (spec.training.patience + 1) / at_once,
        longest=epochs * spec.training.epochs / at_once,
        memory=memory,
    )
