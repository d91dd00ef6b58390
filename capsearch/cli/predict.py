"""`capsearch predict`: what the model of a finished study says of new rows."""

from pathlib import Path
from typing import Annotated

import typer

from capsearch.cli.app import EXIT_CODES, app
from capsearch.cli.options import ROOT, Root, Storage, refuse_passwords, stderr, storage_url
from capsearch.words import plain


@app.command(
    epilog=f"Example: capsearch predict titanic new.csv -o predictions.csv\n\n{EXIT_CODES}"
)
def predict(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A study's name, or its key as `list` shows it.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="Rows: a CSV file (gz too) or Parquet; texts also one a line. - = stdin."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The CSV file to write.", show_default="stdout"),
    ] = None,
    root: Root = ROOT,
    storage: Storage = None,
) -> None:
    """Predict new rows with the model of a finished study.

    Columns are found by their names, in any order; others are ignored, the target may be there.
    Every value that cannot be read is named, and nothing is written then.
    """
    from capsearch import predict as predicting

    refuse_passwords(context)

    def note(message: str) -> None:
        stderr().print(plain(message), highlight=False, markup=False, soft_wrap=True)

    wanted = None if out is None or str(out) == "-" else out
    predicting.predict(
        name, file, wanted, root=root.absolute(), storage=storage_url(root, storage), note=note
    )
