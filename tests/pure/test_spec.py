"""A study file is right, or every mistake in it is named at once; and it keeps its identity."""

import json
import os
from datetime import UTC, date, datetime, time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, Field

from capsearch import spec
from capsearch.data import source as source_module
from capsearch.data.source import SourceRef
from capsearch.errors import BadRequest
from capsearch.identity import stated
from capsearch.records import digest_of
from capsearch.selection import Settings
from tests.fakes import profile_of

GOOD = """
[data]
source = "imdb"
[space]
layers = { low = 0, high = 3 }
units = { low = 1, high = 256, log = true }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(BadRequest) as caught:
        spec.read(written(tmp_path, text), lambda _: [])
    prefix = f"{tmp_path / 'mine.toml'}: "
    assert all(line.startswith(prefix) for line in caught.value.mistakes)
    return [line.removeprefix(prefix) for line in caught.value.mistakes]


@pytest.mark.parametrize("name", sorted(spec.shipped()))
def test_every_shipped_study_reads_and_asks_for_enough(name: str) -> None:
    study = spec.read(spec.shipped()[name], lambda _: [])
    assert study.search.trials >= 90
    assert study.select.replicates >= 5
    assert [n for n, _ in study.baselines()] == ["original", "smaller", "dropout", "L1 and L2"]


def test_what_a_file_leaves_out_has_the_usual_value(tmp_path: Path) -> None:
    study = spec.read(written(tmp_path, GOOD), lambda _: [])
    assert (study.search.trials, study.select.rule, study.select.margin) == (96, None, None)
    told = study.for_data(profile_of(), sparse=True).select
    assert (told.rule, told.margin) == ("probably_good", 0.0104)
    assert study.fixed().optimizer == "adam"


def test_a_baseline_takes_from_training_what_it_does_not_say(tmp_path: Path) -> None:
    text = GOOD + '[training]\ndropout = 0.5\n[[baseline]]\nname = "a"\nunits = [4]\nl1 = 0.1\n'
    (name, candidate), *_ = spec.read(written(tmp_path, text), lambda _: []).baselines()
    assert (name, candidate.units, candidate.dropout, candidate.l1) == ("a", (4,), 0.5, 0.1)


def test_the_question_is_the_same_however_the_file_is_laid_out(tmp_path: Path) -> None:
    first = spec.read(written(tmp_path, GOOD), lambda _: []).question
    second = spec.read(written(tmp_path, GOOD + "[search]\ntrials = 96 # said\n"), lambda _: [])
    assert first == second.question


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        [data]
        source = "imdb"
        [space]
        layers = { low = 2, high = 1 }
        units = { low = 0, high = 256, log = true }
        l1 = { low = 1e-8, high = 1e-3, lgo = true }
        dropout = { low = 0.0, high = 1.2 }
        [training]
        optimiser = "adam"
        epochs = 0
        dropout = 1.5
        [search]
        trials = 4
        rungs = 5
        [select]
        rule = "bset"
        [[baseline]]
        name = "a"
        units = [0]
        [extra]
        """,
    )
    expected = [
        ("space.layers", "low (2)", "high (1)"),
        ("space.units", "low (0)", "1 or more"),
        ("space.l1.lgo", "unknown", "low, high, log, off"),
        ("space.dropout", "high (1.2)", "below 1.0"),
        ("training.epochs", "greater than or equal to 1", "not 0"),
        ("training.dropout", "below 1.0", "not 1.5"),
        ("training.optimiser", "Did you mean optimizer?", "epochs, patience, stop_on, l1, l2"),
        ("search", "rungs (5)", "trials (4)"),
        ("select.rule", "'one_std_err', 'pct_loss', 'non_inferiority'", "'bset'"),
        ("baseline.0.units.0", "1 or more", "not 0"),
        ("extra", "unknown", "data, space, training, search, select, baseline"),
    ]  # fmt: skip
    assert [line.partition(": ")[0] for line in found] == [key for key, *_ in expected]
    for line, (_, *facts) in zip(found, expected, strict=True):
        assert all(fact in line for fact in facts), line


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (
            'strategy = "ladders"',
            "search.strategy: must be 'ladder', 'tpe', 'random' or 'nsga2', not 'ladders'",
        ),
        (
            'strategy = "tpe"\ngrow = true',
            "search: grow is for strategy = 'ladder': 'tpe' opens no rungs",
        ),
    ],
)
def test_a_strategy_that_is_not_known_or_has_no_rungs_to_grow_is_a_mistake(
    tmp_path: Path, line: str, mistake: str
) -> None:
    assert mistakes(tmp_path, GOOD + f"[search]\n{line}\n") == [mistake]


def test_the_source_judges_its_own_table_in_the_same_breath(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "[training]\nepochs = 0\n")
    with pytest.raises(BadRequest) as caught:
        spec.read(path, lambda table: [f"data.source: no source {table['source']!r}"])
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data", "not valid TOML"),
        ("", "data: is missing"),
        ("[data]\n", "data.source: must name a data source"),
        ("data = 3\n", "data: must be a table, not 3"),
    ],
)
def test_a_file_that_is_no_study_says_so(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(mistakes(tmp_path, text))


@pytest.mark.parametrize(
    ("select", "mistake"),
    [
        ('rule = "budget"', "select: rule 'budget' needs max_parameters or max_bytes"),
        ("margin = 0.0", "select.margin: must be greater than 0, not 0.0"),
        ("margin = inf", "select.margin: must be a finite number, not inf"),
        ("confidence = 1.0", "select.confidence: must be less than 1, not 1.0"),
        ("confidence = 5.0", "select.confidence: must be less than 1, not 5.0"),
        ("max_bytes = 3", "select.max_bytes: must be greater than or equal to 4, not 3"),
        ("max_parameters = 0", "select.max_parameters: must be greater than or equal to 1, not 0"),
        ("margins = 0.1", "select.margins: unknown key. Did you mean margin? Known: "
         "probability, percent, margin, confidence, max_parameters, max_bytes, rule, "
         "judge, replicates"),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_use_is_a_mistake(tmp_path: Path, select: str, mistake: str) -> None:
    assert mistakes(tmp_path, f"{GOOD}[select]\n{select}\n") == [mistake]


def test_what_the_rules_are_asked_is_read_from_the_study(tmp_path: Path) -> None:
    text = GOOD + '[select]\nrule = "budget"\nmax_bytes = 4000\nmargin = 0.02\n'
    select = spec.read(written(tmp_path, text), lambda _: []).select
    assert select.settings == Settings(margin=0.02, max_bytes=4000)


def test_two_baselines_cannot_share_a_name(tmp_path: Path) -> None:
    twice = GOOD + '[[baseline]]\nname = "a"\nunits = [4]\n' * 2
    assert mistakes(tmp_path, twice) == ["baseline: the name 'a' is given twice"]


def test_an_unknown_study_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match=r"no study 'imbd'\. Did you mean imdb"):
        spec.find("imbd")
    with pytest.raises(BadRequest, match="no such study file"):
        spec.find("nowhere/imdb.toml")


def test_a_study_here_comes_before_the_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    assert spec.find("imdb") == spec.shipped()["imdb"]
    (tmp_path / "studies" / "imdb.toml").write_text(GOOD)
    assert spec.find("imdb") == Path("studies/imdb.toml")
    (tmp_path / "imdb.toml").write_text(GOOD)
    assert spec.find("imdb") == Path("imdb.toml")


@pytest.mark.parametrize(
    ("line", "key", "legal"),
    [
        ("layers = { low = 0, high = 1, off = true }", "space.layers.off", "low, high, log"),
        ("l1 = { low = 0.0, high = 1.0, of = true }", "space.l1.of", "low, high, log, off"),
    ],
)
def test_the_keys_of_a_range_are_those_of_its_own_dimension(
    tmp_path: Path, line: str, key: str, legal: str
) -> None:
    text = GOOD.replace("layers = { low = 0, high = 3 }", line) if "layers" in line else GOOD + line
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(f"{key}: ")
    assert mistake.endswith(f"Known: {legal}")
    if key == "space.layers.off":
        assert "off?" not in mistake


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("l1 = 3", ("space.l1: ", "a table", "not 3")),
        ("batch_size = 64", ("space.batch_size: ", "a list", "not 64")),
        ("batch_size = []", ("space.batch_size: ", "at least one")),
        ("batch_size = [0, 8]", ("space.batch_size: ", "0 must be 1 or more")),
        ('optimizer = ["adm"]', ("space.optimizer: ", "'adm'", "'adam', 'rmsprop' or 'sgd'")),
        ("l2 = { low = 0.0, high = inf }", ("space.l2: ", "high (inf)", "finite")),
        (
            "learning_rate = { low = 0.1, high = 1.0, off = true }",
            ("learning_rate: off", "above 0"),
        ),
    ],
)
def test_a_range_of_the_wrong_kind_is_told_what_is_legal(
    tmp_path: Path, line: str, facts: tuple[str, ...]
) -> None:
    (mistake,) = mistakes(tmp_path, GOOD + line)
    assert all(fact in mistake for fact in facts), mistake


def test_values_are_taken_at_their_word(tmp_path: Path) -> None:
    """true is no number, "8" is none, and 1 is not true."""
    text = """
        [data]
        source = "toy"
        [space]
        layers = { low = true, high = 2.0 }
        units = { low = 1, high = "16", log = 1 }
        dropout = { low = "0", high = 0.5, off = "yes" }
        batch_size = ["32", 64.0]
        [training]
        epochs = "8"
        patience = true
        l2 = "0.1"
        [search]
        trials = 12.0
        grow = 1
        seed = false
        [select]
        replicates = "3"
        margin = true
        [[baseline]]
        name = "original"
        units = ["16", true, 16.0]
    """
    found = mistakes(tmp_path, text)
    assert {line.split(": ")[0] for line in found} == {
        "space.layers.low", "space.layers.high", "space.units.high", "space.units.log",
        "space.dropout.low", "space.dropout.off", "space.batch_size.0", "space.batch_size.1",
        "training.epochs", "training.patience", "training.l2", "search.trials", "search.grow",
        "search.seed", "select.replicates", "select.margin", "baseline.0.units.0",
        "baseline.0.units.1", "baseline.0.units.2",
    }  # fmt: skip
    assert any("true" in line and "space.layers.low" in line for line in found)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.strip().encode())
    assert spec.read(path, lambda _: []).data == {"source": "imdb"}


def test_bystanders_are_no_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "studies"):
        folder.mkdir(exist_ok=True)
        (folder / ".#mine.toml").symlink_to("nobody@nowhere")
        (folder / "loop.toml").symlink_to("loop.toml")
        (folder / "x.toml").mkdir()
        (folder / "latin.toml").write_bytes(b"# \xe9\n[tool]\n")
        os.mkfifo(folder / "pipe.toml")  # reading it would wait for ever
    assert spec.known() == spec.shipped()
    assert spec.find("imdb") == spec.shipped()["imdb"]
    for name in (".#mine", "loop", "x", "x.toml", "a" * 300):
        with pytest.raises(BadRequest, match=r"no study|no such study"):
            spec.find(name)


def test_files_and_folders_that_may_not_be_read_are_no_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(GOOD)
    for refused in ("read_bytes", "is_file", "iterdir"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, refused, refuse)
            assert spec.known().keys() == spec.shipped().keys()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        with pytest.raises(BadRequest, match=r"mine\.toml: cannot be read: .*Permission denied"):
            spec.read(spec.find("mine"), lambda _: [])


ZONE = UTC
TOML = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.datetimes(timezones=st.just(ZONE) | st.none()).map(lambda at: at.replace(fold=0))
    | st.dates()
    | st.times().map(lambda at: at.replace(fold=0)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$date"), inner),
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "training": st.fixed_dictionaries(
            {},
            optional={"l1": st.sampled_from([0.0, 0.5]), "epochs": st.sampled_from([40, 7]),
                      "optimizer": st.sampled_from(["adam", "sgd"])},
        ),
        "search": st.fixed_dictionaries(
            {},
            optional={"strategy": st.sampled_from(["ladder", "tpe", "nsga2"]),
                      "trials": st.sampled_from([96, 33]), "seed": st.sampled_from([0, 5])},
        ),
        "select": st.fixed_dictionaries(
            {},
            optional={"rule": st.sampled_from(["one_std_err", "knee"]),
                      "max_bytes": st.just(4000), "margin": st.sampled_from([0.01, 0.02])},
        ),
        "baseline": st.just([{"name": "a", "units": [4], "l2": 0.0}, {"name": "b", "units": []}]),
    },
)  # fmt: skip
SPACE = {
    "layers": {"low": 0, "high": 2},
    "units": {"low": 1, "high": 8, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": ["sgd", "adam"],
}


def stored(study: spec.StudySpec) -> dict[str, Any]:
    """The question as a storage gives it back; its JSON is strict."""
    text = json.dumps(study.question, allow_nan=False)
    back: dict[str, Any] = json.loads(text)
    return back


def asked(settings: dict[str, Any], data: dict[str, Any] | None = None) -> spec.StudySpec:
    return spec.StudySpec.model_validate({"data": data or {}, "space": SPACE} | settings)


@settings(max_examples=30)
@given(st.dictionaries(st.text() | st.just("$float"), TOML), SETTINGS)
def test_a_stored_question_gives_the_same_study_back(
    data: dict[str, Any], settings: dict[str, Any]
) -> None:
    study = asked(settings, data)
    back = spec.StudySpec.from_question(stored(study))
    assert repr(back) == repr(study)  # NaN is not equal to itself
    assert (back.identity, back.question) == (study.identity, study.question)
    json.dumps(back.identity, allow_nan=False)


def test_dates_and_numbers_of_toml_survive_a_storage(tmp_path: Path) -> None:
    lines = "day = 2026-11-25\nat = 07:32:00\nwhen = 2026-11-25T07:32:00Z\nn = nan\ni = [-inf]\n"
    text = GOOD.replace('source = "imdb"\n', f'source = "imdb"\n{lines}')
    study = spec.read(written(tmp_path, text), lambda _: [])
    data = spec.StudySpec.from_question(stored(study)).data
    assert (data["day"], data["at"]) == (date(2026, 11, 25), time(7, 32))
    assert data["when"] == datetime(2026, 11, 25, 7, 32, tzinfo=ZONE)
    assert [str(data["n"]), str(data["i"][0])] == ["nan", "-inf"]


@given(SETTINGS)
def test_saying_a_default_changes_no_identity(settings: dict[str, Any]) -> None:
    study = asked(settings)
    said = study.question | {"data": study.data}
    for table in [*said["baseline"], said["space"]]:  # TOML has no null
        for name in [name for name, value in table.items() if value is None]:
            del table[name]
    said["select"] = {n: value for n, value in said["select"].items() if value is not None}
    usual = study.question["training"]
    said["baseline"] = [
        {name: usual[name] for name in ("l1", "batch_size", "optimizer")} | b
        for b in said["baseline"]
    ]
    again = spec.StudySpec.model_validate(said)
    assert digest_of(again.identity) == digest_of(study.identity)
    assert [c.key for _, c in again.baselines()] == [c.key for _, c in study.baselines()]


class NewerSearch(spec.Search):
    """One field more, and one that has another name: as a later version may have it."""

    fresh: int = 3
    budget: Annotated[
        int, Field(validation_alias=AliasChoices("budget", "trials"), serialization_alias="trials")
    ] = 96


class Newer(spec.StudySpec):
    """A study of that version."""

    search: NewerSearch = NewerSearch()
    further: int = 0


@given(SETTINGS)
def test_a_new_field_and_a_renamed_one_change_no_identity(settings: dict[str, Any]) -> None:
    study, given = asked(settings), {"data": {}, "space": SPACE} | settings
    newer = Newer.model_validate(given)
    assert newer.identity == study.identity
    assert Newer.from_question(stored(study)).identity == study.identity


@given(SETTINGS, SETTINGS)
def test_other_questions_have_other_identities(one: dict[str, Any], two: dict[str, Any]) -> None:
    first, second = asked(one), asked(two)
    assert (first.identity == second.identity) == (first.baselines() == second.baselines()
            and first.question == second.question)  # fmt: skip


def test_a_source_of_ours_tells_its_defaults_and_others_are_taken_at_their_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"source": "imdb", "vocabulary": 10_000, "seed": 3, "validation": 0.2}
    assert stated(SourceRef(table)) == {"source": "imdb", "seed": 3}
    asked = {"source": "imdb", "validation": {"folds": 3}}
    assert stated(SourceRef(asked))["validation"] == {"folds": 3, "repeats": 1}
    assert "validation" not in stated(SourceRef({"source": "imdb", "validation": "auto"}))
    strange = EntryPoint("imdb", "tests.fakes:ToySource", source_module.GROUP)
    monkeypatch.setattr(source_module, "installed", lambda: {"imdb": strange})
    assert stated(SourceRef(table)) == table
