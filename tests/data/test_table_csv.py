"""CSV files as they come: what is read, and what each malformed one is told."""

import codecs
import csv
import gzip
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.data.tables import DELIMITERS, Reading, read_table
from capsearch.errors import BadRequest


def written(folder: Path, text: str | bytes, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def rows(folder: Path, text: str | bytes, **reading: object) -> dict[str, list[str]]:
    table = read_table(written(folder, text), reading=Reading(**reading))  # type: ignore[arg-type]
    assert all(column.dtype == object for column in table.values())
    return {name: column.tolist() for name, column in table.items()}


def refused(folder: Path, text: str | bytes, name: str = "t.csv", **reading: object) -> str:
    path = written(folder, text, name)
    with pytest.raises(BadRequest) as error:
        read_table(path, reading=Reading(**reading))  # type: ignore[arg-type]
    assert all(mistake.startswith(str(path)) for mistake in error.value.mistakes)
    return str(error.value).replace(str(path), "FILE")


def test_every_value_stays_the_text_that_it_is(tmp_path: Path) -> None:
    text = "zip,n,country,x\n02100,1,NA,1.10\n  00501 ,,None, 1e5\n"
    assert rows(tmp_path, text) == {
        "zip": ["02100", "00501"],
        "n": ["1", ""],
        "country": ["NA", "None"],
        "x": ["1.10", "1e5"],
    }


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_sign_that_divides_every_line_alike_is_found(sign: str, tmp_path: Path) -> None:
    text = "a,b\n1,2\n3,4\n".replace(",", sign)
    assert rows(tmp_path, text) == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_decimal_comma_does_not_divide_where_a_semicolon_does(tmp_path: Path) -> None:
    assert rows(tmp_path, "a;b\n1,5;2\n2,5;3\n") == {"a": ["1,5", "2,5"], "b": ["2", "3"]}


def test_two_signs_that_divide_alike_are_asked_for(tmp_path: Path) -> None:
    text = refused(tmp_path, "1,5;2,5\n3,5;4,5\n", header=False)
    assert 'delimiter = ","' in text
    assert 'delimiter = ";"' in text
    table = rows(tmp_path, "1,5;2,5\n3,5;4,5\n", header=False, delimiter=";")
    assert table == {"c1": ["1,5", "3,5"], "c2": ["2,5", "4,5"]}


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"\r'])
def test_a_line_for_excel_above_the_names_says_the_sign(first: str, tmp_path: Path) -> None:
    assert rows(tmp_path, f"{first}\na;b\n1,5;2,5\n") == {"a": ["1,5"], "b": ["2,5"]}
    assert "line 4 has 3" in refused(tmp_path, f"{first}\na;b\n1;2\n1;2;3\n")


def test_space_after_a_comma_belongs_to_no_value(tmp_path: Path) -> None:
    assert rows(tmp_path, 'a, b\n1, "x, y"\n') == {"a": ["1"], "b": ["x, y"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_breaks_may_be_of_any_system_and_stand_in_quotes(end: str, tmp_path: Path) -> None:
    text = end.join(["a,b", '1,"two', 'lines"', "2,x"])
    assert rows(tmp_path, text) == {"a": ["1", "2"], "b": [f"two{end}lines", "x"]}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert list(rows(tmp_path, codecs.BOM_UTF8 + b"a,b\n1,2\n")) == ["a", "b"]


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    for name in ("t.csv.gz", "t.csv"):
        assert list(read_table(written(tmp_path, packed, name))) == ["a", "b"]


def test_blank_lines_are_values_of_a_single_column_and_nothing_elsewhere(tmp_path: Path) -> None:
    """pandas drops 40 of 60 rows here, and labels shift."""
    assert rows(tmp_path, "a\n1\n\n2\n") == {"a": ["1", "", "2"]}
    assert rows(tmp_path, "a,b\n\n1,2\n\n3,4\n\n") == {"a": ["1", "3"], "b": ["2", "4"]}


def test_an_empty_name_is_that_of_its_place(tmp_path: Path) -> None:
    assert list(rows(tmp_path, ",a\n0,x\n1,y\n")) == ["c1", "a"]


def test_a_file_without_a_header_has_numbered_columns_or_given_names(tmp_path: Path) -> None:
    text = "7.4,M\n7.8,F\n"
    assert "header = false" in refused(tmp_path, text)
    assert list(rows(tmp_path, text, header=False)) == ["c1", "c2"]
    assert rows(tmp_path, text, header=False, names=("x", "sex"))["sex"] == ["M", "F"]
    assert rows(tmp_path, text, header=True) == {"7.4": ["7.8"], "M": ["F"]}


def test_names_may_replace_a_header(tmp_path: Path) -> None:
    text = "a,a\n1,2\n"
    assert 'names = ["a", "a_2"]' in refused(tmp_path, text)
    assert rows(tmp_path, text, header=True, names=("a", "a_2")) == {"a": ["1"], "a_2": ["2"]}
    assert "header" in refused(tmp_path, text, names=("a", "b"))
    assert "3 names" in refused(tmp_path, text, header=True, names=("a", "b", "c"))


def test_names_that_differ_by_case_only_are_two_columns(tmp_path: Path) -> None:
    assert list(rows(tmp_path, "age,Age\n1,2\n")) == ["age", "Age"]


def test_other_encodings_are_read_when_named(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16", "utf-16-le"):
        path = written(tmp_path, "city,n\nKöln,1\n", encoding=encoding)
        table = read_table(path, reading=Reading(encoding=encoding))
        assert table["city"].tolist() == ["Köln"]


def test_ten_thousand_columns_and_a_field_of_ten_megabytes_are_read(tmp_path: Path) -> None:
    names = [f"x{i}" for i in range(10_000)]
    wide = rows(tmp_path, ",".join(names) + "\n" + ",".join("1" for _ in names))
    assert len(wide) == 10_000
    long = rows(tmp_path, 'a,b\n"' + "x" * 10_000_000 + '",1\n')
    assert len(long["a"][0]) == 10_000_000


MALFORMED = {
    "empty": (b"", "is empty"),
    "blank lines only": (b"\n\r\n\n", "blank lines only"),
    "header only": (b"a,b\n", "no rows"),
    "header only, no line break": (b"a,b", "no rows"),
    "one extra trailing field": (b"a,b\n1,2\n3,4,\n5,6\n", "line 3 has 3"),
    "too few fields": (b"a,b,c\n1,2,3\n4,5\n", "line 3 has 2"),
    "every row one field longer": (b"a,b\nx,1,2\ny,3,4\n", "line 2 has 3"),
    "ragged after a quoted line break": (b'a,b\n1,"x\ny"\n2\n', "line 4 has 1"),
    "unclosed quote": (b'a,b\n1,"x\n2,y\n', "line 2: a quote opens"),
    "text after a quote": (b'a,b\n1,"x"y\n', "line 2: quotes do not fit"),
    "duplicate header": (b"a,b,a\n1,2,3\n", "columns 1, 3"),
    "control character in a name": (b"a,b\x07\n1,2\n", "control characters"),
    "line break in a name": (b'a,"b\nc"\n1,2\n', "control characters"),
    "values in place of names": (b"1,2\n3,4\n", "header = false"),
    "wrong encoding": ("city,n\nKöln,1\n".encode("cp1252"), 'encoding = "cp1252"'),
    "wrong encoding in a late line": (b"a,b\n" + b"1,2\n" * 60_000 + b"\xff,1\n", "line 60002"),
    "UTF-16 with a mark": ("a,b\n1,2\n".encode("utf-16"), 'encoding = "utf-16"'),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), 'encoding = "utf-16-le"'),
    "binary": (bytes(range(256)) * 4, "NUL"),
    "NUL in a late line": (b"a,b\n" + b"1,2\n" * 40_000 + b"\0,1\n", "line 40002"),
    "zip or Excel": (b"PK\x03\x04" + b"0" * 50, "Excel"),
    "Parquet": (b"PAR1" + b"0" * 50, 'source = "parquet"'),
    "gzip that ends early": (gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-9], "ends early"),
    "damaged gzip": (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "damaged"),
    "JSON lines": (b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "is JSON"),
    "a web page": (b"<!DOCTYPE html>\n<table></table>\n", "web page"),
    "lines above the names": (b"A title\n\na,b\n1,2\n3,4\n", "stands above"),
    "blank lines before a header only": (b"\n\na,b\n", "no rows"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_ends_in_one_message_that_says_what_and_where(
    kind: str, tmp_path: Path
) -> None:
    data, said = MALFORMED[kind]
    path = written(tmp_path, data)
    with pytest.raises(BadRequest) as error:
        read_table(path, "csv")
    assert str(path) in str(error.value)
    assert said in str(error.value)


def test_what_is_no_readable_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "folder"),
        (tmp_path / "pipe", "pipe"),
        (Path("\0"), "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(BadRequest, match=said):
            read_table(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n")
    path.chmod(stat.S_IWUSR)
    with pytest.raises(BadRequest, match="cannot be read"):
        read_table(path)


def test_a_name_that_promises_gzip_is_held_to_it(tmp_path: Path) -> None:
    assert "gzip" in refused(tmp_path, "a,b\n1,2\n", name="t.csv.gz")


def test_every_ragged_line_counts_and_the_first_five_are_named(tmp_path: Path) -> None:
    text = refused(tmp_path, "a,b\n" + "1,2\n" * 3 + "1\n" * 8)
    assert "line 5 has 1" in text
    assert "line 9 has 1" in text
    assert "line 10" not in text
    assert "3 more" in text


def test_mistakes_in_names_and_rows_are_told_together(tmp_path: Path) -> None:
    text = refused(tmp_path, "a,a\n1,2\n3\n")
    assert "columns 1, 2" in text
    assert "line 3 has 1" in text


def test_several_files_are_one_table_whatever_the_order_of_their_columns(tmp_path: Path) -> None:
    first = written(tmp_path, "a,b\n1,2\n", "1.csv")
    second = written(tmp_path, "b;a\n4;3\n", "2.csv")
    table = read_table([first, second])
    assert table["a"].tolist() == ["1", "3"]
    assert table["b"].tolist() == ["2", "4"]


def test_several_files_with_other_columns_are_refused_together(tmp_path: Path) -> None:
    first = written(tmp_path, "a,b\n1,2\n", "1.csv")
    second = written(tmp_path, "a,c\n1,2\n", "2.csv")
    with pytest.raises(BadRequest) as error:
        read_table([first, second])
    assert any("'c'" in mistake for mistake in error.value.mistakes)
    assert any("'b'" in mistake for mistake in error.value.mistakes)


def test_columns_to_drop_are_not_read_and_must_exist(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n")
    assert list(read_table(path, drop=["b"])) == ["a"]
    with pytest.raises(BadRequest, match=r"'bb'.*'b'"):
        read_table(path, drop=["bb"])


def test_equal_texts_are_kept_once(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,b\n" + "yes,no\n" * 1_000))
    assert len({id(text) for text in table["a"]}) == 1


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)
    ),
    st.sampled_from(DELIMITERS),
)
def test_whatever_a_writer_of_csv_writes_is_read_back_less_the_space_around_it(
    tmp_path_factory: pytest.TempPathFactory, written_rows: list[list[str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv", numbered=True) / "t.csv"
    width = len(written_rows[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow([f"name {place}" for place in range(width)])
        writer.writerows(written_rows)
    table = read_table(path, reading=Reading(delimiter=delimiter))
    read = [list(row) for row in zip(*table.values(), strict=True)]
    assert read == [[cell.strip() for cell in row] for row in written_rows]


def test_many_rows_come_in_order(tmp_path: Path) -> None:
    numbers = np.arange(45_000).astype(str)
    table = read_table(written(tmp_path, "a,b\n" + "".join(f"{n},x\n" for n in numbers)))
    assert (table["a"] == numbers.astype(object)).all()
