"""Support's sweeps."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from support import tiers


@shared_task(name="support.assign_due")
def assign_due(**kwargs: Any) -> int:
    """Assign the tiers of accounts that changed, until none is left; how many were looked at."""
    total = 0
    while done := tiers.assign_due(now=timezone.now()):
        total += done
    return total
