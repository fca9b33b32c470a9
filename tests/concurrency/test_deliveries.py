"""Alerts under kills and races: none lost, none doubled."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Delivery, OutgoingMessage
from accounts.team import deliveries, destinations, sealed
from plgops.lib import access
from scoring import alert_fan_out, alert_rules, claim_links
from scoring.alerts import tell
from scoring.models import AlertFact, AlertRule, ClaimLinkUse
from tests.concurrency import killing
from tests.concurrency.races import at_once
from tests.conftest import make_staff
from tests.factories import desk
from tests.receivers import receiving
from tests.scoring.alert_world import definitions, open_handoff, wanted

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def world(settings):
    """Three receivers that want everything, and an account."""
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    boss = make_staff("boss", access.ADMIN)
    company = desk.company(0, now=timezone.now())
    with contextlib.ExitStack() as stack:
        receivers = {}
        for number in range(3):
            receiver = stack.enter_context(receiving())
            made, _ = destinations.add(
                owner=None, channel="signed", name=f"{number}", address=receiver.url, by=boss, now=timezone.now()
            )
            alert_rules.save(destination_id=made.pk, wanted=wanted(), by=boss, now=timezone.now())
            receivers[made.pk] = receiver
        yield receivers, company


def test_a_worker_that_is_killed_loses_and_doubles_nothing(world):
    receivers, company = world
    counted = killing.run(receivers, company.pk, facts=60, kills=10, seed=4)
    assert (counted.arrived, counted.under_two_ids) == (counted.expected, 0)
    assert OutgoingMessage.objects.exclude(status="sent").count() == 0


def test_sweeps_at_once_deliver_each_fact_once(world):
    receivers, company = world
    for number in range(40):
        tell(
            AlertFact.Kind.TASK_CREATED,
            handoff=None,
            account_id=company.pk,
            now=timezone.now(),
            detail={"number": number},
            key=str(number),
        )

    def sweep():
        for _ in range(60):
            alert_fan_out.fan_out(now=timezone.now(), limit=9)
            deliveries.pack(now=timezone.now())
            deliveries.send_due(clock=timezone.now, limit=3)

    assert at_once(*[sweep] * 6, timeout=120) == [None] * 6
    assert Delivery.objects.filter(status="packed").count() == 120
    for receiver in receivers.values():
        assert set(receiver.ids.values()) == {1}
        assert len(receiver.got) == 40


@pytest.mark.parametrize("cap", [1, 3])
def test_sweeps_at_once_keep_to_the_cap_of_alerts_about_an_account(world, cap):
    _, company = world
    AlertRule.objects.update(per_account=cap)
    for number in range(24):
        tell(
            AlertFact.Kind.TASK_CREATED,
            handoff=None,
            account_id=company.pk,
            now=timezone.now(),
            detail={},
            key=f"{number}",
        )
    at_once(*[lambda: [alert_fan_out.fan_out(now=timezone.now(), limit=1) for _ in range(8)]] * 4)
    told = Counter(Delivery.objects.filter(status="waiting").values_list("destination_id", flat=True))
    assert set(told.values()) == {cap}
    assert Delivery.objects.count() == 3 * 24


def test_a_claim_link_pressed_twice_at_once_claims_once():
    now = timezone.now()
    rep = make_staff("dana", access.SALES_REP)
    handoff = open_handoff(desk.company(0, now=now), definitions()[1], at=now)
    url = claim_links.address(handoff_id=handoff.pk, recipient_id=rep.pk, fact_id=1, at=now)
    link = claim_links.read(url.rstrip("/").rsplit("/", 1)[1], now=now)
    results = at_once(*[lambda: claim_links.claim(link, by=rep, now=now)] * 6)
    assert [type(result).__name__ for result in results].count("Handoff") == 1
    assert {type(result).__name__ for result in results} == {"Handoff", "Used"}
    assert ClaimLinkUse.objects.count() == 1


def test_a_destination_switched_off_while_it_is_packed_gets_nothing(world):
    receivers, company = world
    (first, *_) = receivers
    tell(AlertFact.Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=timezone.now(), detail={}, key="1")
    alert_fan_out.fan_out(now=timezone.now())

    def switch_off():
        with transaction.atomic():
            destinations.switch_off(destinations.locked(first), why="Answered 410", now=timezone.now())

    at_once(switch_off, lambda: deliveries.pack(now=timezone.now()))
    deliveries.pack(now=timezone.now())
    deliveries.send_due(clock=timezone.now)
    assert receivers[first].got == []
    assert not OutgoingMessage.objects.filter(destination_id=first, status__in=["waiting", "sent"]).exists()
    assert AlertRule.objects.count() == 3


def test_two_who_save_the_same_destination_at_once_both_count(settings):
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    now, boss = timezone.now(), make_staff("boss", access.ADMIN)
    made, _ = destinations.add(owner=None, channel="signed", name="A", address="http://old.test/", by=boss, now=now)
    save = {"destination_id": made.pk, "wanted": wanted(), "by": boss, "now": now}
    saved = at_once(*[lambda: alert_rules.save(**save).pk] * 4)
    assert saved == [AlertRule.objects.get().pk] * 4  # the first time, too: one row, and nobody's request breaks
    change = {"destination_id": made.pk, "name": "A", "by": boss, "now": now}
    for number in range(10):
        url = f"http://new.test/{number}"
        _, (_, secret) = at_once(
            lambda url=url: destinations.change(address=url, **change),
            lambda: destinations.change(address="", new_secret=True, **change),
        )
        made.refresh_from_db()
        kept = sealed.unseal(made.sealed)
        assert (kept["url"], kept["secret"]) == (url, secret)
