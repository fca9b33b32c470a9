"""The workspace's own facts: its time zone, and what day an instant falls on."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings

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
