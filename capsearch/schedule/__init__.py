"""Manifests that let cron, systemd, Kubernetes, Slurm or Airflow run a study. Pure.

capsearch schedules nothing itself. It knows its own exit codes, what it may be sent and what it
needs, and writes that down in the words of the engine that people already run.
"""

from capsearch.schedule.manifest import FORMATS, render
from capsearch.schedule.order import Order
from capsearch.schedule.times import Times

__all__ = ["FORMATS", "Order", "Times", "render"]
