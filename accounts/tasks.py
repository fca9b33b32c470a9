"""Work in the background: thin tasks around the verbs of this floor."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from celery import shared_task
from django.utils import timezone

from accounts import idempotency, import_jobs, lake, letters, rebuild
from accounts.team import deliveries, forgetting
from plgops.lib.doorbell import ring

BUDGET = 10.0  # seconds of recounting, or of sending: evaluation wants its turn on the same workers


@shared_task(name=import_jobs.TASK)
def run_imports(**kwargs: Any) -> None:
    """Bring in waiting files until none is left or a slice of time is over; then ring for the next one.

    The doorbell goes behind what waits for the worker already, so that evaluation has its turn in between.
    """
    until = time.monotonic() + import_jobs.SLICE.total_seconds()
    while import_jobs.run_next(clock=timezone.now) is not None:
        if time.monotonic() >= until:
            ring(import_jobs.TASK)
            return


@shared_task(name="accounts.refresh_lake", time_limit=3600)
def refresh_lake(**kwargs: Any) -> None:
    """The next generation of the usage lake, if anything changed since the last.

    One that takes longer than the time between two of these must not keep a second worker waiting.
    """
    with contextlib.suppress(lake.Building):
        lake.refresh(now=timezone.now(), wait=False)


@shared_task(name=rebuild.TASK)
def recount(**kwargs: Any) -> None:
    """Count history again, a step at a time, until none is left or the time is up."""
    until = time.monotonic() + BUDGET
    while time.monotonic() < until and rebuild.recount_next(now=timezone.now()):
        pass


@shared_task(name=idempotency.TASK)
def sweep_idempotency(**kwargs: Any) -> None:
    """Forget the answers that are kept no longer."""
    until = time.monotonic() + BUDGET
    while time.monotonic() < until and idempotency.sweep(now=timezone.now()):
        pass


@shared_task(name=forgetting.TASK)
def forget_messages(**kwargs: Any) -> None:
    """Forget what was delivered, left out or put away long ago."""
    until = time.monotonic() + BUDGET
    while time.monotonic() < until and forgetting.forget(now=timezone.now()):
        pass


@shared_task(name=deliveries.TASK)
def send_deliveries(**kwargs: Any) -> None:
    """Pack what is due into messages and send them, until nothing is left or the time is up."""
    until = time.monotonic() + BUDGET
    while True:
        packed = deliveries.pack(now=timezone.now())
        passed = deliveries.send_due(clock=timezone.now)
        if not (packed or passed.claimed) or time.monotonic() >= until:
            return


@shared_task(name=letters.TASK)
def send_letters(**kwargs: Any) -> None:
    """Send letters until none is due or the time is up."""
    until = time.monotonic() + BUDGET
    while letters.send_due(clock=timezone.now).claimed and time.monotonic() < until:
        pass
