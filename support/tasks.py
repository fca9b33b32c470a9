"""Support's sweeps."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from django.utils import timezone

from support import tiers

BUDGET = 10.0  # seconds: a changed tier looks at everybody, and evaluation wants its turn on the same workers


@shared_task(name="support.assign_due")
def assign_due(**kwargs: Any) -> int:
    """Assign the tiers of accounts that changed, until none is left or the time is up; how many were looked at."""
    total, until = 0, time.monotonic() + BUDGET
    while time.monotonic() < until and (done := tiers.assign_due(now=timezone.now())):
        total += done
    return total
