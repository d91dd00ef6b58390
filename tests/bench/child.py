"""A measurement in a process of its own, so that its peak memory is its own."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MIB = 1024**2


def resident(field: str = "VmRSS") -> float:
    """Memory of this process in MiB: resident now, or at its peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


@dataclass(frozen=True)
class Ended:
    """A command that ended well."""

    output: str
    seconds: float
    peak: float  # MiB, of the largest process among it and its children


def run(command: list[str], folder: Path) -> Ended:
    """Run in `folder`; whatever goes wrong is shown and raised."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for
        out.seek(0)
        if process.returncode != 0:
            err.seek(0)
            sys.stderr.write(err.read().decode(errors="replace")[-4000:])
            raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}")
        return Ended(out.read().decode(), seconds, usage.ru_maxrss / 1024)


def call(function: str, **arguments: Any) -> Any:
    """The result of 'module:name' called in a new process, with `seconds` and `peak` (MiB)."""
    with tempfile.TemporaryDirectory(prefix="capsearch-bench-") as folder:
        command = [sys.executable, "-m", "tests.bench.child", function, json.dumps(arguments)]
        ended = run(command, Path(folder))
    return json.loads(ended.output.splitlines()[-1]) | {"process_seconds": ended.seconds}


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
    print("\n" + json.dumps(result | {"peak": resident("VmHWM")}))


if __name__ == "__main__":
    main()
