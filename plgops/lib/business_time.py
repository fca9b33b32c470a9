"""Business time: deadlines and durations over open hours. Pure; moments are aware datetimes, answers are UTC.

A calendar's spans are wall-clock times of its own zone and become instants day by day, so a day with a clock change
is exactly as long as it really was. A wall time that does not exist on a day is as much later as the clocks jumped,
one that occurs twice is its first occurrence (`fold=0`). Intervals are half-open. A target that is used up exactly
at closing time is due at closing time, not at the next opening, and a target of zero has no deadline.

Nothing steps through minutes or weeks: the days between two moments are counted by arithmetic, and only the special
ones among them (holidays, overridden dates, clock changes) are looked at.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
LAST_DAY = dt.date(9000, 1, 1).toordinal()  # a target that is not reached by then never is
KEPT_DAYS = 3000  # days of a calendar whose instants are remembered

Span = tuple[int, int]  # minutes of a local day, [opens, closes)
Period = tuple[dt.datetime, dt.datetime]
Pauses = Iterable[tuple[dt.datetime, dt.datetime | None]]  # an open end: the pause still lasts
NOTHING = dt.timedelta()


class BadCalendar(ValueError):
    """The calendar cannot be used; the message says why."""


class Calendar:
    """Open hours: spans per weekday, closed dates, and dates with spans of their own (which beat both).

    `weekly_hours` is `{"mon": [["08:00", "18:00"]], …}`, 24:00 ends a day (and 23:59 is read so); `holidays` are dates,
    `date_overrides` maps a date to its spans (none: closed). Dates may be written as `2026-12-25`. Raises BadCalendar:
    unknown zone or day, spans that overlap, never open. A calendar is a value: equal ones are equal, none changes.
    """

    __slots__ = ("_days", "_specials", "_week", "_zone", "date_overrides", "holidays", "timezone", "weekly_spans")

    def __init__(
        self,
        timezone: str | ZoneInfo,
        weekly_hours: Mapping[str, Sequence[Sequence[str]]],
        holidays: Iterable[dt.date | str] = (),
        date_overrides: Mapping[dt.date, Sequence[Sequence[str]]] | Mapping[str, Sequence[Sequence[str]]] | None = None,
    ) -> None:
        self._zone = _zone(timezone)
        self.timezone = self._zone.key
        if unknown := set(weekly_hours) - set(WEEKDAYS):
            raise BadCalendar(f"“{sorted(unknown)[0]}” is not a day of the week; use {', '.join(WEEKDAYS)}.")
        self.weekly_spans = tuple(_spans(weekly_hours.get(name, ()), name) for name in WEEKDAYS)
        self.holidays = frozenset(_date(day, "A holiday") for day in holidays)
        given = {_date(day, "A date with hours of its own"): spans for day, spans in (date_overrides or {}).items()}
        self.date_overrides = {day: _spans(spans, day.isoformat()) for day, spans in sorted(given.items())}
        if not any(self.weekly_spans) and not any(self.date_overrides.values()):
            raise BadCalendar("The calendar is never open.")
        self._week = tuple(dt.timedelta(minutes=sum(b - a for a, b in spans)) for spans in self.weekly_spans)
        self._specials = sorted({day.toordinal() for day in (*self.holidays, *self.date_overrides)})
        self._days: dict[int, tuple[Period, ...]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calendar) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Calendar({self.timezone!r}, {self.weekly_spans}, {len(self._specials)} special days)"

    def _key(self) -> tuple[object, ...]:
        return self.timezone, self.weekly_spans, self.holidays, tuple(self.date_overrides.items())

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose wall clock the hours are on."""
        return self._zone

    # --- one day; days are ordinals of the local date ---------------------------------------------------------

    def _day_of(self, moment: dt.datetime) -> int:
        """The local day that a moment belongs to: the last one whose first midnight is not after it."""
        day = moment.astimezone(self._zone).date().toordinal()
        return day + 1 if self._instant(day + 1, 0) <= moment else day  # clocks set back over midnight: the day began

    def _instant(self, day: int, minute: int) -> dt.datetime:
        if minute == DAY_MINUTES:
            day, minute = day + 1, 0
        wall = dt.datetime.combine(dt.date.fromordinal(day), dt.time(minute // 60, minute % 60), tzinfo=self._zone)
        return wall.astimezone(dt.UTC)

    def _periods(self, day: int) -> tuple[Period, ...]:
        """When the calendar is open on a day, as instants in order, none overlapping another."""
        found = self._days.get(day)
        if found is None:
            date = dt.date.fromordinal(day)
            spans = self.date_overrides.get(date)
            if spans is None:
                spans = () if date in self.holidays else self.weekly_spans[date.weekday()]
            found = self._as_instants(day, spans) if spans else ()
            if len(self._days) >= KEPT_DAYS:
                self._days.clear()
            self._days[day] = found
        return found

    def _as_instants(self, day: int, spans: Sequence[Span]) -> tuple[Period, ...]:
        opened, last = self._instant(day, 0), self._instant(day + 1, 0)
        periods = []
        for opens, closes in spans:
            begin, end = max(self._instant(day, opens), opened), min(self._instant(day, closes), last)
            if begin < end:  # else the clocks jumped over all of it
                periods.append((begin, end))
                opened = end
        return tuple(periods)

    def _total(self, day: int) -> dt.timedelta:
        return sum((end - begin for begin, end in self._periods(day)), NOTHING)

    # --- many days --------------------------------------------------------------------------------------------

    def _whole_days(self, first: int, last: int) -> dt.timedelta:
        """Open time of the days `[first, last)`: whole weeks by arithmetic, then what the special ones differ."""
        if first >= last:
            return NOTHING
        weeks, rest = divmod(last - first, 7)
        total = weeks * sum(self._week, NOTHING)
        weekday = (first - 1) % 7  # ordinal 1 was a Monday
        total += sum((self._week[(weekday + i) % 7] for i in range(rest)), NOTHING)
        for day in self._special_days(first, last):
            total += self._total(day) - self._week[(day - 1) % 7]
        return total

    def _special_days(self, first: int, last: int) -> set[int]:
        found = set(self._specials[bisect_left(self._specials, first) : bisect_left(self._specials, last)])
        for year in range(dt.date.fromordinal(first).year, dt.date.fromordinal(last).year + 1):
            found.update(day for day in _clock_changes(self._zone, year) if first <= day < last)
        return found

    def _open_between(self, start: dt.datetime, end: dt.datetime) -> dt.timedelta:
        if end <= start:
            return NOTHING
        first, last = self._day_of(start), self._day_of(end)
        total = NOTHING if first == last else self._whole_days(first + 1, last)
        for day in {first, last}:
            for begin, close in self._periods(day):
                total += max(min(close, end) - max(begin, start), NOTHING)
        return total

    def _after(self, start: dt.datetime, left: dt.timedelta) -> dt.datetime:
        """The first moment by which `left` (more than nothing) of open time has passed since `start`."""
        day = self._day_of(start)
        first = self._within(day, start, left)
        if isinstance(first, dt.datetime):
            return first
        left, low = first, day + 1
        reach = 7  # days; doubled until the target lies in them, then halved down to its day
        last = LAST_DAY if any(self._week) else max(self._specials)
        while self._whole_days(low, low + reach) < left:
            if low + reach > last:
                raise BadCalendar("The calendar does not open long enough for this target.")
            reach *= 2
        short, enough = 0, reach
        while enough - short > 1:
            middle = (short + enough) // 2
            if self._whole_days(low, low + middle) < left:
                short = middle
            else:
                enough = middle
        reached = self._within(low + short, start, left - self._whole_days(low, low + short))
        assert isinstance(reached, dt.datetime)
        return reached

    def _within(self, day: int, start: dt.datetime, left: dt.timedelta) -> dt.datetime | dt.timedelta:
        """The moment on this day at which `left` is used up, or how much is still left after it."""
        for begin, close in self._periods(day):
            begin = max(begin, start)
            if left <= close - begin:
                return begin + left
            left -= max(close - begin, NOTHING)
        return left

    def _opens(self, moment: dt.datetime) -> dt.datetime:
        day = self._day_of(moment)
        for begin, close in self._periods(day):
            if moment < close:
                return max(begin, moment)
        return self._after(moment, dt.timedelta.resolution) - dt.timedelta.resolution


def due_at(start: dt.datetime, minutes: float, calendar: Calendar | None, pauses: Pauses = ()) -> dt.datetime | None:
    """When `minutes` of open time outside the pauses have passed since `start` (UTC); no calendar: always open.

    None where there is no deadline: the target is zero, or a pause that still lasts begins before it is used up.
    Raises ValueError for a negative target and BadCalendar when the calendar does not open long enough.
    """
    if minutes < 0:
        raise ValueError("A target cannot be negative.")
    left = dt.timedelta(minutes=minutes)
    if not left:
        return None
    at = _utc(start)
    for begin, end in _merged(pauses, at):
        before = _open(at, begin, calendar)
        if left <= before:
            break
        if end is None:
            return None
        left, at = left - before, end
    return calendar._after(at, left) if calendar else at + left


def elapsed(start: dt.datetime, end: dt.datetime, calendar: Calendar | None, pauses: Pauses = ()) -> float:
    """Business seconds in `[start, end)` outside the pauses; negative when `end` is before `start`."""
    start, end = _utc(start), _utc(end)
    if end < start:
        return -elapsed(end, start, calendar, pauses)
    total = _open(start, end, calendar)
    for begin, until in _merged(pauses, start):
        total -= _open(min(begin, end), min(until or end, end), calendar)
    return total.total_seconds()


def next_open(moment: dt.datetime, calendar: Calendar | None) -> dt.datetime:
    """The first open moment that is not before `moment` (itself, while it is open), in UTC.

    Raises BadCalendar when there is none: a calendar that is open on single dates only, and the last is over.
    """
    return calendar._opens(_utc(moment)) if calendar else _utc(moment)


def is_open(moment: dt.datetime, calendar: Calendar | None) -> bool:
    """Whether the calendar is open at `moment`."""
    at = _utc(moment)
    return calendar is None or any(begin <= at < close for begin, close in calendar._periods(calendar._day_of(at)))


def _open(start: dt.datetime, end: dt.datetime, calendar: Calendar | None) -> dt.timedelta:
    return calendar._open_between(start, end) if calendar else max(end - start, NOTHING)


def _merged(pauses: Pauses, start: dt.datetime) -> list[tuple[dt.datetime, dt.datetime | None]]:
    """The pauses from `start` on in order, those that meet made one."""
    found: list[tuple[dt.datetime, dt.datetime | None]] = []
    for begin, end in sorted(((_utc(a), b and _utc(b)) for a, b in pauses), key=lambda pause: pause[0]):
        begin = max(begin, start)
        if end is not None and end <= begin:
            continue
        if not found or (found[-1][1] is not None and begin > found[-1][1]):
            found.append((begin, end))
        elif found[-1][1] is not None:
            found[-1] = (found[-1][0], None if end is None else max(end, found[-1][1]))
    return found


def _utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    return moment.astimezone(dt.UTC)


@lru_cache(maxsize=4096)
def _clock_changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """The days (ordinals) of a year that are not 24 hours long."""
    first, last = dt.date(year, 1, 1).toordinal(), dt.date(year, 12, 31).toordinal()
    found, before = [], _offset(zone, first)
    for day in range(first, last + 1):
        after = _offset(zone, day + 1)
        if after != before:
            found.append(day)
        before = after
    return tuple(found)


def _offset(zone: ZoneInfo, day: int) -> dt.timedelta | None:
    return dt.datetime.combine(dt.date.fromordinal(day), dt.time(), tzinfo=zone).utcoffset()


def _zone(name: str | ZoneInfo) -> ZoneInfo:
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadCalendar(f"“{name}” is not a time zone.") from None


def _date(day: dt.date | str, what: str) -> dt.date:
    if isinstance(day, dt.date):
        return day
    try:
        return dt.date.fromisoformat(day)
    except (TypeError, ValueError) as error:
        raise BadCalendar(f"{what} is not a date like 2026-12-25: {error}.") from None


def _spans(spans: Sequence[Sequence[str]], name: str) -> tuple[Span, ...]:
    """A day's spans in minutes, in order; BadCalendar when one ends before it begins or two overlap."""
    try:
        day = sorted((_minutes(opens), _minutes(closes)) for opens, closes in spans)
    except (TypeError, ValueError) as error:
        if isinstance(error, BadCalendar):
            raise
        raise BadCalendar(f"{name}: a span is two times, like 09:00 and 17:00.") from None
    for opens, closes in day:
        if closes <= opens:
            raise BadCalendar(f"{name}: a span must close after it opens.")
    if any(later[0] < earlier[1] for earlier, later in zip(day, day[1:], strict=False)):
        raise BadCalendar(f"{name}: two spans overlap.")
    return tuple(day)


def _minutes(text: str) -> int:
    """`"09:30"` as minutes since midnight. 24:00 ends a day, and so does 23:59."""
    try:
        hours, minutes = (int(part) for part in text.split(":"))
    except (AttributeError, ValueError):
        raise BadCalendar(f"“{text}” is not a time like 09:30.") from None
    total = hours * 60 + minutes
    if not (0 <= minutes < 60 and 0 <= total <= DAY_MINUTES):
        raise BadCalendar(f"“{text}” is not a time between 00:00 and 24:00.")
    return DAY_MINUTES if total == DAY_MINUTES - 1 else total
