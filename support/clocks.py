"""What was promised: the moments at which a ticket's promises run out."""

from __future__ import annotations

import datetime as dt

from accounts.team.calendars import calendar_of
from plgops.lib.business_time import due_at
from support.models import Tier


def promises(tier: Tier | None, *, opened_at: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """When the first response and the resolution of a ticket opened then are due; None: nothing was promised."""
    if tier is None:
        return None, None
    calendar = calendar_of(tier.calendar)
    first, resolution = (
        due_at(opened_at, minutes, calendar) if minutes else None
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
