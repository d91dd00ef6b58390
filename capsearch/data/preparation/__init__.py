"""From raw rows to numbers, learned from training rows alone and stored as JSON and arrays."""

from capsearch.data.preparation.fit import Preparation
from capsearch.data.preparation.learn import Settings

__all__ = ["Preparation", "Settings"]
