"""Where engines run: in this process, in its children, or on a Dask cluster."""

from capsearch.executors.base import Executor, Limits, Lost, Pack, Rows, Unusable
from capsearch.executors.inline import InlineExecutor
from capsearch.executors.local import LocalExecutor

__all__ = [
    "Executor",
    "InlineExecutor",
    "Limits",
    "LocalExecutor",
    "Lost",
    "Pack",
    "Rows",
    "Unusable",
]
