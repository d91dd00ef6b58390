"""Predictions as a CSV file: harmless to spreadsheets, whole or not there."""

import csv
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsearch.errors import BadRequest
from capsearch.kept.answers import FORMULA, NUMBER, harmless, write_csv, written_to


@given(st.text() | st.sampled_from(["=1+1", "+a", "-1", "-1e5", "@x", "-", "\t=1", "\r\n", "+-1"]))
def test_no_cell_is_a_formula_or_moves_a_cursor(text: str) -> None:
    shown = harmless(text)
    assert not shown.startswith(FORMULA) or NUMBER.fullmatch(shown)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)


def test_numbers_and_words_stay_as_they_are() -> None:
    for text in ("-1", "+3.5", "1e-5", "yes", "a=b", "naïve", "", "a\u00a0b"):
        assert harmless(text) == text
    assert harmless("=cmd()") == "'=cmd()"


def test_rows_stand_in_their_order_with_labels_by_name() -> None:
    file = StringIO()
    labels = np.array(["b, c", "=a", "b, c"], object)
    write_csv(file, {"prediction": labels, "probability_=a": np.array([0.1, 1e-9, 1], np.float32)})
    assert list(csv.reader(StringIO(file.getvalue()))) == [
        ["prediction", "probability_=a"], ["b, c", "0.1"], ["'=a", "1e-09"], ["b, c", "1.0"],
    ]  # fmt: skip


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")
    with pytest.raises(KeyError), written_to(out) as file:
        write_csv(file, {"prediction": dict[str, np.ndarray]()["nothing"]})
    assert out.read_text() == "before"
    with written_to(out) as file:
        file.write("all")
        assert out.read_text() == "before"
    assert out.read_text() == "all"
    assert list(tmp_path.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    for out in (tmp_path / "no" / "out.csv", tmp_path):
        with pytest.raises(BadRequest, match="cannot be written"), written_to(out):
            raise AssertionError("nothing is done before")


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with written_to(pipe) as file:
        file.write("told")
    assert os.read(reading, 10) == b"told"
    os.close(reading)
    assert pipe.is_fifo()
