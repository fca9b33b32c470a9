"""Days as integers, times as microseconds: the arithmetic that every engine shares.

A *day* is the number of calendar days since 1970-01-01 in the workspace's time zone. Rules, windows and
roll-ups compare days as integers, so that SQLite, PostgreSQL and DuckDB give the same answer without a
date function. *Micro-units* are metered values times one million, so that sums stay exact integers.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

EPOCH = dt.date(1970, 1, 1)
EPOCH_AT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Open end of a half-open day interval: later than any day a calendar can name (9999-12-31 is 2932896).
FOREVER = 9_999_999
MICRO = 1_000_000


def day_of(at: dt.datetime, zone: ZoneInfo) -> int:
    """The workspace day in which the instant `at` (aware) falls."""
    return (at.astimezone(zone).date() - EPOCH).days


def day_number(date: dt.date) -> int:
    """The integer of a calendar date."""
    return (date - EPOCH).days


def date_of(day: int) -> dt.date:
    """The calendar date of an integer day."""
    return EPOCH + dt.timedelta(days=day)


def start_of(day: int, zone: ZoneInfo) -> dt.datetime:
    """The first instant of a day, aware, in `zone`."""
    return dt.datetime.combine(date_of(day), dt.time(), tzinfo=zone)


def end_of(day: int, zone: ZoneInfo) -> dt.datetime:
    """The first instant after a day; periods are half-open, so this instant is not in the day."""
    return start_of(day + 1, zone)


def minute_of(at: dt.datetime) -> dt.datetime:
    """The instant without its seconds."""
    return at.replace(second=0, microsecond=0)


def micros(at: dt.datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exact (no float in between)."""
    delta = at - EPOCH_AT
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> dt.datetime:
    """The aware UTC instant of `micros`."""
    return EPOCH_AT + dt.timedelta(microseconds=value)
