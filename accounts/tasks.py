"""Work in the background: thin tasks around the verbs of this floor."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from django.utils import timezone

from accounts import import_jobs, lake, rebuild

BUDGET = 10.0  # seconds of recounting: evaluation wants its turn on the same workers

# the broker gives a task that was not acknowledged within an hour to somebody else; the lease sees to it that
# a long import is still only run once


@shared_task(name=import_jobs.TASK, time_limit=6 * 3600)
def run_imports(**kwargs: Any) -> None:
    """Bring in waiting files until none is left."""
    while import_jobs.run_next(clock=timezone.now) is not None:
        pass


@shared_task(name="accounts.refresh_lake", time_limit=3600)
def refresh_lake(**kwargs: Any) -> None:
    """The next generation of the usage lake, if anything changed since the last."""
    lake.refresh(now=timezone.now())


@shared_task(name=rebuild.TASK)
def recount(**kwargs: Any) -> None:
    """Count history again, a step at a time, until none is left or the time is up."""
    until = time.monotonic() + BUDGET
    while time.monotonic() < until and rebuild.recount_next(now=timezone.now()):
        pass
