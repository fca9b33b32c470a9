"""Business time against a slow count by the clock on the wall, and the questions that peers disagree about."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plgops.lib.business_time import WEEKDAYS, BadCalendar, Calendar, due_at, elapsed, is_open, next_open

UTC = dt.UTC
WEEK = {day: [["09:00", "12:00"], ["13:00", "17:30"]] for day in WEEKDAYS[:5]}
ALWAYS = {day: [["00:00", "24:00"]] for day in WEEKDAYS}
# clocks that change at 02:00, at midnight, a minute past it and by half an hour; a month without summer time; a day
# that never was
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Pacific/Apia",
)
HOUR = 3600


def calendar(zone="UTC", hours=WEEK, holidays=(), overrides=None):
    return Calendar(zone, hours, holidays, overrides or {})


def slow_open(spans_of, zone, start, end):
    """Seconds in `[start, end)`, both whole minutes: every minute is asked whether a span of its day covers it.

    A wall time becomes an instant as Python does it (`fold=0`); a day is what lies between its first midnights.
    """
    first = start.astimezone(zone).date() - dt.timedelta(days=2)
    covered = set()
    days = (end.astimezone(zone).date() - first).days + 3
    for day in (first + dt.timedelta(days=n) for n in range(days)):

        def at(minutes, day=day):
            date = day + dt.timedelta(days=minutes // 1440)
            wall = dt.datetime.combine(date, dt.time(minutes % 1440 // 60, minutes % 60), tzinfo=zone)
            return int(wall.timestamp()) // 60

        for opens, closes in spans_of(day):
            covered.update(range(max(at(opens), at(0)), min(at(closes), at(1440))))
    return 60 * sum(minute in covered for minute in range(int(start.timestamp()) // 60, int(end.timestamp()) // 60))


times = st.integers(0, 1440)


@st.composite
def days(draw):
    """A day's spans: none, one or two, of any length, touching or apart."""
    marks = sorted(draw(st.lists(times, min_size=2, max_size=4, unique=True)))
    pairs = list(zip(marks[::2], marks[1::2], strict=False)) if draw(st.booleans()) else [(marks[0], marks[-1])]
    return [(a, b) for a, b in pairs if b - a > 1 and b != 1439]


def text(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def worlds(draw):
    """A calendar with its spans as plain numbers, and a stretch of minutes near a change of its clocks."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    weekly = [draw(days()) for _ in range(7)]
    near = draw(st.sampled_from(_changes(zone)))
    special = [near.date() + dt.timedelta(days=n) for n in draw(st.lists(st.integers(-3, 3), max_size=3, unique=True))]
    holidays = {day for day in special if draw(st.booleans())}
    overrides = {day: draw(days()) for day in special if day not in holidays or draw(st.booleans())}
    if not any(weekly):
        weekly[0] = [(540, 1020)]
    start = near + dt.timedelta(minutes=draw(st.integers(-4000, 2000)))
    written = {name: [[text(a), text(b)] for a, b in spans] for name, spans in zip(WEEKDAYS, weekly, strict=True)}
    own = {day: [[text(a), text(b)] for a, b in spans] for day, spans in overrides.items()}

    def spans_of(day):
        return overrides.get(day, () if day in holidays else weekly[day.weekday()])

    return Calendar(zone.key, written, holidays, own), spans_of, zone, start


def _changes(zone):
    """Moments of zone changes over some years (or a plain one), to the minute, found by looking at every hour."""
    if zone.key == "Pacific/Apia":
        return [dt.datetime(2011, 12, 30, 10, tzinfo=UTC), dt.datetime(2012, 3, 31, 14, tzinfo=UTC)]
    year = 2010 if zone.key in {"America/St_Johns", "America/Sao_Paulo"} else 2026
    hours = [dt.datetime(year, 1, 1, tzinfo=UTC) + dt.timedelta(hours=n) for n in range(366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    found = [b for b, x, y in zip(hours[1:], offsets, offsets[1:], strict=False) if x != y]
    return found or [dt.datetime(2026, 6, 15, tzinfo=UTC)]


@settings(max_examples=120, deadline=None)
@given(worlds(), st.integers(0, 6000))
def test_elapsed_is_a_count_of_the_minutes(world, minutes):
    cal, spans_of, zone, start = world
    end = start + dt.timedelta(minutes=minutes)
    assert elapsed(start, end, cal) == slow_open(spans_of, zone, start, end)
    assert elapsed(end, start, cal) == -elapsed(start, end, cal)


@settings(max_examples=120, deadline=None)
@given(worlds(), st.integers(1, 30_000))
def test_the_deadline_is_where_the_target_is_first_reached(world, minutes):
    cal, _, _, start = world
    due = due_at(start, minutes, cal)
    assert elapsed(start, due, cal) == minutes * 60
    assert elapsed(start, due - dt.timedelta(microseconds=1), cal) < minutes * 60


@settings(max_examples=80, deadline=None)
@given(worlds(), st.lists(st.tuples(st.integers(-500, 5000), st.integers(0, 900)), max_size=4), st.integers(1, 4000))
def test_pauses_are_left_out_however_they_overlap(world, given_pauses, minutes):
    cal, spans_of, zone, start = world
    pauses = [(start + dt.timedelta(minutes=a), start + dt.timedelta(minutes=a + length)) for a, length in given_pauses]
    due = due_at(start, minutes, cal, pauses)
    assert elapsed(start, due, cal, pauses) == minutes * 60
    end = start + dt.timedelta(minutes=6000)
    paused = {m for a, b in pauses for m in range(int(a.timestamp()) // 60, int(b.timestamp()) // 60)}
    running = 0
    for minute in sorted(set(range(int(start.timestamp()) // 60, int(end.timestamp()) // 60)) - paused):
        at = dt.datetime.fromtimestamp(minute * 60, UTC)
        running += is_open(at, cal)
    assert elapsed(start, end, cal, pauses) == running * 60


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_next_open_is_the_first_moment_at_which_time_runs(world):
    cal, _, _, start = world
    opens = next_open(start, cal)
    assert elapsed(start, opens, cal) == 0
    assert elapsed(opens, opens + dt.timedelta(microseconds=1), cal) > 0


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(1, 9000), st.integers(1, 9000))
@example((calendar("Europe/Berlin"), None, None, dt.datetime(2026, 3, 27, 12, tzinfo=UTC)), 5000, 5000)
def test_time_adds_up(world, one, other):
    cal, _, _, start = world
    middle = start + dt.timedelta(minutes=one)
    end = middle + dt.timedelta(minutes=other)
    assert elapsed(start, middle, cal) + elapsed(middle, end, cal) == elapsed(start, end, cal)


def test_years_are_counted_by_arithmetic():
    """Six years of office hours in Berlin: 261 or 262 working days each, two holidays on weekdays; no clock change
    falls into them."""
    cal = calendar("Europe/Berlin", holidays=["2026-12-25", "2029-05-01"])
    start, end = dt.datetime(2025, 1, 1, tzinfo=UTC), dt.datetime(2031, 1, 1, tzinfo=UTC)
    weekdays = sum((start + dt.timedelta(days=n)).weekday() < 5 for n in range((end - start).days))
    assert elapsed(start, end, cal) == (weekdays - 2) * 7.5 * HOUR
    assert due_at(start, (weekdays - 2) * 450, cal) == dt.datetime(2030, 12, 31, 16, 30, tzinfo=UTC)


# --- the questions on which peers contradict each other ---------------------------------------------------------


def test_a_target_used_up_at_closing_is_due_at_closing():
    friday_nine = dt.datetime(2026, 6, 12, 9, 0, tzinfo=UTC)
    assert due_at(friday_nine, 450, calendar()) == dt.datetime(2026, 6, 12, 17, 30, tzinfo=UTC)
    assert due_at(friday_nine, 451, calendar()) == dt.datetime(2026, 6, 15, 9, 1, tzinfo=UTC)


def test_seconds_in_a_pause_are_kept():
    nine = dt.datetime(2026, 6, 12, 9, 0, tzinfo=UTC)
    pause = (nine + dt.timedelta(minutes=5), nine + dt.timedelta(minutes=5, seconds=37))
    assert due_at(nine, 10, calendar(), [pause]) == nine + dt.timedelta(minutes=10, seconds=37)
    assert elapsed(nine, nine + dt.timedelta(minutes=10), calendar(), [pause]) == 600 - 37


def test_a_pause_that_lasts_has_no_deadline_after_it():
    nine = dt.datetime(2026, 6, 12, 9, 0, tzinfo=UTC)
    pause = (nine + dt.timedelta(minutes=5), None)
    assert due_at(nine, 5, calendar(), [pause]) == nine + dt.timedelta(minutes=5)
    assert due_at(nine, 6, calendar(), [pause]) is None
    assert elapsed(nine, nine + dt.timedelta(days=3), calendar(), [pause]) == 300


def test_a_day_with_a_clock_change_is_as_long_as_it_was():
    berlin, zone = calendar("Europe/Berlin", ALWAYS), ZoneInfo("Europe/Berlin")
    short, long = dt.datetime(2026, 3, 29, tzinfo=zone), dt.datetime(2026, 10, 25, tzinfo=zone)
    assert elapsed(short, dt.datetime(2026, 3, 30, tzinfo=zone), berlin) == 23 * HOUR
    assert elapsed(long, dt.datetime(2026, 10, 26, tzinfo=zone), berlin) == 25 * HOUR


def test_a_time_that_does_not_exist_is_an_hour_later_and_one_that_comes_twice_is_the_first():
    night = {"sun": [["02:30", "04:00"]]}
    spring, autumn = dt.datetime(2026, 3, 29, tzinfo=UTC), dt.datetime(2026, 10, 25, tzinfo=UTC)
    berlin = calendar("Europe/Berlin", night)
    assert next_open(spring, berlin) == dt.datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 in summer time
    assert elapsed(spring, spring + dt.timedelta(days=1), berlin) == HOUR / 2
    assert next_open(autumn, berlin) == dt.datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first 02:30
    assert elapsed(autumn, autumn + dt.timedelta(days=1), berlin) == 2.5 * HOUR


def test_a_day_that_never_was_has_no_hours():
    """Samoa went from 29 to 31 December 2011."""
    apia = calendar("Pacific/Apia", ALWAYS)
    start, end = (dt.datetime(2011, 12, day, tzinfo=ZoneInfo("Pacific/Apia")) for day in (29, 31))
    assert elapsed(start, end, apia) == 24 * HOUR


def test_spans_that_touch_at_midnight_are_one():
    late = calendar(hours={"mon": [["22:00", "24:00"]], "tue": [["00:00", "02:00"]]})
    assert due_at(dt.datetime(2026, 6, 15, 22, tzinfo=UTC), 121, late) == dt.datetime(2026, 6, 16, 0, 1, tzinfo=UTC)
    assert is_open(dt.datetime(2026, 6, 16, tzinfo=UTC), late)


def test_a_target_of_zero_has_no_deadline():
    assert due_at(dt.datetime(2026, 6, 15, 9, tzinfo=UTC), 0, calendar()) is None


def test_hours_of_one_date_beat_the_week_and_the_holiday():
    """Half a day on Christmas Eve, closed on a bridge day, open on one holiday."""
    own = {dt.date(2026, 12, 24): [["09:00", "12:00"]], "2026-12-28": [], "2026-12-25": [["10:00", "11:00"]]}
    cal = calendar(holidays={dt.date(2026, 12, 25)}, overrides=own)
    start = dt.datetime(2026, 12, 24, tzinfo=UTC)
    assert elapsed(start, dt.datetime(2026, 12, 29, tzinfo=UTC), cal) == 4 * HOUR
    assert due_at(start, 241, cal) == dt.datetime(2026, 12, 29, 9, 1, tzinfo=UTC)


def test_an_interval_is_half_open():
    assert is_open(dt.datetime(2026, 6, 15, 9, tzinfo=UTC), calendar())
    assert not is_open(dt.datetime(2026, 6, 15, 17, 30, tzinfo=UTC), calendar())


def test_without_a_calendar_time_always_runs():
    start = dt.datetime(2026, 6, 13, 3, 0, tzinfo=UTC)
    assert due_at(start, 90, None) == dt.datetime(2026, 6, 13, 4, 30, tzinfo=UTC)
    assert elapsed(start, start + dt.timedelta(hours=1), None) == HOUR


def test_moments_in_any_zone_are_answered_in_utc():
    start = dt.datetime(2026, 6, 15, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    due = due_at(start, 60, calendar())
    assert (due, due.tzinfo) == (dt.datetime(2026, 6, 15, 10, tzinfo=UTC), UTC)
    with pytest.raises(ValueError, match="time zone"):
        due_at(dt.datetime(2026, 6, 15), 60, calendar())
    with pytest.raises(ValueError, match="negative"):
        due_at(start, -1, calendar())


def test_a_calendar_that_opened_for_the_last_time_says_so():
    fair = calendar(hours={}, overrides={"2026-06-15": [["09:00", "17:00"]]})
    with pytest.raises(BadCalendar, match="long enough"):
        due_at(dt.datetime(2026, 6, 15, 9, tzinfo=UTC), 481, fair)


def test_23_59_is_read_as_the_end_of_the_day():
    assert calendar(hours={"mon": [["00:00", "23:59"]]}) == calendar(hours={"mon": [["00:00", "24:00"]]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hours": {}}, "never open"),
        ({"hours": {"mon": [["17:00", "09:00"]]}}, "close after"),
        ({"hours": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "overlap"),
        ({"hours": {"moon": [["09:00", "12:00"]]}}, "day of the week"),
        ({"hours": {"mon": [["9", "12:00"]]}}, "not a time"),
        ({"hours": {"mon": [["09:00"]]}}, "two times"),
        ({"zone": "Mars/Olympus"}, "not a time zone"),
        ({"holidays": ["Christmas"]}, "not a date"),
        ({"overrides": {"Easter": []}}, "not a date"),
    ],
)
def test_a_calendar_that_cannot_work_is_refused(change, message):
    with pytest.raises(BadCalendar, match=message):
        calendar(**change)
