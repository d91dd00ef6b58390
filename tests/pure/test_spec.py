"""A study file is right, or every mistake in it is named at once."""

from pathlib import Path

import pytest

from capsearch import spec
from capsearch.errors import BadRequest
from capsearch.selection import Settings

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
    assert (study.search.trials, study.select.rule) == (96, "one_std_err")
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
    assert found == [
        "space.layers: low (2) must not be above high (1)",
        "space.units: low (0) must be 1 or more",
        "space.l1.lgo: unknown key. Did you mean low? Known: low, high, log, off",
        "space.dropout: high (1.2) must be below 1.0",
        "training.epochs: must be greater than or equal to 1, not 0",
        "training.optimiser: unknown key. Did you mean optimizer? Known: optimizer, batch_size, "
        "learning_rate, l1, l2, dropout, epochs, patience, stop_on",
        "search: rungs (5) must not be above trials (4)",
        "select.rule: must be 'one_std_err', 'pct_loss', 'non_inferiority', 'knee', 'budget' or "
        "'best', not 'bset'",
        "baseline.0.units.0: must be greater than or equal to 1, not 0",
        "extra: unknown key. Known: data, space, training, search, select, baseline",
    ]


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (
            'strategy = "ladders"',
            "search.strategy: must be 'ladder', 'tpe', 'random' or 'nsga2', not 'ladders'",
        ),
        (
            'strategy = "tpe"\ngrow = true',
            "search: grow is for strategy = \"ladder\": 'tpe' opens no rungs",
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
        ("data = 3\n", "data: must be a valid dictionary"),
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
        ("margins = 0.1", "select.margins: unknown key. Did you mean margin? Known: rule, "
         "replicates, percent, margin, confidence, max_parameters, max_bytes"),
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
