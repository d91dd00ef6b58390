"""The typing ladder: what each column is, and what is asked where there is a doubt."""

import random
import tomllib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data.columns import Column, Declared, Doubt, columns_of, look
from capsearch.data.columns.values import named_id
from capsearch.data.options import check
from capsearch.data.preparation import Preparation, Settings
from capsearch.data.table_options import TableOptions
from capsearch.errors import BadRequest


def texts(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def seen(values: Sequence[Any], name: str = "x", **data: Any) -> Column | Doubt:
    """What the ladder says of a column, with keys of [data] declared."""
    options = check(TableOptions, {"path": "t.csv", "target": "none", **data})
    return look({name: texts(values)}, options.declared())[0]


def kind(values: Sequence[Any], name: str = "x", **data: Any) -> str:
    found = seen(values, name, **data)
    assert isinstance(found, Column), found
    return found.kind


def doubt(values: Sequence[Any], name: str = "x", **data: Any) -> Doubt:
    found = seen(values, name, **data)
    assert isinstance(found, Doubt), found
    return found


def settled(values: Sequence[Any], choice: int = 0, name: str = "x") -> Column:
    """The column when one of the lines of its doubt is taken, as TOML reads it."""
    said = doubt(values, name).lines[choice]
    data = tomllib.loads(said)
    found = seen(values, name, **data)
    if isinstance(found, Doubt):  # commas first, then what is no number
        found = seen(values, name, **data, **tomllib.loads(found.lines[0]))
    assert isinstance(found, Column), found
    return found


NUMBERS = [str(7 * n) for n in range(3, 103)]
MIXED = random.Random(0).sample([f"{n * 37 % 1009}" for n in range(1, 300)], 200)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.5", "2", "-3e2", "+4", ".5", "6.", ""], "number"),
        (["yes", "No", " YES ", ""], "boolean"),
        (["true", "False"], "boolean"),
        (["0", "1", "1"], "boolean"),
        (["t", "f"], "boolean"),
        (["2020-01-31", "2019-12-01", ""], "date"),
        (["2020-01-31 10:00:00", "2019-12-01T11:00"], "date"),
        (["31.12.2020", "01.02.2019"], "date"),
        (["Jan 5, 2020", "Dec 31, 2019"], "date"),
        (["a good film", "a bad film"], "text"),
        (["red", "green", "red"], "category"),
        (["M", "F", "I"], "category"),
        (["S", "", "S", ""], "category"),  # one value or none: what is missing may tell
        (["same"] * 3, "constant"),
        (["", ""], "constant"),
        (["02100", "10115", "80331"], "category"),
        (["1234567890123456789", "1234567890123456789", "1"], "category"),
        (["male", "female"], "category"),
        (["Yes", "No", "No internet service"], "category"),
        (["1.000", "2.500"], "number"),
    ],
)
def test_a_column_is_what_all_of_its_values_are(values: list[str], expected: str) -> None:
    assert kind(values) == expected


def test_only_the_empty_text_is_missing() -> None:
    found = seen(["NA", "", " ", "None", "US", "US"])
    assert isinstance(found, Column)
    assert (found.kind, found.missing) == ("category", 2)
    assert "'NA' (once)" in found.note
    assert 'null.x = ["NA", "None"]' in found.note
    declared = seen(["NA", "", " ", "None", "US", "US"], null={"x": ["NA", "None"]})
    assert isinstance(declared, Column)
    assert declared.missing == 4


def test_categories_that_differ_by_case_are_told() -> None:
    found = seen(["usa", "USA", "japan"])
    assert isinstance(found, Column)
    assert "'usa' and 'USA'" in found.note


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ([*NUMBERS, "unknown"], ['null.x = ["unknown"]', 'kinds.x = "category"']),
        ([*NUMBERS, "?", "?"], ['null.x = ["?"]', 'kinds.x = "category"']),
        ([*NUMBERS, "nan", "inf"], ['null.x = ["inf", "nan"]', 'kinds.x = "category"']),
        ([*NUMBERS, "1e300"], ['null.x = ["1e300"]', 'kinds.x = "category"']),
        (NUMBERS[:30] + ["unknown"] * 40, ['null.x = ["unknown"]', 'kinds.x = "category"']),
        (["1,5", "2,25"], ['decimal.x = ","', 'kinds.x = "category"']),
        (["1,234,567", "1,234"], ['thousands.x = ","', 'kinds.x = "category"']),
        (["1,234", "5,678"], ['decimal.x = ","', 'thousands.x = ","', 'kinds.x = "category"']),
        (["1.234,5", "2"], ['decimal.x = ","\nthousands.x = "."', 'kinds.x = "category"']),
        (["1 234", "5 678 901"], ['thousands.x = " "', 'kinds.x = "category"']),
        (
            [f"{n}.{n * 37 % 1000:03}" for n in range(1, 60)] + ["900"],
            ['thousands.x = "."\ndecimal.x = ","', 'kinds.x = "number"'],
        ),
        ([f"{n},5" for n in range(20)] + ["n/a"] * 9, ['decimal.x = ","', 'kinds.x = "category"']),
        (["5%", "10%"], ['units.x = "%"', 'kinds.x = "category"']),
        (["$5", "-$1,200.50"], ['units.x = "$"\nthousands.x = ","', 'kinds.x = "category"']),
        (["3 kg", "4 kg"], ['units.x = "kg"', 'kinds.x = "category"']),
        (["01/02/2020", "03/04/2021"], ['formats.x = "%d/%m/%Y"', 'formats.x = "%m/%d/%Y"']),
        (["20240101", "20231231"] * 10, ['formats.x = "%Y%m%d"', 'kinds.x = "number"']),
        (["yes", "no", "1"], ['kinds.x = "boolean"', 'kinds.x = "category"']),
        (["on", "y"], ['kinds.x = "boolean"', 'kinds.x = "category"']),
        (["34", "56", "12", "-999", "-999"], ['null.x = ["-999"]', 'kinds.x = "number"']),
        (["0.1", "0.2", "9999"], ['null.x = ["9999"]', 'kinds.x = "number"']),
        (["2020-01-01"] * 40 + ["soon"], ['null.x = ["soon"]', 'kinds.x = "category"']),
        ([*MIXED, "a and b"], ['null.x = ["a and b"]', 'kinds.x = "category"']),
        ([*MIXED, "007"], ['kinds.x = "category"', 'kinds.x = "number"']),
    ],
)
def test_a_doubt_names_the_lines_that_settle_it_and_they_do(
    values: list[str], lines: list[str]
) -> None:
    found = doubt(values)
    assert [each for each in found.lines if not each.startswith("drop")] == lines
    for choice, line in enumerate(found.lines):
        if not line.startswith("drop"):
            assert settled(values, choice).used


def test_what_is_dropped_is_not_looked_at() -> None:
    assert look({"x": texts([*NUMBERS, "?"])}, Declared(drop=frozenset({"x"}))) == ()


def test_the_five_commonest_values_that_do_not_fit_are_named_with_their_counts() -> None:
    odd = [word for n, word in enumerate("abcdefg", 1) for _ in range(n)]
    said = doubt(NUMBERS * 10 + odd).said
    assert '"g" (7 times), "f" (6 times), "e" (5 times), "d" (4 times), "c" (3 times)' in said
    assert "2 others" in said
    assert "1,000 of 1,028" in said


def test_what_was_said_to_be_missing_stays_so_in_the_next_answer() -> None:
    values = [*MIXED, "?", "-9999"]
    assert 'null.x = ["?"]' in doubt(values).lines
    assert 'null.x = ["?", "-9999"]' in doubt(values, null={"x": ["?"]}).lines


def test_a_percentage_beside_a_share_is_never_one_scale() -> None:
    assert "no '%'" in doubt(["5%", "0.05"], units={"x": "%"}).said


def test_decimal_commas_are_read_where_declared_for_all_columns() -> None:
    table = {"a": texts(["1,5", "2,5"]), "b": texts(["1", "2", "3"][:2])}
    columns = columns_of(table, Declared(decimal={"*": ","}))
    assert [column.kind for column in columns] == ["number", "number"]
    assert Preparation.fit(table, columns).description["columns"][0]["centre"] == 2.0


def test_a_point_is_no_number_where_the_comma_is_declared() -> None:
    assert 'decimal.x = "."' in doubt(["1.5", "2.5"], decimal=",").lines


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("id", True), ("customerID", True), ("user_id", True), ("Unnamed: 0", True), ("ID2", True),
        ("row_index", True), ("grid", False), ("idea", False), ("width", False),
    ],
)  # fmt: skip
def test_names_of_identifiers_are_known(name: str, yes: bool) -> None:
    assert named_id(name) == yes


def test_ids_are_left_out_with_a_sentence_unless_they_are_kept() -> None:
    ids = [str(1000 + 7 * n) for n in range(60)]
    found = seen(ids, "user_id")
    assert isinstance(found, Column)
    assert (found.kind, found.used) == ("id", False)
    assert found.why
    assert kind(ids, "user_id", keep=["user_id"]) == "number"
    assert kind(ids, "amount") == "number"
    assert kind([str(n) for n in range(60)], "c1") == "id"  # counts the rows
    assert kind([f"a{n}-x" for n in range(60)], "ticket") == "id"
    assert kind([f"a{n}-x" for n in range(60)], "ticket", keep=["ticket"]) == "category"
    assert kind([str(n) for n in range(5)], "c1") == "number"


def test_a_repeated_id_is_asked_for() -> None:
    lines = doubt(["7", "8", "9", "7"], "store_id").lines
    assert lines[:2] == ('kinds.store_id = "category"', 'kinds.store_id = "number"')


def test_rows_kept_for_a_test_do_not_hide_a_row_number() -> None:
    kept = [str(n) for n in range(200) if n % 5]
    assert kind(random.Random(1).sample(kept, len(kept)), "c1") == "id"


def test_every_doubt_and_every_unknown_name_is_one_error() -> None:
    table = {
        "a": texts([*NUMBERS, "?"]),
        "b c": texts(["1,5", *["2,5"] * 100]),
        "d": texts(["1"] * 101),
    }
    with pytest.raises(BadRequest) as error:
        columns_of(table, Declared(kinds={"aa": "number"}, keep=frozenset({"e"})))
    assert len(error.value.mistakes) == 4
    assert 'decimal."b c" = ","' in str(error.value)
    assert "no column 'aa'. Did you mean 'a'" in str(error.value)


@pytest.mark.parametrize(
    ("values", "declared", "bad"),
    [
        (["1", "x"], "number", '"x"'),
        (["yes", "maybe"], "boolean", '"maybe"'),
        (["2020-01-01", "x"], "date", '"x"'),
    ],
)
def test_a_declared_kind_must_fit_every_value(values: list[str], declared: str, bad: str) -> None:
    assert bad in doubt(values, kinds={"x": declared}).said


@pytest.mark.parametrize("form", ["{:.4f}", "0.{:.0f}12", "{:.2f}", "{:g}"])
def test_decimals_of_another_length_are_decimals(form: str) -> None:
    assert kind([form.format(n * 1.371) for n in range(1, 60)]) == "number"


def test_declared_kinds_end_every_question() -> None:
    assert kind(["1", "2"], kinds={"x": "category"}) == "category"
    assert kind(["a", "b"], kinds={"x": "text"}) == "text"
    assert kind(["yes", "y", "no"], kinds={"x": "boolean"}) == "boolean"
    assert kind(["007", "1"], kinds={"x": "number"}) == "number"
    assert kind(["01/02/2020"] * 2 + ["02/02/2020"], formats={"x": "%d/%m/%Y"}) == "date"


def test_a_format_that_is_none_is_told() -> None:
    assert "%Q" in doubt(["1", "2"], formats={"x": "%Q"}).said


def test_types_of_a_file_are_believed_and_values_looked_at() -> None:
    rng = np.random.default_rng(0)
    table = {
        "number": rng.normal(size=90),
        "whole": rng.integers(0, 1_000, 90),
        "flag": rng.random(90) < 0.5,
        "zero_one": rng.integers(0, 2, 90),
        "maybe": texts([True, None, False] * 30),
        "when": np.datetime64("2020-01-01", "us") + np.arange(90),
        "row": np.arange(90),
        "key": rng.integers(10**16, 10**18, 90),
        "same": np.full(90, 3.0),
        "none": np.full(90, np.nan),
    }
    found = {column.name: column for column in columns_of(table)}
    assert {name: column.kind for name, column in found.items()} == {
        "number": "number", "whole": "number", "flag": "boolean", "zero_one": "boolean",
        "maybe": "boolean", "when": "date", "row": "id", "key": "id", "same": "constant",
        "none": "constant",
    }  # fmt: skip
    assert found["maybe"].missing == 30


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_numbers_that_float32_cannot_hold_are_asked_for(value: float) -> None:
    table = {"x": np.array([1.0, 2.0, value])}
    assert isinstance(look(table)[0], Doubt)
    if np.isinf(value):
        found = look(table, Declared(null={"x": ("inf", "-inf")}))[0]
        assert isinstance(found, Column)
        assert (found.kind, found.missing) == ("number", 1)


def test_a_typed_sentinel_is_asked_for() -> None:
    found = look({"x": np.array([1.5, 2.5, 3.5, -999.0])})[0]
    assert isinstance(found, Doubt)
    assert 'null.x = ["-999"]' in found.lines
    settled = look({"x": np.array([1.5, 2.5, 3.5, -999.0])}, Declared(null={"x": ("-999",)}))[0]
    assert isinstance(settled, Column)
    assert settled.missing == 1


def test_a_column_is_stored_and_read_back() -> None:
    found = seen(["1,5", "?", ""], decimal=",", null=["?"])
    assert isinstance(found, Column)
    assert Column.from_dict(found.as_dict()) == found


NAMES = st.sampled_from(["x", "id", 'na"me', "a b", "é", "[b]"])
WORDS = "1 -2.5 007 1e300 inf NA ? 1,5 1.234,5 5% $5 yes no y 0 2020-01-31 31/01/2020 01/02/2020"
MORE = ["", "20200131", "9" * 19, "a b c d", "\x07", "'", "\n", "-999", "12:30", "Köln"]
VALUES = st.sampled_from([*WORDS.split(), *MORE])


@given(NAMES, st.lists(VALUES, min_size=1, max_size=60))
def test_any_column_ends_in_a_kind_that_can_be_prepared_or_in_a_doubt_that_a_line_settles(
    name: str, values: list[str]
) -> None:
    table = {name: texts(values)}
    found = look(table)[0]
    for _ in range(3):  # one answer may lead to another question: commas first, then -999
        if isinstance(found, Column):
            break
        assert found.column == name
        line = next(each for each in found.lines if not each.startswith("drop"))
        data = tomllib.loads(line)
        found = seen(values, name, **data)
    if isinstance(found, Column) and found.used:
        try:
            prepared = Preparation.fit(table, [found], settings=Settings(rare=1))
        except ValueError:
            assert found.kind == "text"  # of words with one letter only
            return
        x = prepared.transform(table)["x"]
        dense = x if isinstance(x, np.ndarray) else x.toarray()
        assert np.isfinite(dense).all()


def test_columns_that_no_network_sees_may_be_spoken_of() -> None:
    """The target's word for a missing label is said in the same place."""
    said = {"null": {"y": ["?"], "w": ["-"]}, "formats": {"day": "%d/%m/%Y"}}
    options = check(
        TableOptions, {"path": "t.csv", "target": "y", "weight": "w", "time": "day", **said}
    )
    assert columns_of({"x": texts(["1", "2"])}, options.declared())
