"""Event types out of their rhythm, over a real lake; errors; the page."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts import data_quality, lake
from accounts.models import AccountDue, EventType, QuarantinedMessage, Source, UsageDay
from accounts.workspace import day_of
from tests.factories.scoring import make_account, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def today(now):
    return day_of(now)


def did(name, counts, **more):
    """An event type with so many events on each day."""
    kind, _ = EventType.objects.get_or_create(name=name, defaults=more)
    account = make_account(name)
    UsageDay.objects.bulk_create(
        UsageDay(account_id=account.pk, user_id=0, event_type_id=kind.pk, day=day, count=count, first_us=1, last_us=1)
        for day, count in counts.items()
        if count
    )
    return kind


def steady(today, a_day, *, until=0, since=70):
    """So many a day from `since` days ago to `until` days ago, both included."""
    return dict.fromkeys(range(today - since, today - until + 1), a_day)


def found(now):
    lake.refresh(now=now)
    return data_quality.rhythms()


# --- one event type -----------------------------------------------------------------------------------------------


def test_one_that_stopped_is_silent(today):
    last, quiet, expected, a_day = data_quality.silence(steady(today, 20, until=3), today=today)
    assert (last, quiet, expected, a_day) == (today - 3, 2, 40, 20)


def test_the_day_that_is_not_over_proves_nothing_missing(today):
    assert data_quality.silence(steady(today, 20, until=1), today=today) is None
    assert data_quality.silence(steady(today, 20, until=0), today=today) is None


def test_a_rare_event_may_be_quiet_for_its_normal_gap(today):
    """Twice in three weeks: ten days without it are nothing, ten weeks are."""
    rare = dict.fromkeys(range(today - 100, today - 10, 10), 1)
    assert data_quality.silence(rare, today=today) is None
    long_ago = dict.fromkeys(range(today - 125, today - 69, 10), 1)
    assert data_quality.silence(long_ago, today=today) is not None


def test_a_weekend_is_no_silence(today):
    """An event of office days: nothing on a Saturday and a Sunday is as every week."""
    monday = today - (today + 3) % 7  # day 0 was a Thursday
    office = {day: 30 for day in range(monday - 70, monday - 2) if (day + 3) % 7 < 5}
    assert data_quality.silence(office, today=monday) is None
    assert data_quality.silence(office, today=monday + 1) is not None  # but on the Monday


def test_bursts_are_no_rhythm(today):
    assert data_quality.silence({today - 40: 5_000, today - 12: 4_000, today - 60: 1}, today=today) is None


def test_with_less_than_three_weeks_of_past_nothing_is_said(today):
    assert data_quality.silence(steady(today, 50, until=3, since=20), today=today) is None
    assert data_quality.silence(steady(today, 50, until=3, since=24), today=today) is not None
    assert (
        data_quality.doubling(steady(today, 50, since=20) | steady(today, 200, until=1, since=3), today=today) is None
    )


def test_one_that_comes_twice_is_doubled(today):
    normal = steady(today, 50, until=4)
    twice = normal | steady(today, 100, until=1, since=3)
    assert data_quality.doubling(twice, today=today) == (300, 150)
    assert data_quality.doubling(normal | steady(today, 99, until=1, since=3), today=today) is None
    few = dict.fromkeys(range(today - 70, today - 3, 7), 1)
    assert data_quality.doubling(few | {today - 2: 2}, today=today) is None  # two in place of none: chance


# --- over the lake ------------------------------------------------------------------------------------------------


def test_without_a_lake_nothing_is_said():
    assert data_quality.rhythms() == data_quality.Rhythms(as_of=None)


def test_all_types_are_judged_by_one_statement(now, today, django_assert_num_queries):
    did("Report Exported", steady(today, 20, until=3))
    did("Signed In", steady(today, 100))
    did("Workflow Completed", steady(today, 50, until=4) | steady(today, 150, until=1, since=3))
    did("Import Failed", dict.fromkeys(range(today - 60, today - 9, 10), 1))
    lake.refresh(now=now)
    with django_assert_num_queries(1):  # the names of those that stand out
        told = data_quality.rhythms()
    assert (told.as_of, told.built_at) == (dt.date.fromordinal(719163 + today - 1), now)
    assert [(s.event_type.name, s.days, s.expected) for s in told.silent] == [("Report Exported", 2, 40)]
    assert [(d.event_type.name, d.count, d.times) for d in told.doubled] == [("Workflow Completed", 450, 3)]
    assert told.silent_names == {"Report Exported"}


def test_the_lake_is_counted_once_in_five_minutes(now, today):
    kind = did("Report Exported", steady(today, 20, until=3))
    assert [s.event_type for s in found(now).silent] == [kind]
    account = make_account("Acme")
    use(account, "Report Exported", at=now)
    soon = found(now + dt.timedelta(seconds=1))
    assert [s.event_type for s in soon.silent] == [kind] and soon.built_at == now
    later = now + data_quality.KEPT_FOR
    use(account, "Report Exported", at=now)
    assert (found(later).silent, data_quality.rhythms().built_at) == ((), later)


# --- what is new, what went wrong ---------------------------------------------------------------------------------


def test_new_types_are_those_first_seen_in_seven_days(now):
    for name, days_ago in (("Old", 8), ("New", 6), ("Newest", 1)):
        EventType.objects.create(name=name, first_seen_at=now - dt.timedelta(days=days_ago))
    EventType.objects.create(name="Never seen")
    assert [kind.name for kind in data_quality.new_types(now=now)] == ["Newest", "New"]


@pytest.mark.parametrize("size", [1, 3])
def test_errors_are_counted_and_named(size, now, django_assert_num_queries):
    source = Source.objects.create(name="Website", kind="file", created_at=now)
    for number in range(size):
        make_account(f"Acme {number}")
        QuarantinedMessage.objects.create(
            source=source, digest=bytes([number]), code="id_required", reason="no id", payload={}, received_at=now
        )
    AccountDue.objects.filter(consumer="evaluation").update(attempts=2, last_error="ZeroDivisionError: division")
    with django_assert_num_queries(3):  # accounts, their number, codes
        told = data_quality.errors()
        assert [row.account.name for row in told.accounts] == [f"Acme {number}" for number in range(size)]
    assert (told.accounts_total, told.quarantined, told.quarantined_total) == (size, (("id_required", size),), size)


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_says_what_stands_out_and_by_which_rule(client_of, admin, now, today):
    did("Report Exported", steady(today, 20, until=3))
    did("Workflow Completed", steady(today, 50, until=4) | steady(today, 150, until=1, since=3))
    EventType.objects.create(name="Brand New", first_seen_at=now)
    lake.refresh(now=now)
    page = client_of(admin).get("/data-quality/").content.decode()
    assert "none for 2 complete days" in page and "usual 40" in page
    assert "3.0 times as many in 3 days" in page and "means nothing yet: describe it" in page
    assert "less than once in 1,000 times" in page and "the 8 weeks before" in page
    assert 'hx-get="/data-quality/definitions/"' in page


def test_before_the_first_lake_the_page_says_so(client_of, admin):
    page = client_of(admin).get("/data-quality/").content.decode()
    assert "which has not been built yet" in page and "Every event that came regularly" not in page


def test_home_has_a_summary_for_admins_only(client_of, admin, rep, now, today):
    did("Report Exported", steady(today, 20, until=3))
    lake.refresh(now=now)
    assert "/data-quality/summary/" in client_of(admin).get("/").content.decode()
    summary = client_of(admin).get("/data-quality/summary/").content.decode()
    assert "Report Exported" in summary and "Silent for 2 days" in summary
    client = client_of(rep)
    assert "/data-quality/summary/" not in client.get("/").content.decode()
    for path in ("/data-quality/", "/data-quality/summary/", "/data-quality/definitions/"):
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("size", [1, 3])
def test_the_page_costs_the_same_with_any_number(size, client_of, admin, now, today, django_assert_num_queries):
    for number in range(size):
        did(f"Report {number}", steady(today, 20, until=3), first_seen_at=now)
    lake.refresh(now=now)
    client = client_of(admin)
    # session, user, roles; silent ones, new ones; failing accounts, their number, quarantine
    with django_assert_num_queries(8):
        client.get("/data-quality/")
    with django_assert_num_queries(5):  # session, user, roles; silent ones, new ones
        client.get("/data-quality/summary/")
