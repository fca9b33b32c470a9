"""What goes wrong on the way out, and keeps nobody else: odd answers, long queues, poison, people who left."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from accounts.models import Delivery, OutgoingMessage
from accounts.team import deliveries, destinations
from accounts.team.deliveries import send_due
from plgops.lib import access
from tests.accounts import test_deliveries as world
from tests.accounts.test_deliveries import Channel, committed, make, offered, sweep
from tests.conftest import NOW, make_staff

words, receiver = world.words, world.receiver  # fixtures
MINUTE = dt.timedelta(minutes=1)


@committed
@pytest.mark.parametrize("status", [410, 500])
def test_an_answer_with_odd_characters_is_noted_like_any_other(receiver, manager, status):
    receiver.answer = lambda got: (status, {}, b"no\x00 \x1b[31m \xff\xfe \xed\xa0\x80 more")
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    sweep()
    message = OutgoingMessage.objects.get()
    assert message.last_error.startswith(f"Answered {status}: no [31m ") and message.last_error.endswith(" more")
    assert message.last_error.isprintable()
    assert message.status == ("failed" if status == 410 else "waiting")


@committed
def test_an_answer_that_repeats_the_address_does_not_show_it(receiver, manager):
    receiver.answer = lambda got: (404, {}, b"no route for /hook/T0001/secretpart?key=alsosecret here")
    destination = make(Channel.WEBHOOK, f"{receiver.url}/T0001/secretpart?key=alsosecret", manager)
    offered(destination, 1)
    sweep()
    destination.refresh_from_db()
    for said in (OutgoingMessage.objects.get().last_error, destination.last_error):
        assert said.startswith("Answered 404: no route for ") and "secret" not in said


@committed
def test_one_that_cannot_be_noted_costs_the_others_nothing(receiver, manager, monkeypatch):
    first, second = (make(Channel.WEBHOOK, receiver.url, manager, name=name) for name in "AB")
    offered(first, 1), offered(second, 2)
    note = deliveries._note

    def break_down(message, outcome, *, now):
        if message.destination_id == first.pk:
            raise RuntimeError("cannot be noted")
        return note(message, outcome, now=now)

    monkeypatch.setattr(deliveries, "_note", break_down)
    assert sweep() == 1
    assert OutgoingMessage.objects.get(destination=second).status == "sent"


@committed
def test_a_long_queue_of_one_does_not_keep_the_others(receiver, manager):
    crowd = make(Channel.WEBHOOK, receiver.url, manager, name="Crowd")
    other = make(Channel.WEBHOOK, receiver.url, manager, name="Other")
    offered(crowd, *range(deliveries.BATCH * 4 + 10))
    deliveries.pack(now=NOW)
    offered(other, 999, at=NOW + MINUTE)
    deliveries.pack(now=NOW + MINUTE)
    assert send_due(clock=lambda: NOW + MINUTE).claimed == 2
    assert OutgoingMessage.objects.get(destination=other).status == "sent"


@committed
@pytest.mark.parametrize("count", [1, 3])
def test_claiming_costs_the_same_for_any_number(receiver, manager, count):
    for number in range(count):
        offered(make(Channel.WEBHOOK, receiver.url, manager, name=f"{number}"), *range(count))
    deliveries.pack(now=NOW)
    with CaptureQueriesContext(connection) as made:
        assert len(deliveries._claim(now=NOW, limit=16, lease=MINUTE)) == count
    asked = [one["sql"].split()[0] for one in made if one["sql"].startswith(("SELECT", "UPDATE"))]
    assert asked == ["SELECT", "SELECT", "UPDATE"]  # whose turn it is, their messages, their leases


@committed
def test_what_stops_its_worker_each_time_is_given_up(receiver, manager, admin):
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    deliveries.pack(now=NOW)
    now = NOW
    for _ in range(deliveries.MOST_ATTEMPTS):
        assert len(deliveries._claim(now=now, limit=16, lease=MINUTE)) == 1  # and dies
        now += MINUTE
    assert deliveries._claim(now=now, limit=16, lease=MINUTE) == []
    message = OutgoingMessage.objects.get()
    assert (message.status, message.next_at) == ("failed", None)
    assert "never finished" in message.last_error
    assert deliveries.replay(message_ids=[message.pk], by=admin, now=now) == 1


@committed
def test_one_fact_that_cannot_be_said_does_not_keep_the_others_of_its_destination(receiver, manager):
    destination = make(Channel.SLACK, receiver.url, manager)
    offered(destination, 1, "poison", 2)
    assert sweep() == 1
    assert receiver.got[0].json["text"] == "2 alerts: Acme 1, Acme 2"
    assert Delivery.objects.get(fact="test:poison").due_at == NOW + deliveries.POISON_WAIT
    sweep(NOW + dt.timedelta(days=2))
    poison = Delivery.objects.get(fact="test:poison")
    assert (poison.status, poison.skipped_because) == ("skipped", "It could not be put into words.")


@pytest.fixture
def leaver(db, receiver):
    """Somebody with a Slack webhook of their own."""
    person = make_staff("leo", access.SALES_REP)
    made, _ = destinations.add(
        owner=person, channel=Channel.SLACK, name="Mine", address=receiver.url, by=person, now=NOW
    )
    return person, made


@committed
@pytest.mark.parametrize("leaves", ["is_active", "role"])
def test_who_left_is_not_told_what_had_waited_for_them(receiver, leaver, leaves):
    person, made = leaver
    offered(made, 1)
    if leaves == "role":
        person.groups.clear()
    else:
        type(person).objects.filter(pk=person.pk).update(is_active=False)
    sweep()
    assert receiver.got == []
    assert Delivery.objects.get().skipped_because == "Whose it is works here no more."


@committed
def test_who_left_is_not_told_what_is_tried_again(receiver, leaver):
    person, made = leaver
    receiver.answer = lambda got: (503, {}, b"")
    offered(made, 1)
    sweep()
    type(person).objects.filter(pk=person.pk).update(is_active=False)
    sweep(NOW + dt.timedelta(hours=1))
    assert len(receiver.got) == 1
    made.refresh_from_db()
    assert made.disabled_reason == "Whose it is works here no more."
    assert OutgoingMessage.objects.get().status == "failed"


@committed
def test_what_arrived_although_it_was_given_up_meanwhile_has_arrived(receiver, manager):
    destination = make(Channel.WEBHOOK, receiver.url, manager)
    offered(destination, 1)
    deliveries.pack(now=NOW)

    def removed_meanwhile(got):
        destinations.give_up_waiting(destination, why="It was switched off.")
        connection.close()  # of the receiver's thread
        return 200, {}, b""

    receiver.answer = removed_meanwhile
    assert send_due(clock=lambda: NOW).sent == 1
    assert OutgoingMessage.objects.get().status == "sent"  # and is not there to be sent again


@committed
def test_a_changed_secret_signs_beside_the_former_for_a_day(receiver, manager):
    destination, former = destinations.add(
        owner=None, channel=Channel.SIGNED_WEBHOOK, name="CRM", address=receiver.url, by=manager, now=NOW
    )
    now = dt.datetime.now(dt.UTC)  # the library refuses a signature that is older than minutes
    change = {"destination_id": destination.pk, "name": "CRM", "address": "", "by": manager, "new_secret": True}

    def verifies(secret):
        got = receiver.got[-1]
        try:
            return Webhook(secret).verify(got.body, got.headers) == got.json
        except WebhookVerificationError:
            return False

    _, new = destinations.change(now=now, **change)
    offered(destination, 1)
    sweep(now)
    assert verifies(new) and verifies(former)
    _, newest = destinations.change(now=now - destinations.FORMER_SIGNS, **change)
    offered(destination, 2)
    sweep(now)
    assert verifies(newest) and not verifies(new) and not verifies(former)


@committed
def test_a_digest_of_very_many_comes_once(receiver, manager, monkeypatch):
    monkeypatch.setattr(deliveries, "AT_ONCE_WORDED", 10)
    offered(make(Channel.SLACK, receiver.url, manager), *range(45), "poison", 99)
    assert sweep() == 1
    body = receiver.got[0].json
    assert body["text"].startswith("46 alerts: Acme 0, Acme 1, Acme 2 and 43 more")
    assert "And 26 more." in str(body["blocks"][-1])
    assert Delivery.objects.filter(status="packed").count() == 46
    assert len(OutgoingMessage.objects.get().content["items"]) == 20  # no more claim links are kept than are told
    assert sweep() == 0
