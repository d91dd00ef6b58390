"""`capsearch new`: from a file to a study file."""

from pathlib import Path
from typing import Annotated

import typer

from capsearch.cli.app import app
from capsearch.cli.options import stderr


@app.command(epilog="Example: capsearch new titanic.csv --target survived")
def new(
    file: Annotated[Path, typer.Argument(help="A CSV file (gz too) or a Parquet file.")],
    target: Annotated[str | None, typer.Option(help="The column to be predicted.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="The study file to write.", show_default="FILE's name, here"
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="The sign between values, where the file leaves a doubt.")
    ] = None,
) -> None:
    """Look at a file and write a study file for it.

    Shows every column, and what becomes of it. Where only you can know, the study file has a
    question at the line to change. Nothing is trained, and no file is overwritten.
    """
    from capsearch.data.draft import new_path, study_file, survey, write_new
    from capsearch.listeners.columns import show_survey

    path = new_path(file, out)
    found = survey(file, target, delimiter)
    show_survey(stderr(), found)
    write_new(path, study_file(found, path.parent))
    print(path)
    stderr().print(_next(path, len(found.questions)), highlight=False, markup=False, soft_wrap=True)


def _next(path: Path, questions: int) -> str:
    if not questions:
        return f"Next: capsearch study {path}"
    asked = "the question" if questions == 1 else f"the {questions} questions"
    return f"Next: answer {asked} in {path}, then: capsearch study {path}"
