"""What was promised: the moments at which a ticket's promises run out."""

from __future__ import annotations

import datetime as dt

from accounts.models import BusinessCalendar
from plgops.lib.business_time import Calendar, deadline
from support.models import Tier


def calendar_of(row: BusinessCalendar | None) -> Calendar | None:
    """The stored calendar as a value; None: time always runs."""
    return Calendar.parse(time_zone=row.time_zone, hours=row.hours, holidays=row.holidays) if row else None


def promises(tier: Tier | None, *, opened_at: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """When the first response and the resolution of a ticket opened then are due; None: nothing was promised."""
    if tier is None:
        return None, None
    calendar = calendar_of(tier.calendar)
    first, resolution = (
        deadline(opened_at, minutes, calendar) if minutes else None
        for minutes in (tier.first_response_minutes, tier.resolution_minutes)
    )
    return first, resolution


def next_due(
    *,
    first_response_due_at: dt.datetime | None,
    resolution_due_at: dt.datetime | None,
    first_response_at: dt.datetime | None,
    is_running: bool,
) -> dt.datetime | None:
    """The promise that runs out next. Nothing runs while the customer has the word, or once it is solved."""
    if not is_running:
        return None
    running = [resolution_due_at, first_response_due_at if first_response_at is None else None]
    return min((moment for moment in running if moment), default=None)
