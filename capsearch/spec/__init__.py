"""A study file, read into a frozen `StudySpec`; every mistake in it is reported together."""

from capsearch.spec.files import find, known, read, shipped
from capsearch.spec.tables import Search, Select, StudySpec, Training

__all__ = ["Search", "Select", "StudySpec", "Training", "find", "known", "read", "shipped"]
