"""The reader of a kept model: the numbers of training from raw rows, in whatever form they come."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capsearch.data.columns import Column
from capsearch.data.fitting import AsGiven, Table, table_of
from capsearch.data.preparation import Preparation, Settings, of_words, transform
from capsearch.kept import folder as kept
from capsearch.kept import reader
from capsearch.kept.usage import three_lines
from capsearch.tasks import Binary, Multiclass, Multilabel, Regression
from tests.counted import multi_hot, vocabulary_of
from tests.kept.place import TABLE, files_of, made, table, words

REVIEWS = [
    "A GREAT film,<br />really great!", "it's don't_stop x y 42 naïve café", "", "  ", "İstanbul ß",
    "tab\tand\nline great", "great\u00a0film-of 3.5 <BR />film",
]  # fmt: skip


def dense(x: Any) -> Any:
    return x if isinstance(x, np.ndarray) else x.toarray()


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(dense(one), dense(other)))


@given(st.lists(st.text() | st.sampled_from(REVIEWS), min_size=1, max_size=5))
def test_texts_become_what_scikit_learn_made_of_them(texts: list[str]) -> None:
    vocabulary = tuple(vocabulary_of([*REVIEWS, *texts], 50))
    description = of_words(vocabulary)
    ours: Any = transform.transform(description, {}, {"text": np.array(texts, object)})["x"]
    theirs = multi_hot(texts, vocabulary)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    for part in ("indptr", "indices", "data"):
        assert np.array_equal(getattr(ours, part), getattr(theirs, part))


def test_texts_come_as_a_list_a_frame_or_a_mapping(tmp_path: Path) -> None:
    fitted = words("film", "great")
    model = made(tmp_path / "m", fitted)
    expected = fitted.matrix({"text": np.array(REVIEWS, object)})
    frame = pd.DataFrame({"label": 1, "text": REVIEWS})
    for rows in (REVIEWS, frame, {"text": REVIEWS}, pd.DataFrame(REVIEWS), pd.Series(REVIEWS)):
        assert same(model.inputs(rows), expected)
    assert model.inputs([None, float("nan")]).nnz == 0
    with pytest.raises(reader.Refused, match="missing columns: 'text'"):
        model.inputs(pd.DataFrame({"label": ["great"]}))


def test_a_table_comes_by_column_name_in_any_order_with_others_beside_it(tmp_path: Path) -> None:
    fitted = table()
    model, expected = made(tmp_path / "m", fitted), fitted.matrix(TABLE)
    assert (model.rows, set(model.columns)) == ("table", set(TABLE))
    turned = {"more": np.zeros(60), **{name: TABLE[name] for name in reversed(TABLE)}}
    records = [{name: values[row] for name, values in turned.items()} for row in range(60)]
    for rows in (TABLE, turned, pd.DataFrame(turned), records):
        assert same(model.inputs(rows), expected)
    typed = pd.DataFrame(TABLE).assign(
        size=lambda t: pd.to_numeric(t["size"]), day=lambda t: pd.to_datetime(t["day"]),
        five=lambda t: t["five"] == "1",
    )  # fmt: skip
    assert same(model.inputs(typed), expected)


def test_an_unknown_category_and_a_missing_value_are_served(tmp_path: Path) -> None:
    model = made(tmp_path / "m", table())
    x = model.inputs({name: ["never seen" if name in ("kind", "said") else None] for name in TABLE})
    assert x.shape == (1, model.features)
    assert np.isfinite(dense(x)).all()


def test_every_mistake_is_told_at_once_with_row_column_and_value(tmp_path: Path) -> None:
    model = made(tmp_path / "m", table())
    rows = {name: list(values) for name, values in TABLE.items() if name != "kind"}
    rows["size"][1], rows["size"][3], rows["day"][3] = "old", "old", "yesterday"
    with pytest.raises(reader.Refused) as refused:
        model.inputs(rows)
    first, *others = refused.value.mistakes
    assert first == "missing columns: 'kind'"
    assert [line.partition(":")[0] for line in others] == [
        "row 2, column 'size'", "row 4, column 'size'", "row 4, column 'day'",
    ]  # fmt: skip
    assert all("legal: " in line for line in others)
    assert "'old'" in others[0]
    assert "legal: a date such as 2024-01-31 or 2024-01-31 23:59:00; nothing" in others[2]
    many = {name: list(values) * 5 for name, values in TABLE.items()} | {"size": ["x"] * 300}
    with pytest.raises(reader.Refused, match="and 200 more mistakes"):
        model.inputs(many)
    with pytest.raises(reader.Refused, match="differ in their number of rows"):
        model.inputs({**TABLE, "size": [1.0]})


def test_numbers_without_names_come_as_an_array(tmp_path: Path) -> None:
    x = np.array([[1.0, -2.0, 3.5], [2.0, 0.0, 1e6], [0.5, 1.0, 2.0]])
    columns = tuple(Column(f"{place}", "number", "a number", 0) for place in (1, 2, 3))
    made_of = Preparation.fit(table_of({"x": x}), columns, settings=Settings(sparse=False))
    fitted = Table(columns, made_of, numbers=True)
    model, expected = made(tmp_path / "m", fitted), fitted.matrix({"x": x})
    assert model.rows == "numbers"
    frame = pd.DataFrame(x, columns=["1", "2", "3"])[["3", "1", "2"]]
    for rows in (x, x.tolist(), {"x": x}, sparse.csr_matrix(x), frame):
        assert same(model.inputs(rows), expected)
    for wrong in (x[:, :2], x[0], pd.DataFrame(x, columns=["a", "b", "c"])):
        with pytest.raises(reader.Refused):
            model.inputs(wrong)


def test_sparse_numbers_come_as_they_are(tmp_path: Path) -> None:
    x = sparse.csr_matrix(np.array([[0.0, 2.0], [1.0, 0.0]]))
    model = made(tmp_path / "m", AsGiven(2))
    for rows in (x, x.tocsc(), {"x": x}, x.toarray(), pd.DataFrame({"2": [2, 0], "1": [0, 1]})):
        found = model.inputs(rows)
        assert found.dtype == np.float32
        assert same(found, x)
    with pytest.raises(reader.Refused):
        model.inputs([["a", 1.0]])


def test_what_is_told_has_the_labels_names_and_the_thresholds_answer(tmp_path: Path) -> None:
    fitted, half = words("film"), np.array([0.3, 0.5, 0.7], np.float32)
    model = made(tmp_path / "b", fitted, Binary(("no", "yes")), 0.6)
    told = model.told(half)
    assert told["prediction"].tolist() == ["no", "no", "yes"]
    assert list(told) == ["prediction", "probability_no", "probability_yes"]
    assert np.allclose(told["probability_no"] + told["probability_yes"], 1.0)
    assert made(tmp_path / "h", fitted).told(half)["prediction"].tolist() == ["no", "no", "yes"]

    three = made(tmp_path / "c", fitted, Multiclass(("=a", "b", "c")))
    told = three.told(np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]], np.float32))
    assert told["prediction"].tolist() == ["b", "=a"]
    assert told["probability_c"].tolist() == pytest.approx([0.1, 0.3])

    several = made(tmp_path / "l", fitted, Multilabel(("b", "c")))
    assert list(several.told(np.zeros((2, 2), np.float32))) == ["probability_b", "probability_c"]

    amount = made(tmp_path / "r", fitted, Regression(10.0, 2.0))
    assert amount.told(half)["prediction"].tolist() == half.tolist()


@pytest.mark.parametrize("name", [reader.MODEL, reader.TASK, reader.PREPARATION, reader.READER])
@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, harm: str) -> None:
    folder = made(tmp_path / "m", table()).folder
    assert set(files_of(folder)) == {p.name for p in folder.iterdir()} - {reader.MANIFEST}
    file = folder / name
    file.unlink() if harm == "gone" else file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(reader.Damaged, match=name):
        reader.load(folder, kept.OURS)


def test_a_manifest_that_is_none_or_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "m", table()).folder
    manifest = folder / reader.MANIFEST
    files = files_of(folder)
    for text in ("", "[]", "{}", json.dumps({"format": 99, "files": files}),
                 json.dumps({"format": reader.FORMAT, "files": {}})):  # fmt: skip
        manifest.write_text(text)
        with pytest.raises(reader.Damaged):
            reader.load(folder, kept.OURS)
    (folder / reader.PREPARATION).write_text("{}")
    files[reader.PREPARATION] = hashlib.sha256(b"{}").hexdigest()
    manifest.write_text(json.dumps({"format": reader.FORMAT, "files": files}))
    with pytest.raises(reader.Damaged, match="another version"):
        reader.load(folder, kept.OURS)
    manifest.unlink()
    with pytest.raises(reader.Damaged, match="no kept model"):
        reader.load(folder, kept.OURS)


def test_the_three_lines_read_a_file_as_the_study_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With names, and without: columns are c1, c2 ... then."""
    monkeypatch.chdir(tmp_path)
    for names, first in ((("size", "kind"), "size,kind\n"), (("c1", "c2"), "")):
        rows = {names[0]: TABLE["size"], names[1]: TABLE["kind"]}
        model = made(tmp_path / names[0], table(**rows))
        lines = "".join(f"{a},{b}\n" for a, b in zip(*rows.values(), strict=True))
        (tmp_path / "rows.csv").write_text(first + lines)
        imported, _, last = three_lines(".", model.rows, model.columns)
        known: dict[str, Any] = {"model": SimpleNamespace(predict=model.inputs)}
        exec(f"{imported}\nfound = {last}", known)
        assert same(known["found"], model.inputs(rows))


def test_the_folder_holds_no_examples_of_values_and_says_how_it_is_used(tmp_path: Path) -> None:
    folder = made(tmp_path / "m", table()).folder
    assert '"examples"' not in (folder / reader.PREPARATION).read_text()
    told = (folder / "README.md").read_text()
    assert all(f"`{name}`" in told for name in TABLE)
    assert "runpy.run_path" in told
    about = kept.about(folder, "capsearch-toy/3")
    assert about is not None
    assert about["registered"] == "models:/capsearch-toy/3"
    assert about["columns"] == list(TABLE)
    assert kept.about(tmp_path, None) is None
