"""Run studies and compare them with the golden record: `python -m tests.golden imdb`."""

import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from tests.golden.record import HERE, check
from tests.place import STUDY


def main() -> None:
    known = sorted(path.stem for path in HERE.glob("*.json"))
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="*", default=known, help=f"of {', '.join(known)}")
    parser.add_argument("--with", dest="options", default="", help="such as '--workers 4'")
    given = parser.parse_args()
    for name in given.study:
        with tempfile.TemporaryDirectory() as folder:
            if name == "mine":
                (Path(folder) / "mine.toml").write_text(STUDY)
            command = [sys.executable, "-m", "capsearch", "study", name, *given.options.split()]
            subprocess.run(command, check=True, cwd=folder)
            exact = check(name, f"sqlite:///{folder}/mlruns/studies.db")
            print(f"{name}: {'equal to the last digit' if exact else 'close: another processor'}")


if __name__ == "__main__":
    main()
