"""Business hours as admins keep them: typed as text, judged by business time, followed by what is promised."""

import datetime as dt

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, BusinessCalendar
from scoring import speed
from scoring.models import SpeedClock, SpeedPolicy
from scoring.routing_forms import CalendarForm
from tests.conftest import NOW
from tests.factories.routing import office, waiting

pytestmark = pytest.mark.django_db
TYPED = {
    "name": "Berlin",
    "time_zone": "Europe/Berlin",
    "mon": "09:00-12:30, 13:30 – 17:00",
    "holidays": "2026-12-25\n2026-12-26",
    "overrides": "2026-12-24 09:00-12:00\n2026-12-31",
}


def test_a_calendar_is_made_and_shown(client_of, admin, viewer):
    assert client_of(admin).post(reverse("routing_calendar_new"), TYPED).status_code == 302
    kept = BusinessCalendar.objects.get()
    assert kept.hours == {"mon": [["09:00", "12:30"], ["13:30", "17:00"]]}
    assert kept.holidays == ["2026-12-25", "2026-12-26"]
    assert kept.overrides == {"2026-12-24": [["09:00", "12:00"]], "2026-12-31": []}
    assert AuditEntry.objects.get(action="calendar.saved").actor_id == admin.pk
    page = client_of(viewer).get(reverse("routing_hours")).content.decode()
    assert "09:00 to 12:30, 13:30 to 17:00" in page and "New calendar" not in page


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"mon": "", "overrides": ""}, "never open"),
        ({"mon": "17:00-09:00"}, "close after it opens"),
        ({"mon": "nine to five"}, "mon: a span is two times"),
        ({"mon": "09:00-25:00"}, "between 00:00 and 24:00"),
        ({"time_zone": "Europe/Atlantis"}, "is not a time zone"),
        ({"holidays": "Christmas"}, "not a date"),
        ({"overrides": "Eve 09:00-12:00"}, "not a date"),
        ({"name": "Office"}, "already"),
    ],
)
def test_what_cannot_be_reckoned_with_is_refused(client_of, admin, typed, words):
    office()
    response = client_of(admin).post(reverse("routing_calendar_new"), TYPED | typed)
    assert (response.status_code, words in response.content.decode()) == (422, True)
    assert BusinessCalendar.objects.count() == 1


def test_of_two_who_edit_at_once_the_second_is_told(client_of, admin):
    found = office()
    url, typed = reverse("routing_calendar", args=[found.pk]), CalendarForm.of(found)
    assert client_of(admin).get(url).status_code == 200
    assert client_of(admin).post(url, typed | {"sat": "10:00-12:00"}).status_code == 302
    late = client_of(admin).post(url, typed | {"sun": "10:00-12:00"})
    assert (late.status_code, "10:00-12:00" in late.content.decode()) == (409, True)
    found.refresh_from_db()
    assert "sat" in found.hours and "sun" not in found.hours


@pytest.mark.parametrize("who", ["rep", "manager", "viewer"])
def test_only_an_admin_keeps_them(client_of, request, who):
    browser, found = client_of(request.getfixturevalue(who)), office()
    for url in (reverse("routing_calendar_new"), reverse("routing_calendar", args=[found.pk])):
        assert browser.get(url).status_code == 403
        assert browser.post(url, TYPED).status_code == 403


def test_what_is_promised_follows_the_calendar(client_of, admin):
    found, handoff = office(), waiting()
    SpeedPolicy.objects.create(claim_minutes=600, calendar=found)
    speed.start(handoff, now=NOW)
    tuesday = NOW + dt.timedelta(days=1, hours=2)
    handoff.refresh_from_db()
    assert handoff.due_at == tuesday
    typed = CalendarForm.of(found) | {"tue": ""}
    assert client_of(admin).post(reverse("routing_calendar", args=[found.pk]), typed).status_code == 302
    speed.sweep(now=dt.datetime.now(dt.UTC))
    handoff.refresh_from_db()
    assert handoff.due_at == tuesday + dt.timedelta(days=1)
    assert SpeedClock.objects.get().next_at is None  # nothing is to be done: neither warned nor given on
