"""Whether somebody can be given an account now, and if not, why. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from plgops.lib.business_time import BadCalendar, Calendar, is_open, next_open

# in the order in which they are looked at: what a person is told is the first that applies
OBSTACLES = {
    "gone": "does not work here any more",
    "no_role": "does not work handoffs",
    "had_it": "had it already",
    "on_leave": "is on leave",
    "not_started": "has not started yet",
    "daily_cap": "had as many today as they take",
    "open_cap": "has as many open as they take",
    "out_of_hours": "does not work at this hour",
}


@dataclass(frozen=True, slots=True)
class Person:
    """What decides whether somebody can be given an account. Caps and calendar may be none: no limit."""

    id: int
    is_active: bool = True
    works: bool = True  # has handoffs.work
    zone: ZoneInfo = ZoneInfo("UTC")  # whose days their leave and ramp are counted in
    calendar: Calendar | None = None
    daily_cap: int | None = None
    open_cap: int | None = None
    leaves: tuple[tuple[dt.date, dt.date], ...] = ()  # first and last day
    ramp_from: dt.date | None = None
    ramp: tuple[int, ...] = ()  # percent of the weight in the first, second… week; afterwards all of it


@dataclass(frozen=True, slots=True)
class Load:
    """What somebody has: given to them today, and open now."""

    today: int = 0
    open: int = 0


def obstacle(person: Person, load: Load, *, at: dt.datetime, in_hours: bool) -> str | None:
    """The first of OBSTACLES that keeps `person` from being given an account at `at`; None: they can be.

    `in_hours`: working hours count too.
    """
    if not person.is_active:
        return "gone"
    if not person.works:
        return "no_role"
    day = at.astimezone(person.zone).date()
    if any(first <= day <= last for first, last in person.leaves):
        return "on_leave"
    if not percent(person, day):
        return "not_started"
    if person.daily_cap is not None and load.today >= person.daily_cap:
        return "daily_cap"
    if person.open_cap is not None and load.open >= person.open_cap:
        return "open_cap"
    if in_hours and not is_open(at, person.calendar):
        return "out_of_hours"
    return None


def percent(person: Person, day: dt.date) -> int:
    """How much of their weight somebody has on a day: 0 before they start, the ramp's, then 100."""
    if person.ramp_from is None:
        return 100
    if day < person.ramp_from:
        return 0
    week = (day - person.ramp_from).days // 7
    return person.ramp[week] if week < len(person.ramp) else 100


def share(person: Person, weight: int, *, at: dt.datetime) -> int:
    """The person's share in a pool at `at`: weight times percent of ramp."""
    return weight * percent(person, at.astimezone(person.zone).date())


def back_at(person: Person, *, at: dt.datetime) -> dt.datetime | None:
    """When somebody who does not work at this hour does again (UTC); None: their calendar has ended."""
    try:
        return next_open(at, person.calendar)
    except BadCalendar:
        return None
