"""Refused messages are kept once each, as they came."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from accounts import quarantine
from accounts.models import QuarantinedMessage, Source
from accounts.quarantine import Bad
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(db):
    return Source.objects.create(name="S", prefix="plg_abcdefgh", key_hash="h", created_at=NOW)


def keep(source, *raws, context=None, sent_at=None, received_at=NOW):
    bad = [Bad(raw, "no_user_anon_id", "Nobody is named.") for raw in raws]
    return quarantine.store(source=source, messages=bad, received_at=received_at, sent_at=sent_at, context=context)


def test_store_keeps_the_message_with_reason_and_times(source):
    sent = NOW - dt.timedelta(seconds=4)
    raw = {"type": "track", "messageId": "m1", "event": "E", "properties": {"n": 1.5, "t": "ü"}}
    assert keep(source, raw, sent_at=sent) == 1
    row = QuarantinedMessage.objects.get()
    assert (row.payload, row.message_id, row.type) == (raw, "m1", "track")
    assert (row.code, row.reason) == ("no_user_anon_id", "Nobody is named.")
    assert (row.sent_at, row.received_at, row.times_seen, row.replayed_at) == (sent, NOW, 1, None)


def test_resend_is_counted_not_stored_again(source):
    raw = {"type": "track", "messageId": "m1"}
    keep(source, raw, raw)
    keep(source, {"messageId": "m1", "type": "track"}, received_at=NOW + dt.timedelta(hours=1))
    row = QuarantinedMessage.objects.get()
    assert (row.times_seen, row.received_at) == (3, NOW)


def test_two_sources_are_two_rows(source):
    other = Source.objects.create(name="T", prefix="plg_otherone", key_hash="h", created_at=NOW)
    keep(source, {"type": "track"})
    keep(other, {"type": "track"})
    assert QuarantinedMessage.objects.count() == 2


def test_context_of_the_batch_goes_into_the_message(source):
    keep(source, {"context": {"a": 1}}, {}, 7, context={"a": 0, "groupId": "g"})
    stored = list(QuarantinedMessage.objects.order_by("id").values_list("payload", flat=True))
    assert sorted(map(str, stored)) == sorted(
        map(str, [{"context": {"a": 1, "groupId": "g"}}, {"context": {"a": 0, "groupId": "g"}}, 7])
    )


@pytest.mark.parametrize(
    "raw", [None, 5, 1.5, True, "text", [], [1, {"a": None}], {}, {"type": ["x"], "messageId": {}}]
)
def test_any_json_is_kept_as_it_is(source, raw):
    keep(source, raw)
    assert QuarantinedMessage.objects.get().payload == raw


def test_what_a_database_cannot_keep_is_kept_readable(source):
    deep = []
    for _ in range(2_000):
        deep = [deep]
    keep(
        source,
        {"userId": "a\x00b", "type": "t\x00"},
        {"userId": "a\ud800"},
        {"n": float("nan"), "big": 10**400, "half": "\udc00", "k\x00": 1},
        deep,
    )
    stored = {str(payload)[:60]: payload for payload in QuarantinedMessage.objects.values_list("payload", flat=True)}
    assert len(stored) == 4
    assert {"userId": "a\ufffdb", "type": "t\ufffd"} in stored.values()
    assert {"userId": "a\ufffd"} in stored.values()
    assert {"n": None, "big": None, "half": "\ufffd", "k\ufffd": 1} in stored.values()


def test_more_than_one_statement_full_is_kept(source):
    assert keep(source, *({"messageId": f"m{i}"} for i in range(205))) == 205
    assert QuarantinedMessage.objects.count() == 205


def test_store_of_nothing_asks_nothing(source, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert keep(source) == 0


def test_one_row_per_source_and_digest(source):
    fields = {"source": source, "digest": b"d" * 16, "code": "c", "reason": "r", "payload": {}, "received_at": NOW}
    QuarantinedMessage.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        QuarantinedMessage.objects.create(**fields)
