"""What a manifest is asked for: which study, when, on what. Checked when it is made."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsearch.credentials import shown
from capsearch.errors import BadRequest
from capsearch.schedule.times import Times

_UNITS = {"s": 1, "m": 60, "h": 3600}
# A pod is called capsearch-NAME-MINUTES-INDEX, which may have 63 characters: 8 digits of minutes
# since 1970, and 3 of the index.
_LONGEST_NAME = 40


@dataclass(frozen=True)
class ScheduleRequest:
    """One manifest to write. Raises BadRequest for what cannot stand in one."""

    study: str  # a shipped study's name, or the absolute path of a file
    name: str  # the study's own name
    at: Times
    program: str  # absolute path of the command on the machine that runs it
    root: str  # absolute path of its default stores, reports and models
    image: str  # for Kubernetes
    study_text: str | None = None  # text of the study file, None for a shipped one
    storage: str | None = None
    tracking: str | None = None
    deadline: str | None = None  # such as 45m
    workers: int = 1  # training processes on each machine
    threads: int = 0  # processor cores of each training process; 0 leaves it to the format
    machines: int = 1  # for Kubernetes: with more than one, the first drives and the others train
    data_volume: str | None = None  # for Kubernetes: claim of a volume with the study's data
    overrides: tuple[str, ...] = ()  # 'table.key=value': said beside the study file

    def __post_init__(self) -> None:
        texts = {
            "study": self.study, "name": self.name, "--root": self.root, "program": self.program,
            "--storage": self.storage or "", "--tracking-uri": self.tracking or "",
        } | {f"-o {said.partition('=')[0]}": said for said in self.overrides}  # fmt: skip
        mistakes = [
            f"{key} {shown(text)!r}: a manifest cannot carry control characters"
            for key, text in texts.items()
            if any(map(_is_control, text))
        ]
        if self.study.startswith("-"):
            mistakes.append(f"study {self.study!r}: would be read as an option; write ./ before it")
        mistakes += [
            f"{option} {texts[option]}: is relative to a folder that a scheduled command does not "
            f"run in. Legal: sqlite:////ABSOLUTE/FILE"
            for option in ("--storage", "--tracking-uri")
            if re.match(r"sqlite:///(?!/)", texts[option])
        ]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", self.image):
            mistakes.append(f"--image {self.image!r}: not an image. Legal: REPOSITORY[:TAG]")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", self.data_volume or "none"):
            mistakes.append(
                f"--data-volume {self.data_volume!r}: not the name of a PersistentVolumeClaim. "
                f"Legal: a-z, 0-9, - and . such as reviews-2027"
            )
        if self.deadline is not None and not re.fullmatch(r"[1-9]\d{0,5}[smh]", self.deadline):
            mistakes.append(f"--deadline {self.deadline!r}: Legal: a number with s, m or h: 45m")
        if mistakes:
            raise BadRequest(*mistakes)

    @classmethod
    def of(cls, path: Path, shipped: bool, **rest: Any) -> "ScheduleRequest":
        """For the study in a file: named when it is shipped, else by path, with its text."""
        if shipped:
            return cls(study=path.stem, name=path.stem, **rest)
        text = path.read_text(encoding="utf-8")
        return cls(study=str(path.absolute()), name=path.stem, study_text=text, **rest)

    @property
    def slug(self) -> str:
        """`capsearch-` and the name, as RFC 1123 wants names; with a digest when it is changed."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        if not plain or plain != self.name or len(plain) > _LONGEST_NAME:
            digest = hashlib.sha256(self.name.encode()).hexdigest()[:8]
            plain = f"{plain[: _LONGEST_NAME - 9]}-{digest}".lstrip("-")
        return f"capsearch-{plain}"

    @property
    def seconds(self) -> int:
        """What one run may take before it is stopped from outside: a quarter past its deadline."""
        if self.deadline is None:
            return 24 * 3600
        return int(self.deadline[:-1]) * _UNITS[self.deadline[-1]] + 900


def _is_control(letter: str) -> bool:
    """What ends a line or a text, is half a character, or is none: U+FFFE and its like."""
    number = ord(letter)
    none = number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF
    return none or unicodedata.category(letter) in {"Cc", "Cs"}
