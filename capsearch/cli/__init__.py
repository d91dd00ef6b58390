"""The command line: parse, call one function, print, exit.

People read stderr; stdout carries the result, and with `--json` exactly one JSON document. What
takes seconds to import is imported by the command that needs it, so that help and usage errors
answer at once.
"""

# ruff: noqa: I001 - help lists the commands in the order in which they are added here
from capsearch.cli import study, new, predict, look, ui, plan
from capsearch.cli.entry import main

__all__ = ["look", "main", "new", "plan", "predict", "study", "ui"]
