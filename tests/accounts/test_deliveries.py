"""The outbox: one row per recipient and fact, packed when due, sent outside transactions, and what comes of it."""

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from standardwebhooks import Webhook

from accounts.models import AuditEntry, Delivery, Destination, OutgoingMessage
from accounts.team import channels, deliveries, destinations
from accounts.team.deliveries import Offer, backoff, offer, pack, replay, send_due
from accounts.team.messages import Item
from tests.conftest import NOW
from tests.receivers import mail_server, receiving

MINUTE = dt.timedelta(minutes=1)
Channel = Destination.Channel
Status = OutgoingMessage.Status
OVER: set[str] = set()  # keys of facts that are over by the time they are told


def say(keys, destination, *, now):
    """Words for the facts of these tests."""
    if "poison" in keys:
        raise RuntimeError("cannot be said")
    return {
        key: None
        if key in OVER
        else Item(
            kind="handoff_opened",
            at=NOW.isoformat(),
            subject=f"Acme {key}",
            headline="came into the inbox",
            why=["3 people invited", "5 workflows completed"],
            owner="Dana Whitfield",
            url=f"http://plgops.test/inbox/{key}/",
            claim_url=f"http://plgops.test/claim/{key}/",
            data={"account_id": int(key)},
        )
        for key in keys
    }


@pytest.fixture(autouse=True)
def words(settings):
    OVER.clear()
    settings.DELIVERY_WORDS = {"test": "tests.accounts.test_deliveries.say"}
    settings.ALLOW_PRIVATE_WEBHOOKS = True


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def make(channel, address, manager, name="Sales"):
    return destinations.add(owner=None, channel=channel, name=name, address=address, by=manager, now=NOW)[0]


def offered(destination, *keys, at=NOW):
    with transaction.atomic():
        offer([Offer(destination.pk, f"test:{key}", None, at) for key in keys], now=NOW)


def sweep(now=NOW):
    """Pack and send once, as the task does, outside a transaction; what was sent."""
    pack(now=now)
    return send_due(clock=lambda: now).sent


# A transaction around each test would be the one thing that must not be: sending refuses it.
committed = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@committed
def test_a_fact_reaches_its_destination_once(receiver, manager):
    destination = make(Channel.SIGNED_WEBHOOK, receiver.url, manager)
    offered(destination, 1, 2)
    offered(destination, 1)
    assert Delivery.objects.count() == 2
    sweep(), sweep(), sweep()
    assert sorted(got.json["data"]["subject"] for got in receiver.got) == ["Acme 1", "Acme 2"]
    assert set(OutgoingMessage.objects.values_list("status", flat=True)) == {"sent"}
    assert sweep(NOW + dt.timedelta(days=1)) == 0


@committed
def test_a_signed_webhook_is_what_standard_webhooks_says(receiver, manager):
    destination, secret = destinations.add(
        owner=None, channel=Channel.SIGNED_WEBHOOK, name="CRM", address=receiver.url, by=manager, now=NOW
    )
    assert secret.startswith("whsec_")
    offered(destination, 7)
    now = dt.datetime.now(dt.UTC)  # the library refuses a signature that is older than minutes
    sweep(now)
    got = receiver.got[0]
    assert Webhook(secret).verify(got.body, got.headers) == got.json
    assert got.json["type"] == "handoff.opened"
    assert got.json["data"] == {
        "account_id": 7,
        "subject": "Acme 7",
        "headline": "came into the inbox",
        "why": ["3 people invited", "5 workflows completed"],
        "owner": "Dana Whitfield",
        "url": "http://plgops.test/inbox/7/",
    }
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(destinations._new_secret()).verify(got.body, got.headers)


@committed
def test_a_plain_webhook_has_the_id_and_no_signature(receiver, manager):
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    sweep()
    headers = receiver.got[0].headers
    assert headers["webhook-id"] == OutgoingMessage.objects.get().public_id
    assert "webhook-signature" not in headers


@committed
def test_what_is_due_together_is_one_message_in_a_channel_that_people_read(receiver, manager):
    destination = make(Channel.SLACK, receiver.url, manager)
    offered(destination, 1, 2, 3)
    offered(destination, 4, at=NOW + MINUTE)
    assert sweep() == 1
    body = receiver.got[0].json
    assert body["text"] == "3 alerts: Acme 1, Acme 2, Acme 3"
    assert "*<http://plgops.test/inbox/2/|Acme 2>* came into the inbox" in str(body["blocks"])
    buttons = [b["elements"][0]["url"] for b in body["blocks"] if b["type"] == "actions"]
    assert buttons == [f"http://plgops.test/claim/{key}/" for key in (1, 2, 3)]
    sweep(NOW + MINUTE)
    assert receiver.got[1].json["text"] == "Acme 4 came into the inbox"


@committed
def test_a_card_for_teams(receiver, manager):
    offered(make(Channel.TEAMS, receiver.url, manager), 1)
    sweep()
    body = receiver.got[0].json
    card = body["attachments"][0]["content"]
    assert body["type"] == "message"
    assert body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in card["body"]] == [
        "**Acme 1** came into the inbox",
        "- 3 people invited\n- 5 workflows completed",
        "With Dana Whitfield",
    ]
    assert [action["url"] for action in card["actions"]] == [
        "http://plgops.test/claim/1/",
        "http://plgops.test/inbox/1/",
    ]


@committed
def test_mail_goes_through_a_mail_server_with_an_id_that_stays(settings, manager):
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = box.host, box.port
        offered(make(Channel.EMAIL, "sales@plgops.test", manager), 1, 2)
        assert sweep() == 1
    mail = box.mails[0]
    assert mail["To"] == "sales@plgops.test"
    assert mail["Subject"] == "2 alerts: Acme 1, Acme 2"
    assert mail["Message-ID"] == f"<{OutgoingMessage.objects.get().public_id}@127.0.0.1>"
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert "Acme 1 came into the inbox\n  - 3 people invited\n  - 5 workflows completed" in text
    assert "Claim: http://plgops.test/claim/2/" in text
    html = mail.get_body(("html",)).get_content()
    assert "<a href='http://plgops.test/claim/2/'><b>Claim Acme 2</b></a>" in html


@committed
def test_an_address_that_the_mail_server_refuses_for_good_is_switched_off(settings, manager):
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = box.host, box.port
        box.refuses = {
            "left@plgops.test": "550 5.1.1 No such user",
            "full@plgops.test": "452 4.2.2 Mailbox full",
            "policy@plgops.test": "554 5.7.1 Relay access denied",
        }
        for name in ("left", "full", "policy"):
            offered(make(Channel.EMAIL, f"{name}@plgops.test", manager, name=name), 1)
        sweep()
    left, full, policy = Destination.objects.order_by("id")
    assert left.disabled_reason == "The mail server refused the address: 550 5.1.1 No such user"
    assert (full.disabled_at, policy.disabled_at) == (None, None)
    assert "452 4.2.2" in full.last_error
    assert [m.status for m in OutgoingMessage.objects.order_by("id")] == ["failed", "waiting", "waiting"]


@committed
def test_without_a_mail_server_mail_is_a_file(settings, tmp_path, manager):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "outbox"
    offered(make(Channel.EMAIL, "sales@plgops.test", manager), 1)
    assert sweep() == 1
    (file,) = (tmp_path / "outbox").iterdir()
    assert "Subject: Acme 1 came into the inbox" in file.read_text()


@committed
def test_gone_switches_the_destination_off_with_its_reason(receiver, manager, admin):
    receiver.answer = lambda got: (410, {}, b"this hook was removed")
    destination = make(Channel.WEBHOOK, receiver.url, manager)
    offered(destination, 1, 2)
    offered(destination, 3, at=NOW + MINUTE)
    sweep()
    destination.refresh_from_db()
    assert destination.disabled_reason == "Answered 410: this hook was removed"
    assert len(receiver.got) == 1
    assert [m.status for m in OutgoingMessage.objects.all()] == ["failed", "failed"]
    assert AuditEntry.objects.filter(action="destination.switched_off", object_id=destination.pk).count() == 1
    sweep(NOW + MINUTE)
    assert Delivery.objects.get(fact="test:3").status == "waiting"  # not packed, so nobody had to give it up
    ids = list(OutgoingMessage.objects.values_list("pk", flat=True))
    assert replay(message_ids=ids, by=admin, now=NOW) == 0  # nothing is taken there yet
    receiver.answer = lambda got: (200, {}, b"")
    destinations.enable(destination_id=destination.pk, by=manager, now=NOW)
    assert replay(message_ids=ids, by=admin, now=NOW) == 2
    sweep(NOW + MINUTE), sweep(NOW + MINUTE), sweep(NOW + MINUTE)
    assert [m.status for m in OutgoingMessage.objects.all()] == ["sent"] * 3


@pytest.mark.parametrize(("days", "told"), [(2, 2), (3, 0)])
@committed
def test_a_bundle_that_was_due_while_its_destination_was_off_is_told_when_it_is_on_again(receiver, manager, days, told):
    destination = make(Channel.SLACK, receiver.url, manager)
    offered(destination, 1, 2, at=NOW + MINUTE)
    with transaction.atomic():
        destinations.switch_off(destinations.locked(destination.pk), why="Answered 410", now=NOW)
    later = NOW + MINUTE + dt.timedelta(days=days)
    assert (sweep(NOW + MINUTE), sweep(later)) == (0, 0)
    destinations.enable(destination_id=destination.pk, by=manager, now=later)
    sweep(later)
    assert len(receiver.got) == bool(told)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"packed" if told else "skipped"}
    if told:
        assert OutgoingMessage.objects.get().content["title"] == "2 alerts: Acme 1, Acme 2"
    else:
        why = set(Delivery.objects.values_list("skipped_because", flat=True))
        assert why == {"Its destination was switched off for too long."}


@committed
def test_what_waited_for_a_destination_that_is_removed_is_left_out(receiver, manager):
    destination = make(Channel.SLACK, receiver.url, manager)
    offered(destination, 1, at=NOW + MINUTE)
    with transaction.atomic():
        destinations.switch_off(destinations.locked(destination.pk), why="Answered 410", now=NOW)
    destinations.remove(destination_id=destination.pk, by=manager, now=NOW)
    assert sweep(NOW + MINUTE) == 0
    assert Delivery.objects.get().skipped_because == "Its destination takes nothing."


@committed
def test_a_failure_is_tried_again_later_and_later_and_given_up_in_the_end(receiver, manager):
    receiver.answer = lambda got: (503, {}, b"busy")
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    now, tries = NOW, []
    for _ in range(deliveries.MOST_ATTEMPTS):
        sweep(now)
        tries.append(now)
        message = OutgoingMessage.objects.get()
        assert sweep(now) == 0  # not before its time
        now = (message.next_at or now) + dt.timedelta(minutes=10)
    assert len(receiver.got) == deliveries.MOST_ATTEMPTS
    assert len(receiver.ids) == 1  # the same id every time
    assert (message.status, message.attempts, message.last_error) == ("failed", 10, "Answered 503: busy")
    destination = Destination.objects.get()
    assert (destination.failures, destination.disabled_at) == (10, None)
    sweep(now + dt.timedelta(days=30))
    assert len(receiver.got) == deliveries.MOST_ATTEMPTS


def test_waits_double_have_a_top_and_differ():
    waits = [backoff(number) for number in range(1, 11)]
    expected = [min(10 * 4**number, 6 * 3600) for number in range(10)]
    for wait, seconds in zip(waits, expected, strict=True):
        assert seconds * 0.75 <= wait.total_seconds() <= seconds * 1.25
    assert len({backoff(3) for _ in range(20)}) > 1


@committed
def test_a_receiver_that_names_a_time_is_left_alone_until_then(receiver, manager):
    receiver.answer = lambda got: (429, {"Retry-After": "1200"}, b"")
    destination = make(Channel.SLACK, receiver.url, manager)
    offered(destination, 1)
    sweep()
    assert OutgoingMessage.objects.get().next_at == NOW + 20 * MINUTE
    offered(destination, 2)
    sweep(NOW + 10 * MINUTE)
    assert len(receiver.got) == 1
    receiver.answer = lambda got: (200, {}, b"")
    sweep(NOW + 20 * MINUTE), sweep(NOW + 20 * MINUTE)
    assert len(receiver.got) == 3
    destination.refresh_from_db()
    assert (destination.failures, destination.paused_until, destination.last_error) == (0, None, "")


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("", None),
        ("90", dt.timedelta(seconds=90)),
        ("Mon, 15 Jun 2026 09:05:00 GMT", 5 * MINUTE),
        ("Mon, 15 Jun 2026 08:00:00 GMT", dt.timedelta(0)),
        ("999999999999", channels.LONGEST_WAIT),
        ("soon", None),
    ],
)
def test_how_long_a_receiver_asks_to_be_left_alone(asked, wait):
    assert channels._asked(asked, NOW) == wait


@committed
def test_one_that_is_down_does_not_keep_the_others(receiver, manager):
    with receiving() as closed:
        down = closed.url
    offered(make(Channel.WEBHOOK, down, manager, name="Down"), *range(1, 30))
    offered(make(Channel.WEBHOOK, receiver.url, manager, name="Up"), 1)
    pack(now=NOW)
    assert send_due(clock=lambda: NOW).claimed == 2
    assert len(receiver.got) == 1
    assert send_due(clock=lambda: NOW).claimed == 0  # paused after its failure


@committed
def test_a_private_host_is_refused_and_said(settings, receiver, manager):
    destination = make(Channel.WEBHOOK, receiver.url, manager)
    settings.ALLOW_PRIVATE_WEBHOOKS = False
    offered(destination, 1)
    sweep()
    assert receiver.got == []
    assert OutgoingMessage.objects.get().last_error == "The address must begin with https://."


@committed
def test_what_is_over_when_it_would_be_told_is_left_out(receiver, manager):
    OVER.add("2")
    offered(make(Channel.SLACK, receiver.url, manager), 1, 2)
    sweep()
    assert receiver.got[0].json["text"] == "Acme 1 came into the inbox"
    assert Delivery.objects.get(fact="test:2").skipped_because == "It was over by then."


@committed
def test_what_cannot_be_worded_waits_alone(receiver, manager):
    offered(make(Channel.SLACK, receiver.url, manager, name="A"), "poison")
    offered(make(Channel.SLACK, receiver.url, manager, name="B"), 1)
    assert sweep() == 1
    assert Delivery.objects.get(fact="test:poison").due_at == NOW + deliveries.POISON_WAIT


@committed
def test_a_worker_that_dies_leaves_it_to_the_next_under_the_same_id(receiver, manager, monkeypatch):
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    pack(now=NOW)

    def die(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(deliveries, "_note", die)  # it was sent, and the worker dies before it can say so
        with pytest.raises(SystemExit):
            send_due(clock=lambda: NOW)
    assert send_due(clock=lambda: NOW + MINUTE).claimed == 0  # its lease stands
    assert send_due(clock=lambda: NOW + deliveries.LEASE).sent == 1
    assert [*receiver.ids.values()] == [2]  # twice under one id: to a receiver that looks, once


@committed
def test_who_was_overtaken_writes_nothing(receiver, manager):
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    pack(now=NOW)
    (slow,) = deliveries._claim(now=NOW, limit=16, lease=MINUTE)
    assert send_due(clock=lambda: NOW + MINUTE).sent == 1
    assert deliveries._note(slow, channels.Retry("too late"), now=NOW + 2 * MINUTE) == 0
    assert OutgoingMessage.objects.get().status == "sent"
    assert Destination.objects.get().failures == 0


@pytest.mark.django_db
def test_nothing_is_sent_inside_a_transaction(receiver, manager):
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    pack(now=NOW)
    assert connection.in_atomic_block
    with pytest.raises(RuntimeError, match="never sent inside"):
        send_due(clock=lambda: NOW)
    assert receiver.got == []


@committed
def test_what_the_libraries_did_not_foresee_is_a_failure_like_any_other(receiver, manager, monkeypatch, caplog):
    def break_down(*args, **kwargs):
        raise KeyError(receiver.url)

    monkeypatch.setattr(deliveries, "send", break_down)
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    sweep()
    assert OutgoingMessage.objects.get().last_error == "It could not be sent (KeyError)."
    assert receiver.url not in caplog.text


@committed
def test_another_secret_key_only_holds_up_what_it_sealed(settings, receiver, manager):
    destination = make(Channel.WEBHOOK, receiver.url, manager)
    offered(destination, 1)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, long enough to be one, for this test only"
    sweep()
    destination.refresh_from_db()
    assert destination.takes_messages and "SECRET_KEY has changed" in destination.last_error
    assert not receiver.got
    settings.SECRET_KEY_FALLBACKS = [former]
    sweep(NOW + dt.timedelta(days=1))
    assert len(receiver.got) == 1


@pytest.mark.django_db
def test_only_admins_replay(manager):
    with pytest.raises(PermissionDenied):
        replay(message_ids=[1], by=manager, now=NOW)


# --- constraints --------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(db):
    return Destination.objects.create(name="Sales", channel="slack", shown="x", sealed="x", created_at=NOW)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Sales"},
        {"channel": "pigeon"},
        {"disabled_at": NOW},
        {"disabled_reason": "gone"},
        {"removed_at": NOW},
        {"sealed": ""},
        {"failures": -1},
    ],
)
def test_a_destination_that_the_database_refuses(kept, values):
    row = {"name": "Other", "channel": "slack", "shown": "x", "sealed": "x", "created_at": NOW} | values
    with pytest.raises(IntegrityError), transaction.atomic():
        Destination.objects.create(**row)


def test_a_person_has_a_name_once(kept, rep):
    row = {"owner": rep, "channel": "slack", "shown": "x", "sealed": "x", "created_at": NOW, "name": "Sales"}
    Destination.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Destination.objects.create(**row)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "sent"},
        {"sent_at": NOW},
        {"next_at": None},
        {"status": "failed"},
        {"attempts": -1},
        {"public_id": "msg_1"},
    ],
)
def test_a_message_that_the_database_refuses(kept, values):
    row = {"public_id": "msg_1", "destination": kept, "content": {}, "created_at": NOW, "next_at": NOW}
    OutgoingMessage.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutgoingMessage.objects.create(**row | {"public_id": "msg_2"} | values)


@pytest.mark.parametrize(
    "values",
    [
        {"fact": "test:1"},
        {"status": "packed", "due_at": None},
        {"status": "skipped", "due_at": None},
        {"due_at": None},
        {"skipped_because": "why"},
    ],
)
def test_a_delivery_that_the_database_refuses(kept, values):
    row = {"destination": kept, "fact": "test:1", "created_at": NOW, "due_at": NOW}
    Delivery.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(**row | {"fact": "test:2"} | values)
