"""Definitions that fell silent, flood, or ask for events that do not come."""

import datetime as dt
import re

import pytest
from django.utils.html import strip_tags

from accounts import lake
from accounts.models import EventType
from scoring import definition_health, definitions
from scoring.models import Definition, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
WEEK = dt.timedelta(days=7)


@pytest.fixture(autouse=True)
def known():
    EventType.objects.create(name="Invite Sent")


def opened(a_week, *, this_week, cause="event", weeks=8, slug="team-expansion"):
    """A definition of ten weeks with so many episodes in each of the weeks before, and in this one."""
    version = publish(NOW - 10 * WEEK, slug=slug, name=slug)
    account = make_account(slug)
    numbers = [this_week, *[a_week] * weeks]
    rows = [
        Qualification(
            account=account,
            definition=version.definition,
            version=version,
            opened_at=NOW - back * WEEK - DAY,
            cause=cause,
            closed_at=NOW,
            close_cause="lapsed",
        )
        for back, number in enumerate(numbers)
        for _ in range(number)
    ]
    Qualification.objects.bulk_create(rows)
    return version.definition


def suspects(**more):
    found = definition_health.suspects(now=NOW, **more)
    return [(s.definition.slug, s.opened, s.expected, s.is_silent, s.is_flooding) for s in found]


def test_one_that_opens_none_any_more_is_silent():
    opened(10, this_week=0)
    assert suspects() == [("team-expansion", 0, 10, True, False)]


def test_one_that_opens_twice_as_many_floods():
    opened(20, this_week=50)
    assert suspects() == [("team-expansion", 50, 20, False, True)]


@pytest.mark.parametrize(("a_week", "this_week"), [(1, 0), (6, 0), (20, 39), (1, 3), (20, 20)])
def test_what_chance_does_is_no_alarm(a_week, this_week):
    opened(a_week, this_week=this_week)
    assert suspects() == []


def test_what_a_publication_opened_at_once_says_nothing():
    opened(10, this_week=0, cause="publish")
    opened(2, this_week=100, cause="import", slug="other")
    assert suspects() == []


def test_a_young_definition_has_no_past_yet():
    definition = opened(10, this_week=0)
    Definition.objects.filter(pk=definition.pk).update(created_at=NOW - 3 * WEEK)
    assert suspects() == []


def test_counts_stop_at_their_cap(monkeypatch):
    monkeypatch.setattr(definition_health, "CAP", 15)
    opened(10, this_week=100)
    assert suspects() == []  # 15 that were counted are not twice as many


def test_events_that_stopped_and_events_that_never_came():
    asked = {"count": {"event": ["Invite Sent", "Invte Sent"], "at_least": 1}}
    version = publish(NOW, rule={"any": [asked, {"days": {"event": "*", "at_least": 2}}]})
    (one,) = definition_health.suspects(now=NOW, silent_events={"Invite Sent", "Other"})
    assert one.definition == version.definition
    assert (one.silent_events, one.unknown_events) == (("Invite Sent",), ("Invte Sent",))


def test_archived_ones_are_left_alone():
    definition = opened(10, this_week=0)
    Definition.objects.filter(pk=definition.pk).update(archived_at=NOW)
    assert suspects() == []


def test_the_panel(client_of, admin):
    publish(NOW, rule={"count": {"event": "Invte Sent", "at_least": 1}})
    panel = client_of(admin).get("/data-quality/definitions/").content.decode()
    assert "Never seen" in panel and "Invte Sent" in panel
    publish(NOW)
    assert "Every definition opens about as many" in client_of(admin).get("/data-quality/definitions/").content.decode()


def test_the_panel_says_up_to_when_each_definition_is_evaluated(client_of, admin):
    publish(NOW, slug="first", name="First")
    make_account("Acme")
    sweep(NOW)
    publish(NOW, slug="second", name="Second")
    rows = client_of(admin).get("/data-quality/definitions/").content.decode().partition("<tbody>")[2].split("</tr>")
    told = [" ".join(strip_tags(row).split()) for row in rows[:2]]
    assert re.fullmatch(r"Second v1 1 account still to follow \d\d:\d\d:\d\d nothing waits 1 account", told[0])
    assert re.fullmatch(r"First v1 \d\d:\d\d:\d\d nothing waits None", told[1])
    definitions.archive(definition_id=Definition.objects.get(slug="second").pk, by=admin, now=NOW)
    assert "Second" not in client_of(admin).get("/data-quality/definitions/").content.decode()


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_with_any_number(size, client_of, admin, django_assert_num_queries):
    for number in range(size):
        opened(10, this_week=0, slug=f"d{number}")
    with django_assert_num_queries(3):  # live versions; known events; counts by week
        assert len(definition_health.suspects(now=NOW)) == size
    lake.refresh(now=NOW)
    client = client_of(admin)
    with django_assert_num_queries(8):  # session, user, roles; how fresh, and of which definitions
        client.get("/data-quality/definitions/")
