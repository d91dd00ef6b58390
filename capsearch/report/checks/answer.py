"""The answer of a check, and how it is given."""

from typing import Literal, NamedTuple


class Answer(NamedTuple):
    """A status and its reason, as in `Check`."""

    status: Literal["ok", "warning", "not applicable"]
    sentence: str


def ok(sentence: str) -> Answer:
    return Answer("ok", sentence)


def warning(sentence: str) -> Answer:
    return Answer("warning", sentence)


def not_applicable(sentence: str) -> Answer:
    return Answer("not applicable", sentence)
