"""Manifests with which cron, systemd, Kubernetes, Slurm or Airflow runs a study. Pure.

capsearch starts nothing by itself. It knows its exit codes, what it needs and how it is told to
stop, and writes that down in the format of a scheduler that people already run.
"""

from capsearch.schedule.manifest import FORMATS, render
from capsearch.schedule.request import ScheduleRequest
from capsearch.schedule.times import Times

__all__ = ["FORMATS", "ScheduleRequest", "Times", "render"]
