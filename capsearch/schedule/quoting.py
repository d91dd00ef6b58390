"""Quote text for the format that it is written into. Pure.

A path may hold spaces, quotes, `$(...)`, `%` and `{{ }}`. Every format has its own rules, and each
of these functions undoes one reader: what it returns is read back as exactly the text given.
Control characters do not come here; `ScheduleRequest` refuses them.
"""

import re
import shlex

_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Quoted(str):
    """Text that may stand in a manifest as it is. Templates refuse to print any other."""

    __slots__ = ()


def shell(text: str) -> Quoted:
    """One word of a POSIX shell."""
    return Quoted(shlex.quote(text))


def cron(text: str) -> Quoted:
    r"""One word of a shell, in a crontab, where `%` ends the command unless it is `\%`.

    Crons differ over what two backslashes are, so none stands before another one or before a `%`:
    within quotes, each is followed by an empty pair of them.
    """
    return Quoted(shlex.quote(text).replace("\\", "\\''").replace("%", "\\%"))


def systemd(text: str) -> Quoted:
    """One argument in ExecStart=, where `%` and `$` are specifiers and variables."""
    return Quoted(program(text).replace("$", "$$"))


def program(text: str) -> Quoted:
    """The program in ExecStart=, where `$` stands for itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return Quoted(escaped if re.fullmatch(r"[\w/.:=+,@$%-]+", text, re.ASCII) else f'"{escaped}"')


def yaml(text: str) -> Quoted:
    """A double-quoted scalar of YAML, over several lines when the text has several."""
    head, *rest = text.split("\n")
    lines = [_escaped(head), *(re.sub(r"^(?=[ ])", r"\\", _escaped(line)) for line in rest)]
    return Quoted('"' + "\\n\\\n    ".join(lines) + '"')


def kubernetes(text: str) -> Quoted:
    """A scalar of YAML in a container's args, where Kubernetes expands `$(NAME)`."""
    return yaml(text.replace("$", "$$"))


def python(text: str) -> Quoted:
    """A literal of Python."""
    return Quoted(ascii(text))


def _escaped(line: str) -> str:
    line = line.replace("\\", "\\\\").replace('"', '\\"')
    return _UNSAFE.sub(lambda found: f"\\U{ord(found[0]):08X}", line)
