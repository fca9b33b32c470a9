"""/health/: open to monitors, cheap, and honest about what is behind."""

import datetime as dt

import pytest
from celery import Celery
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.models import Account, AccountDue, EventType, Recount
from plgops import health
from plgops.lib import doorbell

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch):
    """Say what the broker does, without one: `broker(True)`."""

    def say(answers):
        monkeypatch.setattr(health, "_broker", (1e12, answers))

    say(True)
    return say


def make_due(*, waited, attempts=0):
    now = timezone.now()
    account = Account.objects.create(
        external_id=f"a{attempts}", name="Acme", signed_up_at=now, signup_day=0, recorded_at=now
    )
    return AccountDue.objects.create(
        account=account, consumer="evaluation", changed_seq=3, done_seq=2, changed_at=now - waited, attempts=attempts
    )


def test_health_is_ok_when_nothing_waits(client, broker, django_assert_num_queries):
    with django_assert_num_queries(8):  # the database, per consumer: oldest change, poison accounts; recounts
        response = client.get("/health/")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert response.json()["due"] == {
        "crm": {"oldest_due_seconds": 0, "poison_accounts": 0},
        "evaluation": {"oldest_due_seconds": 0, "poison_accounts": 0},
        "tiers": {"oldest_due_seconds": 0, "poison_accounts": 0},
    }


def test_health_says_how_long_the_oldest_change_waits(client, broker):
    make_due(waited=dt.timedelta(minutes=5))
    answer = client.get("/health/").json()
    assert answer["status"] == "degraded"
    assert 300 <= answer["due"]["evaluation"]["oldest_due_seconds"] <= 302
    assert answer["due"]["tiers"]["oldest_due_seconds"] == 0


def test_health_counts_poison_accounts(client, broker):
    make_due(waited=dt.timedelta(0), attempts=2)
    answer = client.get("/health/").json()
    assert (answer["status"], answer["due"]["evaluation"]["poison_accounts"]) == ("degraded", 1)


def test_health_shows_a_recount_and_is_degraded_when_it_fails(client, broker):
    assert client.get("/health/").json()["recounts"] == {"event_types": 0, "oldest_seconds": 0, "failing": 0}
    kind = EventType.objects.create(name="Exported")
    asked_at = timezone.now() - dt.timedelta(hours=1)
    row = Recount.objects.create(event_type=kind, asked_at=asked_at, attempts=1)  # a step is under way
    answer = client.get("/health/").json()
    assert (answer["status"], answer["recounts"]["event_types"], answer["recounts"]["failing"]) == ("ok", 1, 0)
    assert 3600 <= answer["recounts"]["oldest_seconds"] <= 3602
    Recount.objects.filter(pk=row.pk).update(last_error="RuntimeError('full')")
    answer = client.get("/health/").json()
    assert (answer["status"], answer["recounts"]["failing"]) == ("degraded", 1)
    Recount.objects.filter(pk=row.pk).update(last_error="", attempts=2)  # its worker was killed
    assert client.get("/health/").json()["status"] == "degraded"


def test_degraded_alarms_only_who_asks_for_it(client, broker):
    broker(False)
    assert client.get("/health/").status_code == 200
    assert client.get("/health/").json()["status"] == "degraded"
    assert client.get("/health/?require=all").status_code == 503


def test_health_is_down_without_its_database(client, broker, monkeypatch):
    def gone(*args, **kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr(connection, "cursor", gone)
    response = client.get("/health/")
    assert response.status_code == 503
    assert (response.json()["status"], response.json()["database"]) == ("down", False)


def test_a_broker_that_is_not_there_is_noticed_soon(client, monkeypatch):
    monkeypatch.setattr(health, "_broker", (0.0, False))
    monkeypatch.setattr(doorbell, "current_app", Celery(broker="redis://127.0.0.1:1/0", set_as_current=False))
    before = timezone.now()
    assert client.get("/health/").json()["broker"] is False
    assert timezone.now() - before < dt.timedelta(seconds=20)  # a hanging request would wait for minutes
