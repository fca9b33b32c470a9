"""The workspace's own facts: its time zone, and what day an instant falls on."""

from __future__ import annotations

import datetime as dt
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings

from accounts.models import Workspace
from plgops.lib import days


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone() -> ZoneInfo:
    """The workspace's time zone (settings; start-up refuses one that differs from the stored one)."""
    return _zone(settings.TIME_ZONE)


def day_of(at: dt.datetime) -> int:
    """The workspace day of an aware instant."""
    return days.day_of(at, zone())


@cache
def _named() -> tuple[str, str]:
    row = Workspace.objects.filter(pk=1).values_list("name", "currency").first()
    return row or (settings.WORKSPACE_NAME, "USD")


def name() -> str:
    """The workspace's name, read once per process: a renamed workspace shows after a restart."""
    return _named()[0]


def currency() -> str:
    """The currency of every amount (ISO 4217), read with the name."""
    return _named()[1]
