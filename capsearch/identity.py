"""Which stored study a question is: digests of this version, and those that earlier ones gave.

What was opened once stays opened, whatever a later version takes for a default.
"""

from dataclasses import asdict, replace
from typing import Any

from capsearch.data.options import AUTO, HELD_OUT, question_of
from capsearch.data.source import SourceRef
from capsearch.data.sources import keras_imdb, movie_reviews
from capsearch.records import Folds, digest_of
from capsearch.records.data import FEWEST
from capsearch.spec import StudySpec
from capsearch.spec.strategies import STRATEGIES
from capsearch.storage import StudyRow, StudyStorage

FIRST: dict[str, Any] = {"rule": "one_std_err", "margin": 0.01}
"""[select] of earlier versions where a file said nothing. Saying it there changed no digest."""

SPLIT = {"time", "split", "validation_path"}  # keys of [data] that leave no folds to be made

EARLIER_SOURCES = {
    "imdb": ((movie_reviews.SHA256, "imdb"), ("vocabulary", "validation", "seed", "test")),
    "rotten_tomatoes": (
        (movie_reviews.SHA256, "rotten_tomatoes"),
        ("vocabulary", "validation", "seed", "test"),
    ),
    "keras_imdb": ((keras_imdb.SHA256,), ("vocabulary", "validation", "seed")),
}
"""What the identity of a source was made from while sources split their rows themselves."""


def identity_of(spec: StudySpec) -> dict[str, Any]:
    """What tells this question from every other, the options of its data source included."""
    return spec.model_copy(update={"data": stated(SourceRef(spec.data))}).identity


def digest_for(spec: StudySpec, folds: Folds | None) -> str:
    """The digest of a study of this question whose rows are in such folds, or are held out.

    Folds that nothing asked for are those that the file might have said: it is the same question.
    """
    return digest_of(_folded(identity_of(spec), folds))


def _folded(identity: dict[str, Any], folds: Folds | None) -> dict[str, Any]:
    if folds is None:
        return identity
    said = {"validation": {"folds": folds.folds, "repeats": folds.repeats}}
    return identity | {"data": identity["data"] | said}


def stated(source: SourceRef) -> dict[str, Any]:
    """A [data] table as a study's identity holds it: without options at their default.

    Only a source of ours tells its defaults; the table of any other is taken as it was given.
    """
    if not source.ours:
        return dict(source.table)
    return {"source": source.name} | question_of(source.options())


def earlier_sources(source: SourceRef) -> tuple[str, ...]:
    """What earlier versions stored as the identity of these data: what is finished stays so."""
    if source.name not in EARLIER_SOURCES or not source.ours:
        return ()
    parts, keys = EARLIER_SOURCES[source.name]
    options = source.options()
    told = {key: getattr(options, key) for key in keys}
    if told["validation"] == AUTO:
        told["validation"] = HELD_OUT
    return (digest_of([2, *parts, told]),)


def stored_studies(name: str, spec: StudySpec, storage: StudyStorage) -> list[StudyRow]:
    """The stored studies that ask this question, oldest first: of one data set each."""
    earlier, digests = earlier_digests(spec), {digest_of(identity_of(spec))}
    if spec.data.get("validation", AUTO) == AUTO:
        digests.add(digest_for(spec, Folds()))
    return [
        row
        for row in storage.rows(name)
        if (row.digest in digests or (row.digest in earlier and begun_by(row, spec)))
        and not _other_validation(row, spec)
    ]


def _other_validation(row: StudyRow, spec: StudySpec) -> bool:
    """Whether few rows were held out because its file said so, where this one leaves it open.

    Saying a fifth, or nothing, is the same question of many rows, and has one digest.
    """
    few = row.profile.folds is None and row.profile.sizes.get("validation", FEWEST) < FEWEST
    said, says = (data.get("validation", AUTO) for data in (row.question["data"], spec.data))
    return few and said != AUTO and says == AUTO and not SPLIT & spec.data.keys()


def begun_by(row: StudyRow, spec: StudySpec) -> bool:
    """Whether an earlier version began it: its digest may be this version's of other defaults."""
    said = {name: getattr(spec.select, name) or first for name, first in FIRST.items()}
    return all(row.question["select"][name] == value for name, value in said.items())


def earlier_digests(spec: StudySpec) -> tuple[str, ...]:
    """The digests that earlier versions gave to this question: what they opened stays opened."""
    usual: dict[str, Any] = {n: None for n, v in FIRST.items() if getattr(spec.select, n) == v}
    unsaid = spec.model_copy(update={"select": replace(spec.select, **usual)})
    return former_digest(spec), digest_of(identity_of(unsaid))


def former_digest(spec: StudySpec) -> str:
    """The digest that the first version of capsearch gave this question.

    Its openings of the test split count for good. Fields that the first version did not know are
    to be left out here.
    """
    sampling = asdict(STRATEGIES[spec.search.strategy])
    for later in ("patience", "window", "racers", "race_seeds", "last_seeds", "exchange"):
        sampling.pop(later)
    if STRATEGIES[spec.search.strategy].by_rung:
        sampling |= {"patience": 2, "window": 3}
    question = spec.question
    question["search"].setdefault("grow", True)
    for table in (question["training"], question["space"], *question["baseline"]):
        table.pop("initialization")
    select = question["select"]
    for later in ("probability", "judge"):
        select.pop(later)
    select |= {name: select[name] or first for name, first in FIRST.items()}
    return digest_of(question | {"sampling": sampling})
