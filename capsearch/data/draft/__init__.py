"""A first look at a file: what its columns are, and a study file that asks where it must."""

from capsearch.data.draft.opening import Question
from capsearch.data.draft.study_file import new_path, study_file, write_new
from capsearch.data.draft.survey import Survey, survey

__all__ = ["Question", "Survey", "new_path", "study_file", "survey", "write_new"]
