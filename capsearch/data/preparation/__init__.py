"""From raw rows to numbers, learned from training rows alone and stored as JSON and arrays."""

from capsearch.data.preparation.fit import Preparation
from capsearch.data.preparation.learn import Settings
from capsearch.data.preparation.texts import of_words

__all__ = ["Preparation", "Settings", "of_words"]
