"""Business time: deadlines and durations over open hours. Pure; instants are aware datetimes.

Wall-clock frames are turned into instants day by day in the calendar's own zone, so a day with a clock
change is exactly as long as it really was. A wall time that does not exist on a day is the instant one
hour later, one that occurs twice is its first occurrence (`fold=0`). A target that is used up exactly at
closing time is due at closing time, not at the next opening.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
# A calendar is refused when it is never open; this bounds the search past long runs of holidays.
HORIZON_DAYS = 3 * 366


class BadCalendar(ValueError):
    """The calendar cannot be used; the message says why."""


def _minutes(text: str) -> int:
    """`"09:30"` as minutes since midnight. 24:00 ends a day, and so does 23:59."""
    try:
        hours, minutes = (int(part) for part in text.split(":"))
    except ValueError:
        raise BadCalendar(f"“{text}” is not a time like 09:30.") from None
    total = hours * 60 + minutes
    if not (0 <= minutes < 60 and 0 <= total <= DAY_MINUTES):
        raise BadCalendar(f"“{text}” is not a time between 00:00 and 24:00.")
    return DAY_MINUTES if total == DAY_MINUTES - 1 else total


@dataclass(frozen=True)
class Calendar:
    """Open frames per weekday (0 is Monday), in minutes of the local day, and closed dates."""

    zone: ZoneInfo
    frames: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[dt.date] = frozenset()

    @classmethod
    def parse(
        cls, *, time_zone: str, hours: Mapping[str, Sequence[Sequence[str]]], holidays: Sequence[str]
    ) -> Calendar:
        """Read the stored form, or raise BadCalendar: unknown zone or day, frames that overlap, never open."""
        try:
            zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise BadCalendar(f"“{time_zone}” is not a time zone.") from None
        if unknown := set(hours) - set(WEEKDAYS):
            raise BadCalendar(f"“{sorted(unknown)[0]}” is not a day of the week; use {', '.join(WEEKDAYS)}.")
        frames = []
        for name in WEEKDAYS:
            day = sorted((_minutes(frame[0]), _minutes(frame[1])) for frame in hours.get(name, ()))
            for opens, closes in day:
                if closes <= opens:
                    raise BadCalendar(f"{name}: a frame must close after it opens.")
            if any(later[0] < earlier[1] for earlier, later in zip(day, day[1:], strict=False)):
                raise BadCalendar(f"{name}: two frames overlap.")
            frames.append(tuple(day))
        if not any(frames):
            raise BadCalendar("The calendar is never open.")
        try:
            closed = frozenset(dt.date.fromisoformat(text) for text in holidays)
        except ValueError as error:
            raise BadCalendar(f"A holiday is not a date like 2026-12-25: {error}.") from None
        return cls(zone, tuple(frames), closed)

    def _instant(self, date: dt.date, minute: int) -> dt.datetime:
        if minute == DAY_MINUTES:
            date, minute = date + dt.timedelta(days=1), 0
        local = dt.datetime.combine(date, dt.time(minute // 60, minute % 60), tzinfo=self.zone)
        return local.astimezone(dt.UTC)  # a time that does not exist lands one hour later

    def open_periods(self, start: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """The open periods `[opens, closes)` from `start` on, in UTC, the first one cut at `start`."""
        # a frame of the day before may reach to midnight exactly, never past it
        date = start.astimezone(self.zone).date()
        for offset in range(HORIZON_DAYS):
            day = date + dt.timedelta(days=offset)
            if day in self.holidays:
                continue
            for opens, closes in self.frames[day.weekday()]:
                begin, end = max(self._instant(day, opens), start.astimezone(dt.UTC)), self._instant(day, closes)
                if begin < end:
                    yield begin, end

    def deadline(self, start: dt.datetime, minutes: int) -> dt.datetime:
        """The instant at which `minutes` of open time have passed since `start` (UTC).

        Raises BadCalendar when the calendar does not open long enough within three years.
        """
        left = dt.timedelta(minutes=minutes)
        for opens, closes in self.open_periods(start):
            if left <= closes - opens:
                return opens + left
            left -= closes - opens
        raise BadCalendar("The calendar does not open long enough within three years.")

    def elapsed(self, start: dt.datetime, end: dt.datetime) -> dt.timedelta:
        """Open time in `[start, end)`; negative when `end` is before `start`."""
        if end < start:
            return -self.elapsed(end, start)
        total = dt.timedelta()
        for opens, closes in self.open_periods(start):
            if opens >= end:
                break
            total += min(closes, end) - opens
        return total


def deadline(start: dt.datetime, minutes: int, calendar: Calendar | None) -> dt.datetime:
    """`calendar.deadline`, or plain time (always open) without a calendar."""
    return calendar.deadline(start, minutes) if calendar else start + dt.timedelta(minutes=minutes)
