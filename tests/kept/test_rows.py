"""Rows of a file for a kept model: found by name, whatever else is in the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capsearch.data.columns import Column
from capsearch.data.fitting import Table
from capsearch.data.preparation import Preparation, Settings
from capsearch.data.tables.reading import Reading
from capsearch.errors import BadRequest
from capsearch.kept.reader import KeptModel
from capsearch.kept.rows import read_rows
from tests.kept.place import made, table, words

COLUMNS = {"a": np.array(["1", "2"] * 20, object), "b": np.array(["u", "v"] * 20, object)}


@pytest.fixture
def model(tmp_path: Path) -> KeptModel:
    return made(tmp_path / "m", table(**COLUMNS))


@pytest.fixture
def texts(tmp_path: Path) -> KeptModel:
    return made(tmp_path / "t", words("film"))


def read(
    model: KeptModel, path: Path, text: str, reading: Reading | None = None, *target: str
) -> dict[str, Any]:
    path.write_text(text)
    found = read_rows(path, model, reading or Reading(), target)
    return {name: values.tolist() for name, values in found.items()}


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_columns_are_found_by_name_wherever_they_stand(
    model: KeptModel, tmp_path: Path, sign: str
) -> None:
    text = f"b{sign}more{sign}a\nu{sign}x,y;z{sign}1\n".replace("x,y;z", '"x,y;z"')
    assert read(model, tmp_path / "r.csv", text) == {"a": ["1"], "b": ["u"]}


def test_one_row_of_one_doubtful_line_is_read_by_its_header(
    model: KeptModel, tmp_path: Path
) -> None:
    assert read(model, tmp_path / "r.csv", "a,b;c\n1,2;3\n", Reading(",")) == {"a": ["1"]}
    assert read(model, tmp_path / "r.csv", "a,b,c;d\n1,2,3;4\n") == {"a": ["1"], "b": ["2"]}


def test_a_file_without_names_is_read_as_the_studys_with_or_without_the_target(
    model: KeptModel, tmp_path: Path
) -> None:
    reading = Reading(header=False, names=("y", "a", "b"))
    path, expected = tmp_path / "r.csv", {"a": ["1", "2"], "b": ["u", "v"]}
    assert read(model, path, "no,1,u\nyes,2,v\n", reading, "y") == expected
    assert read(model, path, "1,u\n2,v\n", reading, "y") == expected
    assert read(model, path, "b,a\nu,1\nv,2\n", reading, "y") == expected  # or one with them


def test_columns_without_names_are_never_shifted(tmp_path: Path) -> None:
    """The target is first and the last column is one that no network sees."""
    rows = {"c2": COLUMNS["a"], "c3": COLUMNS["b"], "c4": np.array(["same"] * 40, object)}
    model = made(tmp_path / "m", table(**rows))
    assert model.columns == ("c2", "c3")
    path, reading = tmp_path / "r.csv", Reading(header=False)
    expected = {"c2": ["1"], "c3": ["u"]}
    assert read(model, path, "yes,1,u,same\n", reading, "c1") == expected
    assert read(model, path, "1,u,same\n", reading, "c1") == expected
    with pytest.raises(BadRequest, match="legal: 4"):
        read(model, path, "1,u\n", reading, "c1")


def test_a_missing_column_is_left_to_the_reader_and_a_broken_line_is_named(
    model: KeptModel, tmp_path: Path
) -> None:
    assert read(model, tmp_path / "r.csv", "a;2\n1;2\n") == {"a": ["1"]}
    with pytest.raises(BadRequest, match="line 1 has none of the names"):
        read(model, tmp_path / "r.csv", "1,u\n2,v\n")
    with pytest.raises(BadRequest, match="line 3"):
        read(model, tmp_path / "r.csv", "a,b\n1,2\n1,2,3\n")


def test_parquet_columns_that_nobody_asks_for_may_hold_anything(
    model: KeptModel, texts: KeptModel, tmp_path: Path
) -> None:
    path = tmp_path / "r.parquet"
    pd.DataFrame({"more": [[1], [2]], "b": ["u", None], "a": [1, 2]}).to_parquet(path)
    found = read_rows(path, model, Reading())
    assert found["a"].tolist() == [1, 2]
    assert found["b"].tolist() == ["u", ""]
    pd.DataFrame({"review": ["a film"]}).to_parquet(path)
    assert read_rows(path, texts, Reading())["text"].tolist() == ["a film"]
    assert read_rows(path, model, Reading()) == {}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("r.csv", 'label,text\n1,"a film, good"\n0,bad\n', ["a film, good", "bad"]),
        ("r.csv", 'review\n"a film, good"\nbad\n', ["a film, good", "bad"]),
        ("r.txt", "a film, good\n\nbad\r\n", ["a film, good", "", "bad"]),
        ("stdin", 'a "film", good', ['a "film", good']),
    ],
)
def test_texts_are_a_column_or_a_line_each(
    texts: KeptModel, tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    assert read(texts, tmp_path / name, text) == {"text": expected}


def test_several_columns_of_which_none_is_the_text_are_refused(
    texts: KeptModel, tmp_path: Path
) -> None:
    with pytest.raises(BadRequest, match="no column 'text'"):
        read(texts, tmp_path / "r.csv", "review,stars\ngood,5\n")


def test_an_array_has_no_names_so_a_file_may_have_none(tmp_path: Path) -> None:
    columns = tuple(Column(f"{place}", "number", "a number", 0) for place in (1, 2))
    values = {"1": np.array([1.0, 2.0, 3.0]), "2": np.array([3.0, 4.0, 6.0])}
    fitted = Preparation.fit(values, columns, settings=Settings(sparse=False))
    model = made(tmp_path / "m", Table(columns, fitted, numbers=True))
    path = tmp_path / "r.csv"
    assert read(model, path, "5.5,6\n7,8\n") == {"1": ["5.5", "7"], "2": ["6", "8"]}
    assert read(model, path, "2,1\n6,5.5\n") == {"1": ["5.5"], "2": ["6"]}
    with pytest.raises(BadRequest, match="line 1 has none"):
        read(model, path, "a,b\n6,5.5\n")
