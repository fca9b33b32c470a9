"""What was delivered long ago is forgotten in bounded steps; dead letters stay until somebody has looked at them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import AuditEntry, Delivery, Destination, Letter, OutgoingMessage
from accounts.tasks import forget_messages
from accounts.team import deliveries, forgetting
from scoring import alerts
from scoring.models import AlertFact, ClaimLinkUse
from scoring.tasks import forget_alerts
from tests.conftest import NOW
from tests.factories import desk
from tests.factories.scoring import make_account, make_user
from tests.scoring.alert_world import definitions, open_handoff

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def ninety_days(settings):
    settings.ALERTS_KEPT_DAYS = 90


@pytest.fixture
def destination(db):
    return Destination.objects.create(name="Sales", channel="slack", shown="x", sealed="x", created_at=NOW)


def message(destination, status, days, **more):
    """A message of so many days ago, with a delivery in it."""
    at = NOW - days * DAY
    number = OutgoingMessage.objects.count()
    made = OutgoingMessage.objects.create(
        public_id=f"msg_{number}",
        destination=destination,
        content={},
        status=status,
        created_at=at,
        next_at=at if status == "waiting" else None,
        sent_at=at if status == "sent" else None,
        **more,
    )
    Delivery.objects.create(
        destination=destination, fact=f"alert:{number}", status="packed", created_at=at, due_at=None, message=made
    )
    return made


def test_what_arrived_long_ago_is_forgotten_with_its_deliveries(destination):
    kept = [message(destination, "sent", 89), message(destination, "waiting", 400), message(destination, "failed", 400)]
    message(destination, "sent", 90), message(destination, "sent", 400)
    assert forgetting.forget(now=NOW) == 2
    assert list(OutgoingMessage.objects.order_by("pk")) == kept
    assert {row.message for row in Delivery.objects.all()} == set(kept)
    assert forgetting.forget(now=NOW) == 0


def test_dead_letters_stay_until_they_were_put_away_and_then_for_their_days(destination, admin, manager):
    first, second = message(destination, "failed", 400), message(destination, "failed", 400)
    with pytest.raises(PermissionDenied):
        forgetting.put_away(message_ids=[first.pk], by=manager, now=NOW)
    assert forgetting.put_away(message_ids=[first.pk, 10**12], by=admin, now=NOW) == 1
    assert forgetting.put_away(message_ids=[first.pk], by=admin, now=NOW + DAY) == 0
    assert AuditEntry.objects.get(action="message.put_away").object_id == first.pk
    assert forgetting.forget(now=NOW + 89 * DAY) == 0
    assert forgetting.forget(now=NOW + 90 * DAY) == 1
    assert OutgoingMessage.objects.get() == second


def test_what_was_put_away_can_still_be_sent_again(destination, admin):
    made = message(destination, "failed", 1)
    forgetting.put_away(message_ids=[made.pk], by=admin, now=NOW)
    assert deliveries.replay(message_ids=[made.pk], by=admin, now=NOW) == 1
    made.refresh_from_db()
    assert (made.status, made.looked_at) == ("waiting", None)


def test_dead_letters_of_a_removed_destination_are_nobodys(destination):
    message(destination, "failed", 400)
    Destination.objects.update(removed_at=NOW - 90 * DAY, sealed="")
    assert forgetting.forget(now=NOW - DAY) == 0
    assert forgetting.forget(now=NOW) == 1


def test_what_was_left_out_is_forgotten_and_what_waits_is_not(destination):
    for number, (status, days) in enumerate([("skipped", 90), ("skipped", 89), ("waiting", 400)]):
        Delivery.objects.create(
            destination=destination,
            fact=f"alert:{number}",
            status=status,
            created_at=NOW - days * DAY,
            due_at=NOW if status == "waiting" else None,
            skipped_because="It was over by then." if status == "skipped" else "",
        )
    assert forgetting.forget(now=NOW) == 1
    assert sorted(Delivery.objects.values_list("fact", flat=True)) == ["alert:1", "alert:2"]


def test_a_step_is_bounded_and_the_task_goes_on(destination, monkeypatch):
    now = timezone.now()
    for _ in range(5):
        message(destination, "sent", (NOW - now).days + 400)
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    assert forgetting.forget(now=now) == 2
    forget_messages()
    assert not OutgoingMessage.objects.exists() and not Delivery.objects.exists()


def test_facts_that_were_told_and_used_links_are_forgotten(rep, monkeypatch):
    _, steady = definitions()
    handoff = open_handoff(desk.company(0, now=NOW), steady, at=NOW - 90 * DAY)
    open_handoff(desk.company(1, now=NOW), steady, at=NOW - 89 * DAY)
    untold = open_handoff(desk.company(2, now=NOW), steady, at=NOW - 400 * DAY)
    AlertFact.objects.exclude(handoff=untold).update(told_at=NOW)
    for number, days in enumerate((90, 89)):
        ClaimLinkUse.objects.create(digest=f"{number}", handoff=handoff, used_at=NOW - days * DAY, used_by=rep)
    assert alerts.forget(now=NOW) == 2
    assert AlertFact.objects.count() == 2 and AlertFact.objects.filter(handoff=untold).exists()
    assert ClaimLinkUse.objects.get().digest == "1"
    AlertFact.objects.update(told_at=NOW)
    monkeypatch.setattr(alerts, "AT_ONCE", 1)
    forget_alerts()
    assert not AlertFact.objects.filter(handoff=untold).exists()


def test_nothing_is_forgotten_where_it_is_kept_for_ever(destination, settings):
    settings.ALERTS_KEPT_DAYS = 0
    message(destination, "sent", 4000)
    AlertFact.objects.create(kind="task_created", key="1", account=desk.company(0, now=NOW), at=NOW, told_at=NOW)
    assert forgetting.forget(now=NOW + 4000 * DAY) == alerts.forget(now=NOW + 4000 * DAY) == 0


@pytest.mark.parametrize("status", ["sent", "waiting"])
def test_only_what_was_given_up_is_put_away(destination, admin, status):
    made = message(destination, status, 1)
    assert forgetting.put_away(message_ids=[made.pk], by=admin, now=NOW) == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        OutgoingMessage.objects.filter(pk=made.pk).update(looked_at=NOW)


def letter(user, account, status, days, *, sent=None):
    """A letter of so many days ago; `sent`: so many days ago it went out."""
    at = NOW - days * DAY
    number = Letter.objects.count()
    return Letter.objects.create(
        public_id=f"l{number}",
        user=user,
        account=account,
        fact=f"test:{number}",
        status=status,
        created_at=at,
        next_at=at if status == "waiting" else None,
        sent_at=None if status != "sent" else NOW - (sent or days) * DAY,
        why="" if status in ("sent", "waiting") else "because",
    )


def test_letters_that_went_out_or_were_left_out_long_ago_are_forgotten(settings, monkeypatch):
    account = make_account()
    kim = make_user(account, "kim")
    kept = [letter(kim, account, status, 400) for status in ("failed", "waiting")]  # they can still be sent
    for status in ("sent", "skipped", "sent"):
        letter(kim, account, status, 90)
    kept += [letter(kim, account, "sent", 95, sent=89), letter(kim, account, "skipped", 89)]
    settings.ALERTS_KEPT_DAYS = 0
    assert forgetting.forget(now=NOW) == 0
    settings.ALERTS_KEPT_DAYS = 90
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    assert [forgetting.forget(now=NOW) for _ in range(3)] == [2, 1, 0]
    assert list(Letter.objects.order_by("pk")) == kept
