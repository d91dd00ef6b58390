"""The program that the commands belong to."""

from typing import Annotated

import typer

from capsearch import __version__

EXIT_CODES = """
Exit codes: 0 done, or nothing to do; 1 the study failed; 2 bad request (usage, study file, data);
3 stopped early, the same command continues; 4 refused: the test split would be opened again for
another choice; 5 a store could not be reached; 130, 143 after SIGINT, SIGTERM, state saved.
"""

app = typer.Typer(
    name="capsearch",
    help="Finds the smallest Keras network that is not worse than the best one, on training and "
    "validation data only, then looks at the test set exactly once.",
    epilog="Example: capsearch study imdb",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help is plain text: what is in brackets is no markup
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"capsearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
