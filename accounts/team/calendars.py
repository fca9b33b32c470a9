"""Stored calendars: as values that business time reckons with, and kept by admins."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from accounts.models import BusinessCalendar, StaffUser
from accounts.team import audit
from plgops.lib import access
from plgops.lib.business_time import BadCalendar, Calendar

CAPABILITY = "routing.edit"


class Stale(Exception):
    """Somebody else changed the calendar since it was opened."""


def calendar_of(row: BusinessCalendar | None) -> Calendar | None:
    """The stored calendar; None: time always runs. Raises BadCalendar where what is stored cannot be used."""
    if row is None:
        return None
    return Calendar(row.time_zone, row.hours, row.holidays, row.overrides)


def kept() -> dict[int, Calendar]:
    """Every stored calendar by its id, the first one first: that is whose hours count where nothing names one."""
    rows = BusinessCalendar.objects.order_by("pk")
    return {row.pk: Calendar(row.time_zone, row.hours, row.holidays, row.overrides) for row in rows}


def mark_of(row: BusinessCalendar) -> str:
    """What the row says, as a short text that differs once it was changed."""
    said = [row.name, row.time_zone, row.hours, row.holidays, row.overrides]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


@transaction.atomic
def save(
    *,
    calendar_id: int | None,
    name: str,
    time_zone: str,
    hours: Mapping[str, Sequence[Sequence[str]]],
    holidays: Sequence[str],
    overrides: Mapping[str, Sequence[Sequence[str]]],
    was: str,
    by: StaffUser,
    now: dt.datetime,
) -> BusinessCalendar:
    """Make a calendar, or change the one that said `was` (`mark_of`) when it was opened: Stale if it does not any more.

    PermissionDenied; BadCalendar: hours that cannot be reckoned with, or a name that is taken.
    """
    access.require(by, CAPABILITY)
    Calendar(time_zone, hours, holidays, overrides)
    row = BusinessCalendar()
    if calendar_id is not None:
        row = BusinessCalendar.objects.select_for_update(no_key=True).get(pk=calendar_id)
        if mark_of(row) != was:
            raise Stale
    row.name, row.time_zone = name.strip(), time_zone
    row.hours = {day: [list(span) for span in spans] for day, spans in hours.items() if spans}
    row.holidays = sorted(set(holidays))
    row.overrides = {day: [list(span) for span in spans] for day, spans in sorted(overrides.items())}
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise BadCalendar(f"There is a calendar called {row.name} already.") from None
    detail: dict[str, Any] = {"time_zone": time_zone, "hours": row.hours, "holidays": row.holidays}
    audit.record(action="calendar.saved", obj=row, by=by, now=now, detail=detail | {"overrides": row.overrides})
    return row
