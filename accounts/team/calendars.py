"""Stored calendars as values that business time reckons with."""

from __future__ import annotations

from accounts.models import BusinessCalendar
from plgops.lib.business_time import Calendar


def calendar_of(row: BusinessCalendar | None) -> Calendar | None:
    """The stored calendar; None: time always runs. Raises BadCalendar where what is stored cannot be used."""
    if row is None:
        return None
    return Calendar(row.time_zone, row.hours, row.holidays, row.overrides)
