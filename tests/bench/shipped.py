"""The table of all shipped studies in README.md: `python -m tests.bench.shipped`.

Each is run by the command itself, start to sealed test, in `--root`, where it goes on if it was
cut. `keras_imdb` needs the internet and `table` a file: both are left out unless they are named.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from capsearch import spec
from capsearch.words import network

APART = {"keras_imdb", "table"}
HEAD = (
    "| `capsearch study` | what is predicted | rows | smallest network | parameters | claim | "
    "on test rows | time |"
)


def row(name: str, told: dict[str, Any]) -> str:
    """One line of the table, from a study's JSON document."""
    task, selected, test = told["task"], told["selected"], told["test"]
    labels = len(task["labels"])
    what = f"{labels} classes" if labels > 1 else "a number"
    figure = test["metrics"][task["headline"]]
    scored = f"{task['headline'].upper()} {figure['value']:.4g}"
    if task["headline"] == "accuracy":
        scored = f"accuracy {figure['value']:.1%}"
    cells = [
        f"`{name}`",
        what,
        f"{sum(told['data']['sizes'].values()):,}",
        network(tuple(selected["units"])),
        f"{selected['parameters']:,}",
        f"{selected['claim']} ({selected['probability']:.0%})",
        scored,
        f"{told['seconds']:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="*", default=sorted({*spec.shipped()} - APART))
    parser.add_argument("--root", type=Path, default=Path("mlruns"))
    asked = parser.parse_args()
    print(HEAD, "| --- | --- | --- | --- | --- | --- | --- | --- |", sep="\n")
    for name in asked.study:
        command = [sys.executable, "-m", "capsearch", "study", name, "--json"]
        done = subprocess.run(
            [*command, "--root", str(asked.root)], check=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        print(row(name, json.loads(done.stdout)), flush=True)


if __name__ == "__main__":
    main()
