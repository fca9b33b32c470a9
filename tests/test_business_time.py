"""Business time against a minute-by-minute count, and the rules that peers disagree about."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import pytest

from plgops.lib.business_time import BadCalendar, Calendar, deadline

UTC = dt.UTC
WEEK = {day: [["09:00", "12:00"], ["13:00", "17:30"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def calendar(zone="UTC", hours=WEEK, holidays=()):
    return Calendar.parse(time_zone=zone, hours=hours, holidays=list(holidays))


def minutes_open(cal, start, end):
    """The slow way: look at the wall clock of every minute."""
    count, at = 0, start
    while at < end:
        local = at.astimezone(cal.zone)
        minute = local.hour * 60 + local.minute
        if local.date() not in cal.holidays and any(a <= minute < b for a, b in cal.frames[local.weekday()]):
            count += 1
        at += dt.timedelta(minutes=1)
    return count


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_elapsed_equals_a_count_of_minutes(zone):
    chance = random.Random(zone)
    cal = calendar(zone, holidays=["2026-04-03", "2026-12-25"])
    for _ in range(12):
        start = dt.datetime(
            2026, chance.choice([3, 4, 10, 11]), chance.randint(1, 28), chance.randint(0, 23), 7, tzinfo=UTC
        )
        end = start + dt.timedelta(minutes=chance.randint(0, 6 * 1440))
        assert cal.elapsed(start, end) == dt.timedelta(minutes=minutes_open(cal, start, end))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_deadline_is_where_elapsed_reaches_the_target(zone):
    chance = random.Random(zone + "deadline")
    cal = calendar(zone, holidays=["2026-04-03"])
    for _ in range(25):
        start = dt.datetime(2026, chance.choice([3, 4, 10]), chance.randint(1, 28), chance.randint(0, 23), tzinfo=UTC)
        minutes = chance.randint(1, 3000)
        due = cal.deadline(start, minutes)
        assert cal.elapsed(start, due) == dt.timedelta(minutes=minutes)
        assert cal.elapsed(start, due - dt.timedelta(seconds=1)) < dt.timedelta(minutes=minutes)


def test_target_used_up_at_closing_is_due_at_closing():
    friday_nine = dt.datetime(2026, 6, 12, 9, 0, tzinfo=UTC)
    assert calendar().deadline(friday_nine, 450) == dt.datetime(2026, 6, 12, 17, 30, tzinfo=UTC)


def test_one_minute_more_goes_over_the_weekend():
    friday_nine = dt.datetime(2026, 6, 12, 9, 0, tzinfo=UTC)
    assert calendar().deadline(friday_nine, 451) == dt.datetime(2026, 6, 15, 9, 1, tzinfo=UTC)


def test_a_day_with_a_clock_change_is_as_long_as_it_was():
    always = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    berlin = calendar("Europe/Berlin", hours=always)
    zone = ZoneInfo("Europe/Berlin")
    short, long = dt.datetime(2026, 3, 29, tzinfo=zone), dt.datetime(2026, 10, 25, tzinfo=zone)
    assert berlin.elapsed(short, dt.datetime(2026, 3, 30, tzinfo=zone)) == dt.timedelta(hours=23)
    assert berlin.elapsed(long, dt.datetime(2026, 10, 26, tzinfo=zone)) == dt.timedelta(hours=25)


def test_without_a_calendar_time_always_runs():
    start = dt.datetime(2026, 6, 13, 3, 0, tzinfo=UTC)
    assert deadline(start, 90, None) == dt.datetime(2026, 6, 13, 4, 30, tzinfo=UTC)


def test_23_59_is_read_as_the_end_of_the_day():
    assert calendar(hours={"mon": [["00:00", "23:59"]]}).frames[0] == ((0, 1440),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hours": {}}, "never open"),
        ({"hours": {"mon": [["17:00", "09:00"]]}}, "close after"),
        ({"hours": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "overlap"),
        ({"hours": {"moon": [["09:00", "12:00"]]}}, "day of the week"),
        ({"hours": {"mon": [["9", "12:00"]]}}, "not a time"),
        ({"zone": "Mars/Olympus"}, "not a time zone"),
        ({"holidays": ["Christmas"]}, "not a date"),
    ],
)
def test_a_calendar_that_cannot_work_is_refused(change, message):
    with pytest.raises(BadCalendar, match=message):
        calendar(**change)
