"""Refused messages, tried again: once, with their own times, and with what is still wrong."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import ingest, replay, sources
from accounts.models import AuditEntry, Event, ProductUser, QuarantinedMessage
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

LONG = {
    "type": "track",
    "messageId": "m1",
    "userId": "u1",
    "event": "Invite Sent",
    "properties": {"text": "x" * 2_000},
    "timestamp": "2026-06-14T09:00:00Z",
}


@pytest.fixture
def source(db):
    return sources.create_source(name="Backend", by=None, now=NOW)[0]


def refuse(source, *messages, settings=None, context=None, sent_at=None):
    """Send messages that are refused, by the limit of the day where `settings` are given."""
    if settings:
        settings.INGEST_MAX_MESSAGE = 1_000
    result = ingest.accept_batch(
        source=source, messages=list(messages), received_at=NOW, sent_at=sent_at, context=context
    )
    assert result.quarantined == len(messages)
    if settings:
        settings.INGEST_MAX_MESSAGE = 32_768
    return QuarantinedMessage.objects.order_by("-id").first()


def test_replay_accepts_what_is_right_now_with_its_own_times(source, settings, admin):
    sent = NOW - dt.timedelta(hours=2)  # the sender's clock is two hours slow
    row = refuse(source, LONG, settings=settings, context={"groupId": "acme"}, sent_at=sent)
    later = NOW + dt.timedelta(days=3)
    assert replay.replay(quarantined_id=row.pk, by=admin, now=later) == replay.Replayed(True)
    event = Event.objects.select_related("account").get()
    assert (event.message_id, event.received_at, event.sent_at) == ("m1", NOW, sent)
    assert event.occurred_at == dt.datetime(2026, 6, 14, 11, 0, tzinfo=dt.UTC)
    assert event.account.external_id == "acme"
    row.refresh_from_db()
    assert row.replayed_at == later
    entry = AuditEntry.objects.get(action="quarantine.replayed")
    assert (entry.actor_id, entry.object_id, entry.at) == (admin.pk, row.pk, later)


def test_replay_happens_once(source, settings, admin):
    row = refuse(source, LONG, settings=settings)
    replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    with pytest.raises(replay.AlreadyReplayed):
        replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    QuarantinedMessage.objects.update(replayed_at=None)  # as after a crash between the two commits
    assert replay.replay(quarantined_id=row.pk, by=admin, now=NOW).accepted
    assert Event.objects.count() == 1


def test_message_without_id_that_is_sent_again_after_its_replay_is_the_same_message(source, settings, admin):
    message = {name: value for name, value in LONG.items() if name != "messageId"}
    row = refuse(source, message, settings=settings)
    assert replay.replay(quarantined_id=row.pk, by=admin, now=NOW).accepted
    again = ingest.accept_batch(source=source, messages=[message], received_at=NOW)
    assert (again.events, again.duplicates, Event.objects.count()) == (0, 1, 1)


def test_message_without_id_is_one_message_however_often_it_is_replayed(source, settings, admin):
    row = refuse(source, {**LONG, "messageId": None, "timestamp": None}, settings=settings)
    replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    QuarantinedMessage.objects.update(replayed_at=None)
    replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    assert Event.objects.count() == 1


def test_replay_says_what_is_still_wrong(source, settings, admin):
    row = refuse(source, {**LONG, "userId": None}, settings=settings)
    assert row.code == "message_too_large"
    outcome = replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    assert (outcome.accepted, outcome.code) == (False, "no_user_anon_id")
    row.refresh_from_db()
    assert (row.code, row.reason, row.replayed_at) == ("no_user_anon_id", outcome.reason, None)
    assert QuarantinedMessage.objects.count() == 1
    assert AuditEntry.objects.filter(action="quarantine.replayed").count() == 0


def test_spoilt_id_stays_refused_on_replay(source, admin):
    row = refuse(source, {**LONG, "properties": {}, "userId": "a\x00b"})
    outcome = replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    assert (outcome.accepted, outcome.code) == (False, "id_unreadable")
    assert ProductUser.objects.count() == 0


def test_resend_of_a_replayed_message_is_a_duplicate(source, settings, admin):
    row = refuse(source, LONG, settings=settings)
    replay.replay(quarantined_id=row.pk, by=admin, now=NOW)
    assert ingest.accept_batch(source=source, messages=[LONG], received_at=NOW).duplicates == 1


def test_replay_waiting_tries_what_fits_the_filter(source, settings, admin):
    other = sources.create_source(name="Other", by=None, now=NOW)[0]
    refuse(source, LONG, {**LONG, "messageId": "m2"}, {**LONG, "messageId": "m3", "userId": None}, settings=settings)
    refuse(other, LONG, settings=settings)
    refuse(source, {"type": "nonsense"})
    assert replay.replay_waiting(code="message_too_large", source_id=source.pk, by=admin, now=NOW) == (2, 1)
    assert Event.objects.count() == 2
    assert replay.replay_waiting(code="", source_id=None, by=admin, now=NOW) == (1, 2)
    assert QuarantinedMessage.objects.filter(replayed_at=None).count() == 2


# --- the pages


def test_page_shows_the_message_and_replays_it(client_of, source, settings, admin):
    row = refuse(source, {**LONG, "properties": {"text": "<script>" + "x" * 2_000}}, settings=settings)
    browser = client_of(admin)
    assert "are allowed" in browser.get("/quarantine/").content.decode()
    body = browser.get(f"/quarantine/{row.pk}/").content.decode()
    assert "&lt;script&gt;xxx" in body and "<script>xxx" not in body
    answer = browser.post(f"/quarantine/{row.pk}/replay/", follow=True).content.decode()
    assert "Accepted" in answer and "Try again" not in answer
    assert "accepted before" in browser.post(f"/quarantine/{row.pk}/replay/", follow=True).content.decode()
    assert "are allowed" not in browser.get("/quarantine/").content.decode()
    assert "are allowed" in browser.get("/quarantine/?tab=replayed").content.decode()
    assert browser.get("/quarantine/999999/").status_code == 404
    assert browser.post("/quarantine/999999/replay/").status_code == 404


def test_page_tries_all_again(client_of, source, settings, admin):
    refuse(source, LONG, {**LONG, "userId": None}, settings=settings)
    answer = client_of(admin).post("/quarantine/replay/", {"code": "", "source": ""}, follow=True).content.decode()
    assert "Tried 2 again: 1 accepted, 1 still refused" in answer


def test_page_filters(client_of, source, admin):
    other = sources.create_source(name="Other", by=None, now=NOW)[0]
    refuse(source, {"type": "nonsense", "messageId": "from-backend"})
    refuse(other, {"type": "track", "messageId": "from-other"})
    browser = client_of(admin)

    def shown(query):
        body = browser.get(f"/quarantine/{query}").content.decode()
        return [name for name in ("from-backend", "from-other") if name in body]

    assert shown("") == ["from-backend", "from-other"]
    assert shown(f"?source={other.pk}") == ["from-other"]
    assert shown("?code=type_unknown") == ["from-backend"]
    assert shown("?source=nonsense") == ["from-backend", "from-other"]
    assert shown("?code=nothing") == []


@pytest.mark.parametrize("role", ["rep", "viewer", "stranger"])
def test_only_those_who_may_see_quarantine(client_of, request, role):
    browser = client_of(request.getfixturevalue(role))
    assert browser.get("/quarantine/").status_code == 403
    assert browser.get("/quarantine/1/").status_code == 403
    assert browser.post("/quarantine/replay/").status_code == 403
    assert browser.post("/quarantine/1/replay/").status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_list_costs_the_same_for_any_number_of_rows(client_of, admin, source, rows, django_assert_num_queries):
    browser = client_of(admin)
    refuse(source, *({"type": "nonsense", "n": n} for n in range(rows)))
    with django_assert_num_queries(5):  # session, user, roles, messages, sources
        body = browser.get("/quarantine/").content.decode()
    assert body.count("type_unknown") == rows


def test_list_does_not_read_the_messages_themselves(client_of, admin, source):
    refuse(source, {"type": "nonsense"})
    browser = client_of(admin)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        browser.get("/quarantine/")
    assert not any('"payload"' in query["sql"] for query in queries)
