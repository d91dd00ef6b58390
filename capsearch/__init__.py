"""capsearch: the smallest Keras network that is not worse than the best one."""

from importlib.metadata import version

__version__ = version("capsearch")
