"""Which stored study a question is: digests of this version, and those that earlier ones gave.

What was opened once stays opened, whatever a later version takes for a default.
"""

from dataclasses import asdict, replace
from typing import Any

from capsearch.data.options import stated
from capsearch.data.source import SourceRef
from capsearch.records import digest_of
from capsearch.spec import StudySpec
from capsearch.spec.strategies import STRATEGIES
from capsearch.storage import StudyRow, StudyStorage

FIRST: dict[str, Any] = {"rule": "one_std_err", "margin": 0.01}
"""[select] of earlier versions where a file said nothing. Saying it there changed no digest."""


def identity_of(spec: StudySpec) -> dict[str, Any]:
    """What tells this question from every other, the options of its data source included."""
    source = SourceRef(spec.data).open()
    return spec.model_copy(update={"data": stated(source, spec.data)}).identity


def stored_studies(name: str, spec: StudySpec, storage: StudyStorage) -> list[StudyRow]:
    """The stored studies that ask this question, oldest first: of one data set each."""
    digest, earlier = digest_of(identity_of(spec)), earlier_digests(spec)
    return [
        row
        for row in storage.rows(name)
        if row.digest == digest or (row.digest in earlier and begun_by(row, spec))
    ]


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
