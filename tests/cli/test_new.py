"""`capsearch new` as it is met: what is shown at 80 columns, what is written, how it ends."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import capsearch.cli  # noqa: F401 - commands are added when they are imported
from capsearch.cli.app import app
from capsearch.data.border import NUMBERS
from capsearch.data.draft import survey
from capsearch.data.fitting import fit
from capsearch.data.options import SplitOptions
from capsearch.data.tables import read_table
from capsearch.errors import BadRequest
from capsearch.listeners.columns import show_prepared, show_survey

ROWS = "".join(
    f"{n % 7}.5,{('red', 'green')[n % 2]},{n * 7},{('no', 'yes')[n % 3 == 0]}\n" for n in range(90)
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "table.csv"
    path.write_text(f"size,colour,store_id,bought\n{ROWS}")
    return path


def shown(path: Path, target: str | None = None) -> str:
    console = Console(record=True, width=80, file=StringIO())
    show_survey(console, survey(path, target))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_a_study_file_is_written_and_named_on_stdout(table: Path) -> None:
    ran = CliRunner().invoke(app, ["new", "table.csv", "--target", "bought"])
    assert ran.exit_code == 0
    assert ran.stdout == "table.toml\n"
    assert "capsearch study table.toml" in " ".join(ran.stderr.split())
    assert (table.parent / "table.toml").read_text().startswith("#")


def test_a_second_time_nothing_is_overwritten(table: Path) -> None:
    assert CliRunner().invoke(app, ["new", "table.csv", "--target", "bought"]).exit_code == 0
    again = CliRunner().invoke(app, ["new", "table.csv", "--target", "bought"])
    assert isinstance(again.exception, BadRequest)
    other = CliRunner().invoke(app, ["new", "table.csv", "--target", "bought", "-o", "b.toml"])
    assert other.exit_code == 0


def test_a_line_a_column_says_kind_missing_values_and_what_becomes_of_it(table: Path) -> None:
    lines = {line.split()[0]: line for line in shown(table, "bought").splitlines() if line.split()}
    assert "binary" in lines["table.csv:"]
    assert lines["size"].split()[1] == "number"
    assert lines["size"].endswith("1 feature ") or "1 feature" in lines["size"]
    assert "2 values" in lines["colour"]
    assert "2 features" in lines["colour"]
    assert "left out" in lines["store_id"]


def test_questions_are_shown_with_their_lines(table: Path) -> None:
    table.write_text(table.read_text().replace("0.5,red", "unknown,red"))
    text = shown(table)
    assert "QUESTION 1" in text
    assert 'null.size = ["unknown"]' in text


def test_hostile_names_and_values_are_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "[red]x[/].csv"
    path = tmp_path / "[bold]x.csv"
    rows = "".join(f"[blink]{n % 2},{n % 2}\n" for n in range(60))
    path.write_text(f'"[red]name[/]",y\n{rows}')
    text = shown(path, "y")
    assert "[red]name[/]" in text
    assert "[blink]0" in text
    assert "\x1b" not in text


def test_many_columns_do_not_fill_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = [*(f"x{n}" for n in range(600)), "y"]
    lines = [",".join(names)] + [",".join(str((r * c) % 89) for c in range(601)) for r in range(9)]
    path.write_text("\n".join(lines))
    text = shown(path, "y")
    assert "more columns" in text
    assert len(text.splitlines()) < 200


def prepared(columns: dict[str, Any]) -> str:
    console = Console(record=True, width=80, file=StringIO())
    show_prepared(console, fit(columns, SplitOptions(), columns))
    return console.export_text()


def test_the_columns_of_a_study_are_shown_as_they_were_found(table: Path) -> None:
    text = prepared(read_table(table, drop=["store_id"]))
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [
        ["size", "number"],
        ["colour", "category"],
        ["bought", "boolean"],
    ]
    assert "2 features" in text


def test_plain_numbers_have_no_columns_to_show() -> None:
    assert prepared({NUMBERS: np.ones((4, 3))}) == ""
