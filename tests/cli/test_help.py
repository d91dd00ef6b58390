"""What `--help` says, of every command, on a terminal of 80 columns."""

import pytest
import typer
from typer.testing import CliRunner

import capsearch.cli  # noqa: F401 - commands are added when they are imported
from capsearch.cli.app import EXIT_CODES, app

COMMANDS = sorted(typer.main.get_group(app).commands)  # all of them, whatever is added


def helped(*command: str) -> str:
    ran = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": ""})
    assert ran.exit_code == 0
    assert max(map(len, ran.output.splitlines())) <= 80
    return " ".join(ran.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loses_no_word_and_no_default(command: str) -> None:
    """Three defaults were once read as markup, and vanished."""
    text = helped(command)
    for option in typer.main.get_group(app).commands[command].params:
        if getattr(option, "hidden", False) or option.name == "help":
            continue
        assert " ".join((getattr(option, "help", None) or "").split()) in text
        default = getattr(option, "show_default", None)
        if isinstance(default, str):
            assert default in text
        elif default and option.default not in (None, False):
            assert f"default: {option.default}" in text


def test_where_results_and_data_are_kept_is_said() -> None:
    text = helped("study")
    for place in ("ROOT/studies.db", "ROOT/mlflow.db", "~/.cache/capsearch"):
        assert f"default: ({place})" in text


def test_every_command_is_listed_with_a_whole_sentence() -> None:
    text = helped()
    assert "..." not in text.partition("Commands:")[2]
    assert all(f" {command} " in text for command in COMMANDS)


def test_exit_codes_are_listed() -> None:
    assert " ".join(EXIT_CODES.split()) in helped("study")
