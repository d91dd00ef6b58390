"""`capsearch new` on tables that have the difficulties of real ones."""

import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capsearch.data.columns import Column, columns_of
from capsearch.data.draft import Survey, new_path, study_file, survey, write_new
from capsearch.data.draft.size import size_for
from capsearch.data.options import check
from capsearch.data.table_options import TableOptions
from capsearch.data.tables import read_table
from capsearch.errors import BadRequest
from capsearch.families.space import ladder
from capsearch.spec import StudySpec
from tests.bench.fuzz_csv import answered, ending, made

RANDOM = random.Random(0)


def pick(values: str | Sequence[str]) -> str:
    return RANDOM.choice(values.split() if isinstance(values, str) else values)


def csv(folder: Path, header: str, row: Callable[[int], Sequence[object]], rows: int = 300) -> Path:
    path = folder / "table.csv"
    lines = [header] * bool(header) + [",".join(map(str, row(n))) for n in range(rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def passengers(n: int) -> Sequence[object]:
    """As in titanic: `alive` is the target, `class` is `pclass`, ages and decks are missing."""
    survived, pclass = RANDOM.randint(0, 1), RANDOM.randint(1, 3)
    return (
        survived, pclass, pick("male female"), RANDOM.choice(["", RANDOM.randint(1, 800) / 10]),
        ["", "First", "Second", "Third"][pclass], bool(RANDOM.randint(0, 1)),
        RANDOM.choice(["", "", "", *"ABC"]), ("no", "yes")[survived],
    )  # fmt: skip


def drives(n: int) -> Sequence[object]:
    """As in taxis: two moments, a total that is a sum, many zones, missing payments."""
    day, fare, tip = RANDOM.randint(1, 30), RANDOM.randint(3, 90), RANDOM.randint(0, 60)
    return (
        f"2019-03-{day:02} 10:{n % 60:02}:00", f"2019-03-{day:02} 11:{n % 60:02}:00", fare, tip,
        fare + tip + RANDOM.choice([0, 0.5]), pick(("", "cash", "credit card")),
        f"Zone {RANDOM.randint(1, 60)}",
    )  # fmt: skip


def customers(n: int) -> Sequence[object]:
    """As in telco_churn: an id, blanks among numbers, 0/1 beside Yes/No, a third answer."""
    return (
        f"{n * 7919 % 9973:04}-{chr(65 + n % 26)}QZ", RANDOM.randint(0, 1), pick("Yes No"),
        pick(["Yes", "No", "No internet service"]), RANDOM.choice([" ", f"{RANDOM.random():.4f}"]),
        pick("Yes No"),
    )  # fmt: skip


def wines(n: int) -> Sequence[object]:
    """As in winequality: no header, and a rating that may be a class or a number."""
    return (f"{RANDOM.random():.3f}", f"{RANDOM.random():.2f}", RANDOM.randint(3, 8))


def shells(n: int) -> Sequence[object]:
    """As in abalone: no header, M/F/I, and rings that are counted."""
    return (pick("M F I"), f"{RANDOM.random():.3f}", RANDOM.randint(1, 29))


def gems(n: int) -> Sequence[object]:
    """As in diamonds: zeros that mean missing."""
    x = 0.0 if n % 99 == 5 else round(4 + 3 * RANDOM.random(), 2)
    return (pick(["Ideal", "Fair", "Very Good"]), x, 300 + RANDOM.randint(1, 18_000))


def cars(n: int) -> Sequence[object]:
    """As in mpg: a name that is nearly unique, a missing horsepower."""
    name = f"{pick('ford buick toyota')} model {n} {pick('sw custom')}"
    return (f"{9 + 30 * RANDOM.random():.1f}", pick(["", "130.0", "165.0", "95.0"]), name)


def kinds(found: Survey) -> dict[str, str]:
    return {each.name: each.kind for each in found.found if isinstance(each, Column)}


def spec_of(found: Survey) -> StudySpec:
    """The study as a study file is read; every line of it must be legal."""
    return StudySpec.of(tomllib.loads(study_file(found, found.path.parent)))


def test_a_table_of_passengers(tmp_path: Path) -> None:
    header = "survived,pclass,sex,age,class,adult,deck,alive"
    found = survey(csv(tmp_path, header, passengers), "survived")
    assert found.answer.task == "binary"
    assert kinds(found) == {
        "pclass": "number", "sex": "category", "age": "number", "class": "category",
        "adult": "boolean", "deck": "category", "alive": "boolean",
    }  # fmt: skip
    assert list(found.left_out) == ["alive"]
    assert found.features["age"] == 2
    assert "alive" not in found.features
    assert any("'pclass', 'class'" in remark for remark in found.remarks)
    assert not found.questions
    assert spec_of(found).data["drop"] == ["alive"]


def test_a_table_of_drives(tmp_path: Path) -> None:
    header = "pickup,dropoff,fare,tip,total,payment,zone"
    found = survey(csv(tmp_path, header, drives), "total")
    assert found.answer.task == "regression"
    assert kinds(found) == {
        "pickup": "date", "dropoff": "date", "fare": "number", "tip": "number",
        "payment": "category", "zone": "category",
    }  # fmt: skip
    assert any("'fare', 'tip'" in remark for remark in found.remarks)
    text = study_file(found, tmp_path)
    assert '#time = "pickup"' in text


def test_a_table_of_customers(tmp_path: Path) -> None:
    found = survey(
        csv(tmp_path, "customerID,senior,partner,backup,total,churn", customers), "churn"
    )
    assert kinds(found) == {
        "customerID": "id", "senior": "boolean", "partner": "boolean", "backup": "category",
        "total": "number",
    }  # fmt: skip
    (ids, *_, total) = found.columns
    assert not ids.used
    assert total.missing > 0
    assert '#keep = ["customerID"]' in study_file(found, tmp_path)


def test_a_rating_is_asked_for_and_a_count_is_not(tmp_path: Path) -> None:
    found = survey(csv(tmp_path, "", wines), "c3")
    assert found.reading.header is False
    assert found.answer.task is None
    text = study_file(found, tmp_path)
    assert '#task = "multiclass"' in text
    assert "header = false" in text
    assert answered(text)["task"] == "multiclass"
    assert survey(csv(tmp_path, "", shells), "c3").answer.task == "regression"


def test_zeros_far_from_the_rest_are_remarked(tmp_path: Path) -> None:
    found = survey(csv(tmp_path, "cut,x,price", gems), "price")
    (note,) = [column.note for column in found.columns if column.name == "x"]
    assert 'null.x = ["0.0"]' in note


def test_a_nearly_unique_name_is_a_text(tmp_path: Path) -> None:
    found = survey(csv(tmp_path, "mpg,horsepower,name", cars), "mpg")
    assert kinds(found) == {"horsepower": "number", "name": "text"}
    assert found.features["name"] < 20


def hard(n: int) -> Sequence[object]:
    """Everything that must be asked."""
    day, month = n % 12 + 1, n * 5 % 12 + 1
    return (
        n * 3, f"{n % 99:05}", f"{n % 7}.{n % 999:03},{n % 90 + 10}", f"{day:02}/{month:02}/2020",
        pick("yes no y"), RANDOM.choice(["unknown", *range(20)]), f"{n % 40}%",
        RANDOM.choice([20, 35.5, 41, -999]), pick("a b"),
    )  # fmt: skip


def test_every_doubt_is_a_question_at_the_line_to_change(tmp_path: Path) -> None:
    path = tmp_path / "hard.csv"
    lines = ["store_id;zip;price;day;ok;n;share;age;y"]
    lines += [";".join(map(str, hard(n % 250))) for n in range(500)]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = survey(path)
    asked = {question.about: question.lines for question in found.questions if question.about}
    assert set(asked) == {"store_id", "price", "day", "ok", "n", "share", "age"}
    text = study_file(found, tmp_path)
    assert text.count("# QUESTION") == 1 + len(asked)
    with pytest.raises(BadRequest) as error:
        columns_of(read_table(path), check(TableOptions, _data(tomllib.loads(text))).declared())
    assert len(error.value.mistakes) == len(asked)
    options = check(TableOptions, _data({"data": answered(text)}))
    columns = columns_of(read_table(path), options.declared())
    assert all(column.used for column in columns)


def _data(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table["data"].items() if key != "source"}


def test_the_target_is_asked_for_where_nobody_names_it(tmp_path: Path) -> None:
    path = csv(tmp_path, "label,x,z", lambda n: (pick("a b"), RANDOM.random(), RANDOM.random()))
    found = survey(path)
    assert found.target == "label"
    assert "which column" in found.questions[0].said
    with pytest.raises(BadRequest, match="label"):
        survey(path, "labl")


def test_labels_that_are_none_are_asked_for_and_settled(tmp_path: Path) -> None:
    def row(n: int) -> Sequence[object]:
        return RANDOM.random(), RANDOM.choice(["", "?", *range(60)])

    path = csv(tmp_path, "x,y", row)
    found = survey(path, "y")
    assert "unlabelled" not in found.questions[0].said
    text = study_file(found, tmp_path)
    data = answered(text)
    assert (data["null"], data["unlabelled"]) == ({"y": ["?"]}, "drop")
    declared = check(TableOptions, _data({"data": data})).declared()
    assert columns_of({"x": read_table(path)["x"]}, declared)


def test_another_encoding_is_read_and_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{pick(('Köln', 'Bonn'))},{n % 2}\n" for n in range(50))
    path.write_bytes(f"city,y\n{rows}".encode("cp1252"))
    found = survey(path, "y")
    assert "Köln" in found.questions[0].said
    assert spec_of(found).data["encoding"] == "cp1252"
    path.write_bytes(f"city,y\n{rows}".encode("utf-16"))
    assert not survey(path, "y").questions


def test_names_that_stand_twice_get_new_ones_and_a_question(tmp_path: Path) -> None:
    found = survey(csv(tmp_path, "a,a,y", lambda n: (n % 7, n % 5, pick("p q"))), "y")
    assert spec_of(found).data["names"] == ["a", "a_2", "y"]
    assert "twice" in found.questions[0].said or "columns 1, 2" in found.questions[0].said


def test_a_parquet_file_has_no_header_to_doubt(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rng = np.random.default_rng(0)
    pq.write_table(pa.table({"x": rng.normal(size=90), "y": rng.integers(0, 2, 90)}), path)
    found = survey(path, "y")
    data = spec_of(found).data
    assert (data["source"], data["path"], data["task"]) == ("parquet", "t.parquet", "binary")


def test_columns_of_types_that_cannot_be_read_are_left_out_with_the_reason(tmp_path: Path) -> None:
    path, rng = tmp_path / "t.parquet", np.random.default_rng(0)
    noon = pa.array([43_200] * 90, pa.time32("s"))
    columns = {"x": rng.normal(size=90), "noon": noon, "list": [[1]] * 90, "y": ["a", "b"] * 45}
    pq.write_table(pa.table(columns), path)
    found = survey(path, "y")
    assert spec_of(found).data["drop"] == ["noon", "list"]
    assert "nested" in found.left_out["list"]
    with pytest.raises(BadRequest, match="--target 'noon': values of type time32"):
        survey(path, "noon")
    with pytest.raises(BadRequest, match=r"column 'noon'.*To leave it out: drop = \[.noon.\]"):
        read_table(path)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    header = '"[red]x[/]","=cmd()","a""] # b",y'
    path = csv(tmp_path, header, lambda n: (RANDOM.random(), RANDOM.random(), "s", pick("p q")))
    found = survey(path, "y")
    spec_of(found)
    assert [column.name for column in found.columns] == ["[red]x[/]", "=cmd()", 'a"] # b']


@pytest.mark.parametrize("rows", [3, 40, 300, 3_000, 30_000, 3_000_000])
@pytest.mark.parametrize("features", [1, 30, 10_000])
def test_a_space_suits_any_size_of_table(rows: int, features: int) -> None:
    size = size_for(rows, features)
    assert size.trials >= 6 * size.rungs  # check CS004
    assert 16 <= size.batch_size <= 512
    assert max(size.usual) <= size.units


def test_the_smallest_tables_have_rungs_enough(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), pick("a b")), rows=20)
    spec = spec_of(survey(path, "y"))
    edges = ladder(spec.space_for(1), spec.search.rungs)
    assert len(set(edges)) == spec.search.rungs + 1


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    write_new(path, "first")
    with pytest.raises(BadRequest, match="nothing is overwritten"):
        write_new(path, "second")
    with pytest.raises(BadRequest, match="nothing is overwritten"):
        new_path(Path("x.csv"), path)
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadRequest, match="nothing is overwritten"):
        new_path(Path("x.csv"), tmp_path / "link.toml")
    assert path.read_text() == "first"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("a/titanic.csv", "titanic.toml"),
        ("my data (1).csv.gz", "my_data_1_.toml"),
        (".hidden", "hidden.toml"),
        ("ü.parquet", "_.toml"),
        ("-x.csv", "x.toml"),
    ],
)
def test_a_study_is_named_by_its_file(
    file: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_path(Path(file), None).name == expected


def test_the_path_is_told_as_the_study_file_sees_it_or_whole_as_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), pick("a b")))
    below = tmp_path / "studies"
    below.mkdir()

    def told(named: Path, folder: Path) -> object:
        return tomllib.loads(study_file(survey(named, "y"), folder))["data"]["path"]

    assert told(Path("table.csv"), Path("studies")) == "../table.csv"
    assert told(path, tmp_path) == "table.csv"
    assert told(path, below) == str(path)


def test_numbers_of_two_classes_get_their_line_of_labels(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,class", lambda n: (RANDOM.random(), f'"{n % 2 + 1}"'))
    text = study_file(survey(path), tmp_path)
    assert "labels = [1, 2] " in text
    assert survey(path).target == "class"
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), f"{n % 2 + 1}.0"))
    found = survey(path, "y")
    assert spec_of(found).data["labels"] == ["1.0", "2.0"]
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), n % 2))
    assert "labels" not in spec_of(survey(path, "y")).data


def test_rows_without_a_label_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), ("a", "b", "")[n % 3]))
    text = study_file(survey(path, "y"), tmp_path)
    assert "100 rows have no label; they are left out" in text
    assert tomllib.loads(text)["data"]["unlabelled"] == "drop"


def test_labels_that_are_alike_are_asked_for(tmp_path: Path) -> None:
    labels = ("<=50K", ">50K", "<=50K.", "<=50K", ">50K.", ">50K", "Other")
    path = csv(tmp_path, "x,y", lambda n: (RANDOM.random(), labels[n % 7]))
    found = survey(path, "y")
    assert '">50K" (86 times) and ">50K." (43 times)' in found.questions[0].said
    data = answered(study_file(found, tmp_path))
    assert data["relabel"] == {"<=50K.": "<=50K", ">50K.": ">50K"}


def test_a_target_with_decimal_commas_is_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;y", lambda n: (f"{n};{n},5",))
    data = answered(study_file(survey(path, "y", ";"), tmp_path))
    assert (data["decimal"], data["task"]) == ({"y": ","}, "regression")


def test_lines_to_write_are_whole(tmp_path: Path) -> None:
    def row(n: int) -> Sequence[object]:
        parts = [RANDOM.randint(1, 90) for _ in range(3)]
        return (*parts, sum(parts), ("", "?")[n % 2], sum(parts))

    names = [f"a part of the sum with a long name {n}" for n in range(3)]
    path = csv(tmp_path, ",".join([*names, "sum", "x", "y"]), row)
    text = study_file(survey(path, "y"), tmp_path)
    for line in text.splitlines():
        assert line.count('["') == line.count('"]')
    assert '#null.x = ["?"]' in text.splitlines()


def test_no_more_columns_are_told_of_a_sum_than_it_takes(tmp_path: Path) -> None:
    def row(n: int) -> Sequence[object]:
        fare, tip = RANDOM.randint(3, 90), RANDOM.randint(0, 60)
        return (fare + RANDOM.randint(0, 60), tip, fare + tip, RANDOM.random(), fare)

    found = survey(csv(tmp_path, "distance,tip,total,noise,fare", row, 400), "fare")
    (remark,) = [each for each in found.remarks if "weighted sum" in each]
    assert "of 'total', 'tip' explains 100.0%" in remark
    assert remark.endswith('drop = ["total"]')


def test_small_files_made_of_trouble_end_in_a_table_or_in_one_message(tmp_path: Path) -> None:
    """Ten thousand of them: python -m tests.bench.fuzz_csv."""
    ends = set()
    for seed in range(20_000, 20_250):
        path = tmp_path / "fuzz.csv"
        path.write_bytes(made(seed))
        ends.add(ending(path))
    assert {"refused", "answered"} <= ends
