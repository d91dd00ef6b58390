"""Keys last: what is stored under one today is found under it by every later version.

A constant here changes only when all stored studies are to be forgotten.
"""

import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from capsearch import identity
from capsearch.identity import digest_for, former_digest, identity_of
from capsearch.records import Candidate, Folds, Job, digest_of
from capsearch.spec import StudySpec, shipped
from tests.fakes import profile_of, spec_of
from tests.place import STUDY

# The digests that the first version of capsearch gave, computed by it.
FORMER = {
    "imdb": "bde197376a45443569dc47d230dc6436c2d8f73ac0e1d0f7beb251d2c72e817c",
    "rotten_tomatoes": "1d1d0517847b629022c3af43ce60730beac30533fa461330f153d09a032c7697",
    "keras_imdb": "4c8ef2b0a34e923fd105b6c9852680959d6bba32eb02fe756d17c00b220c730a",
    "mine": "85697d646ad0757f14316872685cd8bee0bccc92ac44a90c986c4a9c303f29ca",
}
FORMER_BY_STRATEGY = {  # of imdb, searched in another way
    "tpe": "7bc3c2a21938f4c23fea51efa45b1e65eecf04de44930d082f314174502cbdc6",
    "random": "8d0be513b1c4fb8584a1317239fd70425b2cc7b27ef32a26d9cb2277e0ad2350",
    "nsga2": "6e24e1bd4691d226ae3bf34742dff1d8899e729e36584805536321212245f60a",
}
DIGESTS = {
    "imdb": "e49cb46c993e2f6c6c716a3d6381821a0130a1cc62258de1e08106108deb083a",
    "rotten_tomatoes": "fb9d31b67eb61778250cb61ca2bce8e608f81b7b5e409b213b71df55cca7185e",
    "keras_imdb": "d3fffde92cd9c1144e1ef996396b3fa4fd494a23c1d955febc181010a87260d7",
    "mine": "65cee6f0eec3f5fdd93400c813cc55aa320a61b8d3173094d823bced1c885968",
}
JOB = Job.of(Candidate((16, 16)), study_seed=0, replicate=0, epochs=40, patience=4)


def table_of(name: str) -> dict[str, Any]:
    """As it was when the digests were computed; rotten_tomatoes has had more trials since."""
    table = tomllib.loads(STUDY if name == "mine" else shipped()[name].read_text())
    if name == "rotten_tomatoes":
        table["search"]["trials"] = 96
    return table


def table_first_shipped(name: str) -> dict[str, Any]:
    """The study file as the first version had it."""
    table = table_of(name)
    table["space"]["dropout"].pop("off", None)
    return table


def spec(name: str) -> StudySpec:
    return StudySpec.model_validate(table_of(name))


def test_a_candidate_has_the_key_it_always_had() -> None:
    assert Candidate((16, 16)).key == "32146f74dddd7ccd"
    assert digest_of({"b": 1, "a": [1.5, None]}) == digest_of({"a": [1.5, None], "b": 1})


def test_a_job_has_the_key_it_always_had_with_and_without_engine_and_rows() -> None:
    more: dict[str, Any] = {"study_seed": 0, "replicate": 0, "epochs": 40, "patience": 4}
    assert JOB.key == "19a3be458802dbb925d9888d"
    named = Job.of(Candidate((16, 16)), engine="packed/1/cpu", data="0" * 16, **more)
    assert named.key == "96928bac2bf40b803d7c2eb5"
    assert (named.seed, named.shuffle_seed) == (JOB.seed, JOB.shuffle_seed)
    assert Job.of(Candidate((16, 16)), engine="", data="", stop_on="all", **more).key == JOB.key


@pytest.mark.parametrize("name", DIGESTS)
def test_a_study_file_has_the_digest_it_always_had(name: str) -> None:
    assert digest_of(identity_of(spec(name))) == DIGESTS[name]


@pytest.mark.parametrize("name", FORMER)
def test_the_first_version_gave_this_digest(name: str) -> None:
    first = StudySpec.model_validate(table_first_shipped(name))
    assert former_digest(first) == FORMER[name]


@pytest.mark.parametrize("strategy", FORMER_BY_STRATEGY)
def test_the_first_version_gave_this_digest_to_another_strategy(strategy: str) -> None:
    table = table_first_shipped("imdb")
    table["search"]["strategy"] = strategy
    assert former_digest(StudySpec.model_validate(table)) == FORMER_BY_STRATEGY[strategy]


WRITTEN_OUT: list[tuple[str, dict[str, Any]]] = [
    ("data", {"vocabulary": 10_000, "validation": 0.2, "seed": 0, "test": 0.2}),
    ("training", {"optimizer": "adam", "batch_size": 512, "stop_on": "all", "patience": 4}),
    ("search", {"strategy": "ladder", "grow": True, "seed": 0, "rungs": 8}),
    ("select", {"percent": 2.0, "probability": 0.95, "max_bytes": None}),
    ("space", {"l1": None, "optimizer": None, "layers": {"low": 0, "high": 2, "log": False}}),
    ("space", {"dropout": {"low": 0.0, "high": 0.5, "log": False, "off": False}}),
]


@pytest.mark.parametrize(("table", "written"), WRITTEN_OUT)
def test_a_default_that_is_written_out_changes_no_key(table: str, written: dict[str, Any]) -> None:
    short = tomllib.loads(STUDY)
    for name in set(written) - {"layers", "dropout"}:
        short.get(table, {}).pop(name, None)
    long = short | {table: short.get(table, {}) | written}
    one, other = (StudySpec.model_validate(t) for t in (short, long))
    assert digest_of(identity_of(one)) == digest_of(identity_of(other))


def test_what_was_once_a_default_is_found_under_its_earlier_digest() -> None:
    unsaid = spec_of()
    said = spec_of(select={"replicates": 2, "rule": "one_std_err", "margin": 0.01})
    assert unsaid.identity != said.identity
    assert digest_of({**unsaid.identity}) == digest_of(
        {**said.identity, "select": {"replicates": 2}}
    )


def test_whatever_is_not_at_its_default_makes_another_question() -> None:
    other = [
        spec_of(search={"trials": 13, "rungs": 3}),
        spec_of(search={"trials": 12, "rungs": 3, "seed": 1}),
        spec_of(select={"replicates": 2, "rule": "best"}),
        spec_of(data={"source": "toy", "vocabulary": 3}),
        spec_of(baseline=[]),
    ]
    assert len({digest_of(s.identity) for s in [spec_of(), *other]}) == 6


def test_a_study_read_back_from_its_question_is_the_same_question() -> None:
    for path in shipped().values():
        asked = StudySpec.model_validate(tomllib.loads(Path(path).read_text()))
        assert StudySpec.from_question(asked.question).identity == asked.identity


def test_auto_asks_what_a_file_might_have_said() -> None:
    """Of many rows a hold-out of a fifth, of few five folds."""
    source = {"source": "imdb"}
    auto, held_out, folds = (
        spec_of(data=source | said)
        for said in ({}, {"validation": 0.2}, {"validation": {"folds": 5}})
    )
    assert digest_for(auto, None) == digest_for(held_out, None) == digest_of(identity_of(auto))
    assert digest_for(auto, Folds()) == digest_for(folds, Folds()) != digest_for(auto, None)
    assert digest_for(folds, Folds()) == digest_of(identity_of(folds))
    assert digest_for(spec_of(data=source | {"validation": 0.3}), None) != digest_for(auto, None)


@pytest.mark.parametrize(
    ("stored", "rows", "asked", "other"),
    [
        ({"validation": 0.2}, 100, {}, True),
        ({"validation": 0.2}, 1_000, {}, False),
        ({}, 100, {}, False),  # by an earlier version, before there were folds
        ({"validation": 0.2}, 100, {"validation": 0.2}, False),
        ({"validation": 0.2}, 100, {"time": "day"}, False),
    ],
)
def test_few_rows_held_out_because_a_file_said_so_are_no_answer_to_auto(
    stored: dict[str, Any], rows: int, asked: dict[str, Any], other: bool
) -> None:
    profile = replace(profile_of(), sizes={"train": 4 * rows, "validation": rows})
    row: Any = SimpleNamespace(question={"data": {"source": "toy"} | stored}, profile=profile)
    assert identity._other_validation(row, spec_of(data={"source": "toy"} | asked)) == other
