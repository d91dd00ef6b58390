"""Requests to test with, and a reader of each format: which command would it run?"""

import ast
import configparser
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from capsearch.schedule import ScheduleRequest, Times

HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "${HOME}", "$HOME", "$$", "{{ 7 * 7 }}", "{% raw %}", "{#",
    "%", "%%", "\\%", "\\\\%", "%h", "\\", "\\\\", "\\\\\\", "'", '"', "'\"'", "; touch pwned;",
    "&& touch pwned", "| cat", "> pwned", "#", " # ", ": ", "- ", "!!python/object:x", "&a", "*a",
    "~", "*", "?", " ", "  two  spaces ", "\u2028", "\u00a0", "\ufeff", "\U0001f600",
    "é", "null", "yes", "1e3", "[a]", "a=b", "@", "+", "!", "-", "--", "\\n", "\\x41", "EOF", "'''",
)  # fmt: skip


def request_of(**changes: Any) -> ScheduleRequest:
    plain: dict[str, Any] = {
        "study": "imdb", "name": "imdb", "at": Times.of("0 2 * * *"), "root": "/srv/mlruns",
        "program": "/opt/capsearch/bin/capsearch", "image": "capsearch:1",
    }  # fmt: skip
    return ScheduleRequest(**plain | changes)


def cron_command(line: str, pairs: bool) -> str:
    r"""The command as cron hands it to the shell. With `pairs`, two backslashes are one.

    Debian's cron undoes `\\` as well as `\%`; cronie undoes `\%` alone.
    """
    command = line.split(None, 5)[5]
    undone, at = "", 0
    while at < len(command):
        if command[at] == "\\" and command[at + 1 : at + 2] in (("%", "\\") if pairs else ("%",)):
            undone, at = undone + command[at + 1], at + 2
        elif command[at] == "\\":
            undone, at = undone + command[at : at + 2], at + 2
        else:
            assert command[at] != "%", "here cron would end the command"
            undone, at = undone + command[at], at + 1
    return undone


def _cron(text: str) -> list[str]:
    line = text.rstrip("\n").split("\n")[-1]
    commands = {cron_command(line, pairs) for pairs in (True, False)}
    assert len(commands) == 1
    words = shlex.split(commands.pop())
    return words[words.index("{") + 1 :]


def units(text: str) -> Mapping[str, str]:
    """The files that the awk in the manifest's header cuts it into, by name."""
    parts = re.split(r"^# file: (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",)
    )
    parser.optionxform = str  # type: ignore[method-assign, assignment] # the documented way
    parser.read_string(text)
    return parser


def _systemd(text: str) -> list[str]:
    service = next(body for name, body in units(text).items() if name.endswith(".service"))
    line = unit(service)["Service"]["ExecStart"]
    words: list[str] = []
    for found in re.finditer(r'(?:"((?:[^"\\]|\\.)*)"|([^\s"\'\\]+))(?:\s+|$)', line):
        quoted, plain = found.groups()
        word = plain if quoted is None else re.sub(r"\\([\\\"])", r"\1", quoted)
        assert quoted is None or not re.search(r"\\[^\\\"]", quoted.replace("\\\\", ""))
        assert "%" not in word.replace("%%", "")
        word = word.replace("%%", "%")
        if words:
            assert "$" not in word.replace("$$", "")
            word = word.replace("$$", "$")
        words.append(word)
    return words


def documents(text: str) -> Mapping[str, dict[str, Any]]:
    """The objects of a Kubernetes manifest, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def pod(text: str) -> dict[str, Any]:
    found = documents(text)["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def container_command(text: str) -> list[str]:
    """What a container starts: Kubernetes has replaced `$$` and found no `$(NAME)`."""
    words = pod(text)["containers"][0]["command"]
    assert not [w for w in words if "$(" in w.replace("$$", "")]
    return [word.replace("$$", "$") for word in words]


def _kubernetes(text: str) -> list[str]:
    """The driver's words, which a shell is given as arguments when there are other pods, too."""
    words = container_command(text)
    return words[3:] if words[:2] == ["/bin/sh", "-c"] else words


def _slurm(text: str) -> list[str]:
    body = text[text.index("trap ") : text.index("child=$!")]
    *words, background = shlex.split(body.split("\n", 1)[1])
    assert background == "&"
    return words


def _airflow(text: str) -> list[str]:
    values = {
        node.targets[0].id: node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    words: list[str] = ast.literal_eval(values["COMMAND"])
    return words


READERS: Mapping[str, Callable[[str], list[str]]] = {
    "cron": _cron,
    "systemd": _systemd,
    "kubernetes": _kubernetes,
    "slurm": _slurm,
    "airflow": _airflow,
}
