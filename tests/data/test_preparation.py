"""From raw rows to numbers: worked by hand, the same bits everywhere, clear about bad values."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from math import cos, log, pi, sin, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capsearch.data.columns import Column, Kind, columns_of
from capsearch.data.preparation import Preparation, Settings
from capsearch.data.preparation import transform as file
from capsearch.data.preparation.learn import robust_scale
from tests.counted import multi_hot, vocabulary_of

EACH = Settings(rare=1)


def texts(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def column(kind: Kind, name: str = "x", **more: Any) -> Column:
    return Column(name, kind, "", 0, **more)


def fitted(
    kind: Kind, values: Sequence[Any], settings: Settings = EACH, **more: Any
) -> Preparation:
    return Preparation.fit({"x": texts(values)}, [column(kind, **more)], settings=settings)


def rows_of(prepared: Preparation, table: Any) -> Any:
    return file.transform(prepared.description, prepared.arrays, table)["x"]


def dense(prepared: Preparation, values: Sequence[Any]) -> list[list[float]]:
    x = rows_of(prepared, {"x": texts(values)})
    assert x.dtype == np.float32
    whole = x.toarray() if prepared.sparse else x
    return [[float(v) for v in row] for row in whole]


def squashed(z: float) -> float:
    return float(np.float32(z / sqrt(1 + (z / 5) ** 2)))


def test_numbers_are_centred_on_the_median_scaled_by_the_quartiles_and_squashed() -> None:
    """1, 2, 3, 4, 100: median 3, quartiles 2 and 4, so 100 is 48.5 scales away and becomes 4.97."""
    prepared = fitted("number", ["1", "2", "3", "4", "100"])
    assert prepared.names == ("x",)
    rows = dense(prepared, ["1", "3", "4.0", "100", "1e30", "-1e38"])
    assert rows == [[squashed(-1)], [0.0], [squashed(0.5)], [squashed(48.5)], [5.0], [-5.0]]


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        ([1, 2, 3, 4, 100], (3.0, 2.0)),
        ([0, 0, 0, 0, 8], (0.0, 4.0)),  # quartiles are equal: half the range
        ([7, 7, 7], (7.0, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_the_scale_is_never_zero(x: list[float], scale: tuple[float, float]) -> None:
    assert robust_scale(np.array(x, float)) == scale


def test_a_missing_number_is_the_median_and_says_so_where_training_rows_had_such() -> None:
    prepared = fitted("number", ["1", "", "3", "2"])
    assert prepared.names == ("x", "x missing")
    assert dense(prepared, ["", "2"]) == [[0.0, 1.0], [0.0, 0.0]]


def test_a_number_that_is_missing_for_the_first_time_is_the_median() -> None:
    prepared = fitted("number", ["1", "2", "3"])
    assert dense(prepared, ["", "2"]) == [[0.0], [0.0]]


def test_numbers_are_read_as_they_are_written() -> None:
    prepared = fitted(
        "number", ["1.000,5 €", "2,5 €", "?"], decimal=",", thousands=".", unit="€", null=("?",)
    )
    assert dense(prepared, ["1.000,5 €"])[0] == dense(prepared, ["1000,5€"])[0]
    assert dense(prepared, ["?"])[0][1] == 1.0
    with pytest.raises(ValueError, match=r"row 2, column 'x': '2\.5' is no number"):
        prepared.transform({"x": texts(["2,5", "2.5"])})


def test_yes_and_no_are_centred_on_their_share() -> None:
    prepared = fitted("boolean", ["yes", "no", "Yes", "YES"])
    assert dense(prepared, ["yes", "NO", "", "what"]) == [[0.25], [-0.75], [0.0], [0.0]]
    assert dense(fitted("boolean", ["yes", "", "no"]), [""]) == [[0.0, 1.0]]


def test_a_word_among_zeros_and_ones_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1, column 'x': 'abc' is no boolean"):
        fitted("boolean", ["0", "1"]).transform({"x": texts(["abc"])})


def test_categories_have_a_column_each_rare_ones_one_together_and_unseen_ones_are_rare() -> None:
    prepared = fitted("category", ["a"] * 3 + ["b"] * 2 + ["c", ""], Settings(rare=2))
    assert prepared.names == ("x=a", "x=b", "x rare", "x missing")
    rows = dense(prepared, ["a", "b", "c", "new", ""])
    assert rows == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_an_unseen_category_is_none_of_the_known_where_none_was_rare() -> None:
    assert dense(fitted("category", ["a", "b"]), ["c", "", "a"]) == [[0, 0], [0, 0], [1, 0]]


def test_a_column_of_rare_values_only_keeps_the_commonest() -> None:
    assert fitted("category", ["a", "b", "b"], Settings(rare=10)).names == ("x=b", "x rare")


def test_the_commonest_categories_have_a_column_where_there_are_too_many() -> None:
    settings = Settings(rare=1, categories=2)
    assert fitted("category", list("aaabbc"), settings).names == ("x=a", "x=b", "x rare")


def test_dates_are_days_since_the_first_training_row_and_places_in_cycles() -> None:
    """Of 2020-01-01 (a Wednesday) to 2021-12-31: 730 days."""
    days = np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]").astype(str).tolist()
    prepared = fitted("date", days, format="ISO 8601")
    names = ["days", "year sin", "year cos", "month sin", "month cos", "week sin", "week cos"]
    assert prepared.names == tuple(f"x {name}" for name in names)
    row = dense(prepared, ["2021-02-03"])[0]
    assert row[0] == pytest.approx(squashed((399 - 365) / 365), abs=1e-3)
    year, month, week = 2 * pi * 33 / 366, 2 * pi * 2 / 31, 2 * pi * 2 / 7
    expected = [sin(year), cos(year), sin(month), cos(month), sin(week), cos(week)]
    assert row[1:] == pytest.approx(expected, abs=1e-6)


def test_cycles_that_training_rows_do_not_go_through_are_left_out() -> None:
    hours = [f"2019-03-{day:02} {hour:02}:30:00" for day in range(1, 31) for hour in (1, 9, 20)]
    names = fitted("date", hours, format="ISO 8601").names
    assert [n.split()[1] for n in names[::2]] == ["days", "month", "week", "day"]
    assert [n.split()[1] for n in names[1::2]] == ["month", "week", "day"]


def test_a_date_in_another_format_is_refused_and_never_missing() -> None:
    prepared = fitted("date", ["31/01/2020", "01/02/2020"], format="%d/%m/%Y")
    for bad in ("2020/01/31", "31.01.2020", "01/31/2020", "soon"):
        with pytest.raises(ValueError, match="row 1, column 'x'"):
            prepared.transform({"x": texts([bad])})
    assert dense(prepared, ["31/01/2020"]) == dense(prepared, ["2020-01-31"])  # ISO is no guess
    assert dense(prepared, ["31/01/2020"]) == dense(prepared, [pd.Timestamp("2020-01-31")])


@pytest.mark.parametrize(
    ("text", "form", "moment"),
    [
        ("2020-02-29", "ISO 8601", "2020-02-29"),
        ("2020-02-29T23:59:59.25", "ISO 8601", "2020-02-29T23:59:59.250"),
        ("2020-01-01T00:30+02:00", "ISO 8601 with zone", "2019-12-31T22:30"),
        ("2020-01-01 00:30:00Z", "ISO 8601 with zone", "2020-01-01T00:30"),
        ("1/2/99", "%d/%m/%y", "1999-02-01"),
        ("1/2/68", "%d/%m/%y", "2068-02-01"),
        ("Feb 3, 2020 12:05 AM", "%b %d, %Y %I:%M %p", "2020-02-03T00:05"),
        ("3 FEBRUARY 2020", "%d %B %Y", "2020-02-03"),
        ("Mon, 03 Feb 2020 10:00:00 +0100", "%a, %d %b %Y %H:%M:%S %z", "2020-02-03T09:00"),
        ("20200203", "%Y%m%d", "2020-02-03"),
        ("2021-02-29", "ISO 8601", None),
        ("31/02/2020", "%d/%m/%Y", None),
        ("2020-01-01 24:00", "ISO 8601", None),
        ("13:00 PM", "%I:%M %p", None),
    ],
)
def test_dates_are_read_exactly(text: str, form: str, moment: str | None) -> None:
    found = file.parse_date(text, file.date_pattern(form))
    expected = None if moment is None else np.datetime64(moment, "us").astype(int)
    assert found == expected


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))  # noqa: DTZ001 - UTC
def test_any_moment_in_iso_is_read_as_numpy_reads_it(moment: datetime) -> None:
    pattern = file.date_pattern(file.ISO)
    assert file.parse_date(moment.isoformat(), pattern) == np.datetime64(moment, "us").astype(int)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_any_number_is_read_as_python_reads_it(number: float) -> None:
    assert file.parse_number(str(number), {}) == float(str(number))


@given(st.integers(-(10**12), 10**12))
def test_thousands_are_groups_of_three(number: int) -> None:
    assert file.parse_number(f"{number:,}", {"thousands": ","}) == number


@pytest.mark.parametrize("text", ["1,23", "1234,567", ",123", "1,,234", "12,34,567"])
def test_other_groups_are_no_thousands(text: str) -> None:
    assert file.parse_number(text, {"thousands": ","}) is None


@pytest.mark.parametrize(
    "text", ["", "1_000", "١", "0x10", "nan", "inf", "1e", "--1", "1 2", "1e39"]
)
def test_what_only_python_takes_for_a_number_is_none(text: str) -> None:
    assert file.parse_number(text, {}) is None


REVIEWS = [
    "A good film<br />a GOOD one",
    "bad, bad film",
    "it's the end",
    "Größe é 10 x yz_1",
    "good end one",
    "",
]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_multi_hot_texts_have_the_columns_that_text_sources_have(size: int) -> None:
    train, others = REVIEWS[:4], [*REVIEWS, "film film one unknown"]
    words = vocabulary_of(train, size)
    expected = multi_hot(others, words)
    prepared = fitted("text", train, Settings(rare=1, vocabulary=size))
    assert prepared.sparse
    assert prepared.names == tuple(f"x: {word}" for word in words)
    x = rows_of(prepared, {"x": texts(others)})
    assert isinstance(x, sparse.csr_matrix)
    expected.sort_indices()
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(x, part), getattr(expected, part))
        assert getattr(x, part).dtype == getattr(expected, part).dtype


def test_tf_idf_is_worked_by_hand() -> None:
    """Of two texts 'good' is in both (idf 1) and 'film' in one (ln(3/2) + 1)."""
    prepared = fitted("text", ["good good film", "good"], Settings(rare=1, texts="tf-idf"))
    film = log(3 / 2) + 1
    length = sqrt(4 + film**2)
    assert prepared.names == ("x: good", "x: film")
    assert dense(prepared, ["good film good"])[0] == pytest.approx([2 / length, film / length])
    assert dense(prepared, ["unknown words"]) == [[0.0, 0.0]]


def test_words_of_few_rows_are_left_out() -> None:
    assert fitted("text", ["aa aa bb", "bb cc"], Settings(rare=2)).names == ("x: bb",)


WORDS = ["good", "bad", "film", "end"]


def mixed(rows: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    days = (np.datetime64("2020-01-01") + rng.integers(0, 700, rows)).astype(str)
    return {
        "n": texts([f"{v:.3f}" if v < 1.5 else "" for v in rng.normal(size=rows)]),
        "flag": texts(rng.choice(["yes", "no", ""], rows).tolist()),
        "kind": texts(rng.choice(["a", "b", "c", ""], rows).tolist()),
        "when": texts(days.tolist()),
        "said": texts([" ".join(said) for said in rng.choice(WORDS, (rows, 4))]),
        "typed": rng.integers(0, 500, rows),
    }


@pytest.mark.parametrize("as_csr", [False, True])
def test_several_kinds_make_one_table_dense_or_csr_with_equal_numbers(as_csr: bool) -> None:
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table), settings=Settings(sparse=as_csr))
    x = rows_of(prepared, table)
    assert sparse.issparse(x) == as_csr == prepared.sparse
    assert x.shape == (60, prepared.features) == (60, len(prepared.names))
    whole = x.toarray() if as_csr else x
    other = Preparation.fit(table, columns_of(table), settings=Settings(sparse=not as_csr))
    y = rows_of(other, table)
    assert np.array_equal(whole, y if as_csr else y.toarray())


def test_many_thin_columns_are_csr_and_few_are_dense() -> None:
    values = [f"v{n % 600}" for n in range(1_800)]
    assert fitted("category", values).sparse
    assert not fitted("category", values[:100]).sparse


def test_columns_come_in_any_order_and_others_are_ignored() -> None:
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table))
    turned = {name: table[name] for name in reversed(table)} | {"more": texts(["?"] * 60)}
    expected = rows_of(prepared, table)
    assert np.array_equal(rows_of(prepared, turned), expected)
    frame = pd.DataFrame(turned)
    assert np.array_equal(rows_of(prepared, frame), expected)


def test_a_missing_column_is_named_with_all_others() -> None:
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table))
    with pytest.raises(ValueError, match="missing columns: 'flag', 'said'"):
        prepared.transform({n: x for n, x in table.items() if n not in ("flag", "said")})
    with pytest.raises(ValueError, match="rows"):
        prepared.transform(table | {"n": table["n"][:3]})


def test_one_row_alone_gives_the_bits_that_it_has_among_others() -> None:
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table))
    together = rows_of(prepared, table)
    for row in range(0, 60, 7):
        alone = rows_of(prepared, {name: x[row : row + 1] for name, x in table.items()})
        assert np.array_equal(alone[0], together[row])


def test_values_may_come_typed_as_json_and_frames_have_them() -> None:
    table = {"n": texts(["1", "2", "3", ""]), "c": texts(["1", "2", "1", ""])}
    columns = [column("number", "n"), column("category", "c")]
    prepared = Preparation.fit(table, columns, settings=EACH)
    expected = rows_of(prepared, table)
    typed = [
        {"n": texts([1, 2.0, 3, None]), "c": texts([1, 2, 1, None])},
        {"n": np.array([1, 2, 3, np.nan]), "c": np.array([1.0, 2, 1, np.nan])},
        {"n": texts([np.int64(1), np.float32(2), "3", pd.NA]), "c": texts(["1", 2, 1.0, np.nan])},
    ]
    for each in typed:
        assert np.array_equal(rows_of(prepared, each), expected)


def test_a_category_that_looks_like_a_number_is_known_when_it_comes_as_one() -> None:
    """pandas makes 2100 of '02100' and 1.0 of '1'."""
    prepared = fitted("category", ["02100", "10115", "1.0"])
    rows = dense(prepared, ["02100", 2100, 2100.0, "2100", 1, "1", 99])
    assert rows[0] == rows[1] == rows[2] == [1, 0, 0]
    assert rows[4] == [0, 1, 0]
    assert rows[3] == rows[5] == rows[6] == [0, 0, 0]


def test_lists_come_from_all_rows_named_and_statistics_from_training_rows() -> None:
    table = {"n": texts(["1", "2", "3"]), "c": texts(["a", "a", "b"])}
    listed = {"n": texts(["1", "", "1000"]), "c": texts(["a", "z", ""])}
    columns = [column("number", "n"), column("category", "c")]
    prepared = Preparation.fit(table, columns, listed, EACH)
    assert prepared.names == ("n", "n missing", "c=a", "c=z", "c missing")
    assert prepared.description["columns"][0]["centre"] == 2.0


def test_columns_that_are_left_out_are_not_asked_for() -> None:
    table = {"n": texts(["1", "2"]), "id": texts(["a", "b"])}
    prepared = Preparation.fit(table, [column("number", "n"), column("id", "id", used=False)])
    assert prepared.transform({"n": texts(["1"])})["x"].shape == (1, 1)


def test_nothing_to_learn_from_is_an_error() -> None:
    for columns, rows in (([], ["1"]), ([column("number")], []), ([column("text")], ["a b", ""])):
        with pytest.raises(ValueError, match=r"no columns|no column"):
            Preparation.fit({"x": texts(rows)}, columns)


def test_no_rows_are_served_as_no_rows() -> None:
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table))
    none = {name: x[:0] for name, x in table.items()}
    assert rows_of(prepared, none).shape == (0, prepared.features)


def test_it_is_stored_as_json_and_npz_and_works_alone_bit_for_bit(tmp_path: Path) -> None:
    """In another process, without capsearch, from a copy of the one file."""
    table = mixed()
    prepared = Preparation.fit(table, columns_of(table), settings=Settings(texts="tf-idf", rare=1))
    files = prepared.as_files()
    description = json.dumps(files.pop("preparation.json"), allow_nan=False)
    (tmp_path / "preparation.json").write_text(description)
    np.savez(tmp_path / "preparation.npz", **files)
    with np.load(tmp_path / "preparation.npz", allow_pickle=False) as arrays:
        stored = {"preparation.json": json.loads(description), **arrays}
    expected = rows_of(prepared, table)
    assert np.array_equal(rows_of(Preparation.from_files(stored), table), expected)
    shutil.copy(str(file.__file__), tmp_path / "reader.py")
    texts_only = {name: [str(value) for value in x] for name, x in table.items()}
    (tmp_path / "rows.json").write_text(json.dumps(texts_only))
    code = (
        "import json, sys, numpy as np\n"
        f"sys.path[:] = [p for p in sys.path if p != {str(Path.cwd())!r}]\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import reader, pathlib\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "description = json.loads((folder / 'preparation.json').read_text())\n"
        "arrays = np.load(folder / 'preparation.npz', allow_pickle=False)\n"
        "rows = json.loads((folder / 'rows.json').read_text())\n"
        "np.save(folder / 'x.npy', reader.transform(description, arrays, rows)['x'])\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('capsearch', 'pandas', 'sklearn')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "x.npy"), expected)


def test_what_another_version_stored_is_refused() -> None:
    files = fitted("number", ["1", "2"]).as_files()
    files["preparation.json"] = files["preparation.json"] | {"format": 99}
    with pytest.raises(ValueError, match="99"):
        Preparation.from_files(files)


def test_moments_with_a_zone_are_utc() -> None:
    """Whatever the zone, and typed or as text."""
    rows = ["2020-01-01T00:30:00+02:00", "2020-06-01T00:30:00Z"]
    (found,) = columns_of({"x": texts(rows)})
    assert (found.kind, found.format) == ("date", "ISO 8601 with zone")
    prepared = Preparation.fit({"x": texts(rows)}, [found])
    aware = datetime(2019, 12, 31, 22, 30, tzinfo=UTC)
    assert dense(prepared, [rows[0]]) == dense(prepared, [pd.Timestamp(aware)])
    with pytest.raises(ValueError, match="row 1"):
        prepared.transform({"x": texts(["2020-01-01T00:30:00"])})  # in which zone?
