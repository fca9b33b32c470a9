"""When an alert is told: quiet hours, bundles and digests in the recipient's zone, and how many that makes."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.alert_times import DAY, Happened, Timing, due_at, forecast, within_cap

UTC = dt.UTC
BERLIN, SYDNEY = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Sydney")


def at(text, zone=UTC):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("timing", "happens", "told"),
    [
        (Timing("immediate", BERLIN), "2026-06-15T10:00", "2026-06-15T10:00"),
        (Timing("immediate", BERLIN, quiet=(19, 7)), "2026-06-15T10:00", "2026-06-15T10:00"),
        (Timing("immediate", BERLIN, quiet=(19, 7)), "2026-06-15T19:00", "2026-06-16T07:00"),
        (Timing("immediate", BERLIN, quiet=(19, 7)), "2026-06-15T06:59", "2026-06-15T07:00"),
        (Timing("immediate", BERLIN, quiet=(19, 7)), "2026-06-15T07:00", "2026-06-15T07:00"),
        (Timing("immediate", BERLIN, quiet=(12, 14)), "2026-06-15T13:59", "2026-06-15T14:00"),
        (Timing("bundled", BERLIN, bundle_minutes=15), "2026-06-15T10:00", "2026-06-15T10:15"),
        (Timing("bundled", BERLIN, bundle_minutes=15, quiet=(19, 7)), "2026-06-15T18:50", "2026-06-16T07:00"),
        (Timing("digest", BERLIN, digest_hour=8), "2026-06-15T07:59", "2026-06-15T08:00"),
        (Timing("digest", BERLIN, digest_hour=8), "2026-06-15T08:00", "2026-06-16T08:00"),
        (Timing("digest", BERLIN, digest_hour=6, quiet=(19, 7)), "2026-06-15T10:00", "2026-06-16T07:00"),
        # the clocks jump from 2 to 3: there is no 2 o'clock, and the digest comes at 3
        (Timing("digest", BERLIN, digest_hour=2), "2026-03-28T12:00", "2026-03-29T03:00"),
        # they go back from 3 to 2: the first of the two
        (Timing("digest", BERLIN, digest_hour=2), "2026-10-24T12:00", "2026-10-25T02:00"),
    ],
)
def test_when_it_is_told(timing, happens, told):
    assert due_at(timing, at(happens, BERLIN)) == at(told, BERLIN).astimezone(UTC)


def test_a_bundle_waits_from_its_first():
    timing = Timing("bundled", BERLIN, bundle_minutes=15)
    goes = due_at(timing, at("2026-06-15T10:00"))
    assert due_at(timing, at("2026-06-15T10:14"), open_bundle=goes) == goes
    assert due_at(timing, at("2026-06-15T10:15"), open_bundle=goes) == at("2026-06-15T10:30")


timings = st.builds(
    Timing,
    pace=st.sampled_from(["immediate", "bundled", "digest"]),
    zone=st.sampled_from([UTC, BERLIN, SYDNEY, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/St_Johns")]),
    bundle_minutes=st.integers(5, 240),
    digest_hour=st.integers(0, 23),
    quiet=st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda hours: hours[0] != hours[1]),
)
moments = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(UTC))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(timing=timings, moment=moments)
def test_it_is_never_early_never_in_quiet_hours_and_never_days_late(timing, moment):
    due = due_at(timing, moment)
    assert moment <= due <= moment + 2 * DAY + dt.timedelta(hours=2)
    if timing.quiet:
        begins, ends = timing.quiet
        hour = due.astimezone(timing.zone).hour
        assert not (begins <= hour < ends if begins < ends else hour >= begins or hour < ends)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    happened=st.lists(
        st.builds(Happened, at=moments, account_id=st.integers(1, 3), uncapped=st.booleans()), max_size=30
    ),
    cap=st.integers(0, 3),
)
def test_no_account_is_told_of_more_often_than_its_cap(happened, cap):
    happened.sort(key=lambda one: one.at)
    through, held_back = within_cap(happened, cap=cap)
    assert len(through) + held_back == len(happened)
    assert sum(one.uncapped for one in through) == sum(one.uncapped for one in happened)
    for one in through:
        before = [o for o in through if o.account_id == one.account_id and one.at - DAY < o.at < one.at]
        if cap and not one.uncapped:
            assert len(before) < cap or any(o.uncapped for o in before)


def test_a_forecast_counts_messages_and_the_busiest_day():
    # a Monday: five at once, one account six times; a Tuesday in the night
    monday, tuesday = at("2026-06-15T10:00"), at("2026-06-16T02:00")
    happened = [Happened(monday + dt.timedelta(minutes=n), n) for n in range(5)]
    happened += [Happened(monday + dt.timedelta(hours=2, minutes=n), 9) for n in range(6)]
    happened += [Happened(tuesday + dt.timedelta(minutes=n), 20 + n) for n in range(3)]
    until = at("2026-06-20T00:00")
    told = forecast(Timing("immediate", UTC, quiet=(19, 7)), happened, cap=1, days=28, until=until)
    assert (told.alerts, told.held_back) == (9, 5)
    assert (told.messages, told.most_messages) == (7, 6)  # the night's three come as one at 7
    assert sum(told.per_day) == 7
    assert told.messages_a_week == 7 * 7 / 28
    digest = forecast(Timing("digest", UTC, digest_hour=8), happened, cap=1, days=28, until=until)
    assert (digest.alerts, digest.messages, digest.most_messages) == (9, 1, 1)
    bundled = forecast(Timing("bundled", UTC, bundle_minutes=15), happened, cap=0, days=28, until=until)
    assert (bundled.alerts, bundled.messages) == (14, 3)
    machine = forecast(Timing("immediate", UTC), happened, cap=0, days=28, until=until, one_each=True)
    assert (machine.alerts, machine.messages) == (14, 14)
