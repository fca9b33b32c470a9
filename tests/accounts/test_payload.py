"""One message: what is understood, how it is made uniform, and what is refused with which code."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from accounts.payload import Message, Refused, parse, read_time

UTC = dt.UTC
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


def read(raw, *, sent_at=None, context=None, received_at=NOW) -> Message:
    return parse(
        raw, received_at=received_at, sent_at=sent_at, context=context, skew_seconds=300, max_message_bytes=32_768
    )


def track(**fields) -> dict:
    return {"type": "track", "userId": "u1", "event": "Invite Sent", **fields}


def refused(raw, **kwargs) -> str:
    with pytest.raises(Refused) as caught:
        read(raw, **kwargs)
    assert caught.value.reason
    return caught.value.code


def test_track_is_read_whole():
    message = read(
        {
            "type": "track",
            "messageId": "m-1",
            "userId": "u1",
            "anonymousId": None,
            "event": " Invite Sent ",
            "timestamp": "2026-06-15T08:59:00.000Z",
            "properties": {"invitee_email": "a@b.example"},
            "context": {"groupId": 42, "library": {"name": "x"}},
            "integrations": {"All": True},
            "channel": "server",
            "_metadata": {},
        },
        sent_at=NOW,
    )
    at = dt.datetime(2026, 6, 15, 8, 59, tzinfo=UTC)
    assert message == Message(
        type="track",
        message_id="m-1",
        user_key="u:u1",
        anonymous_key="",
        account_key="g:42",
        previous_id="",
        event="Invite Sent",
        occurred_at=at,
        original_at=at,
        sent_at=NOW,
        received_at=NOW,
        properties={"invitee_email": "a@b.example"},
        traits={},
        context={"groupId": 42, "library": {"name": "x"}},
    )


@pytest.mark.parametrize(
    ("value", "key"),
    [("acme", "g:acme"), (42, "g:42"), (42.0, "g:42"), (1.5, "g:1.5"), (" acme ", "g:acme"), (10**18, f"g:{10**18}")],
)
def test_group_id_may_be_a_number(value, key):
    assert read({"type": "group", "userId": "u1", "groupId": value}).account_key == key


@pytest.mark.parametrize("kind", ["track", "page", "screen", "identify"])
def test_account_comes_from_root_group_id_before_context(kind):
    raw = {"type": kind, "userId": "u1", "event": "E"}
    assert read({**raw, "context": {"groupId": "c"}}).account_key == "g:c"
    assert read({**raw, "groupId": "r", "context": {"groupId": "c"}}).account_key == "g:r"
    assert read({**raw, "context": {"groupId": None}}).account_key == ""


@pytest.mark.parametrize(
    "nobody",
    [
        None, "", "  ", "undefined", "[object Object]", "NaN", "None", "0", "true", "false", "null", "NULL",
        "anonymous", "Anonymous", "-1", "000", "00000000-0000-0000-0000-000000000000", "---", 0, -1, True, False,
    ],
)  # fmt: skip
def test_blocked_ids_name_nobody(nobody):
    assert refused(track(userId=nobody)) == "no_user_anon_id"
    assert read(track(userId=nobody, anonymousId="a1")).user_key == ""
    assert read(track(anonymousId=nobody)).anonymous_key == ""
    assert read(track(context={"groupId": nobody})).account_key == ""
    assert refused({"type": "group", "userId": "u1", "groupId": nobody}) == "id_required"
    assert refused({"type": "alias", "userId": "u1", "previousId": nobody}) == "id_required"


def test_group_without_person_is_about_the_account():
    message = read({"type": "group", "groupId": "acme", "traits": {"plan": "team"}})
    assert (message.user_key, message.account_key, message.traits) == ("", "g:acme", {"plan": "team"})


def test_alias_keeps_both_ids():
    message = read({"type": "alias", "previousId": "anon-7", "userId": "u1"})
    assert (message.previous_id, message.user_key) == ("anon-7", "u:u1")
    assert refused({"type": "alias", "previousId": "anon-7", "anonymousId": "x"}) == "id_required"


def test_identify_traits_may_be_in_the_context_and_root_wins():
    raw = {"type": "identify", "userId": "u1", "context": {"traits": {"plan": "free", "name": "Ann"}}}
    assert read(raw).traits == {"plan": "free", "name": "Ann"}
    assert read({**raw, "traits": {"plan": "team"}}).traits == {"plan": "team", "name": "Ann"}
    assert read({**raw, "traits": None}).traits == {"plan": "free", "name": "Ann"}
    assert read({**raw, "traits": {"plan": None}}).traits == {"plan": None, "name": "Ann"}  # null is set, not absent


@pytest.mark.parametrize("kind", ["track", "page", "group"])
def test_context_traits_of_other_calls_are_not_the_profile(kind):
    raw = {"type": kind, "userId": "u1", "event": "E", "groupId": "g", "context": {"traits": {"plan": "x"}}}
    assert read(raw).traits == {}


def test_batch_context_is_under_the_messages_own():
    message = read(track(context={"app": "web"}), context={"app": "batch", "groupId": "acme"})
    assert message.context == {"app": "web", "groupId": "acme"}
    assert message.account_key == "g:acme"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (5, "message_not_object"),
        (None, "message_not_object"),
        ([], "message_not_object"),
        ("track", "message_not_object"),
        ({}, "type_unknown"),
        ({"type": "merge", "userId": "u"}, "type_unknown"),
        ({"type": 5, "userId": "u"}, "type_unknown"),
        ({"type": "track", "userId": "u"}, "event_not_defined"),
        (track(event=""), "event_not_defined"),
        (track(event="   "), "event_not_defined"),
        (track(event=5), "event_not_string"),
        (track(event="e" * 201), "event_too_long"),
        (track(properties=[1]), "properties_not_object"),
        (track(properties="x"), "properties_not_object"),
        (track(context="x"), "context_not_object"),
        (track(userId={"id": 1}), "id_not_string"),
        (track(userId=["u"]), "id_not_string"),
        (track(userId="u" * 191), "id_too_long"),
        (track(userId="a\x00b"), "id_unreadable"),
        (track(userId="a\ud800"), "id_unreadable"),
        (track(messageId={}), "id_not_string"),
        (track(messageId=True), "id_not_string"),
        ({"type": "identify", "userId": "u", "traits": "x"}, "traits_not_object"),
        ({"type": "group", "userId": "u", "groupId": "g", "traits": []}, "traits_not_object"),
        ({"type": "page", "userId": "u", "properties": 1}, "properties_not_object"),
        ({"type": "page", "userId": "u", "name": 1}, "name_not_string"),
        ({"type": "screen", "userId": "u", "category": []}, "category_not_string"),
        (track(properties={"x": "y" * 33_000}), "message_too_large"),
        (track(timestamp="yesterday"), "timestamp_invalid"),
        (track(timestamp={}), "timestamp_invalid"),
        (track(timestamp=True), "timestamp_invalid"),
        (track(timestamp="2026-02-30T00:00:00Z"), "timestamp_invalid"),
        (track(timestamp=1e30), "timestamp_invalid"),
        (track(timestamp=0), "timestamp_out_of_range"),
        (track(timestamp="1970-01-01T00:00:00Z"), "timestamp_out_of_range"),
        (track(timestamp="0001-01-01T00:00:00Z"), "timestamp_out_of_range"),
        (track(timestamp="2026-06-16T09:00:01Z"), "timestamp_out_of_range"),
        (track(timestamp="9999-12-31T23:59:59Z"), "timestamp_out_of_range"),
    ],
)
def test_wrong_messages_are_refused_with_their_code(raw, code):
    assert refused(raw) == code


def test_garbage_time_is_told_in_the_reason():
    with pytest.raises(Refused) as caught:
        read(track(timestamp="soon"))
    assert caught.value.reason == "timestamp is not a time: “soon”."


def test_limits_are_inclusive():
    assert read(track(event="e" * 200)).event == "e" * 200
    assert read(track(userId="u" * 190)).user_key == "u:" + "u" * 190
    assert read(track(timestamp="2026-06-16T09:00:00Z")).occurred_at == NOW + dt.timedelta(days=1)
    envelope = len(json.dumps(track(properties={"x": ""}), separators=(",", ":")))
    assert read(track(properties={"x": "y" * (32_768 - envelope)})).event == "Invite Sent"
    assert refused(track(properties={"x": "y" * (32_769 - envelope)})) == "message_too_large"


def test_message_id_is_kept_up_to_100_characters_then_digested():
    assert read(track(messageId="m" * 100)).message_id == "m" * 100
    digested = read(track(messageId="m" * 101)).message_id
    assert digested.startswith("sha256:") and len(digested) == 71
    assert digested == read(track(messageId="m" * 101)).message_id
    assert digested != read(track(messageId="m" * 102)).message_id
    assert read(track(messageId=17)).message_id == "17"
    assert read(track(messageId=None)).message_id == ""


def test_null_properties_traits_and_context_are_absent():
    message = read(track(properties=None, context=None, traits=None))
    assert (message.properties, message.context, message.traits) == ({}, {}, {})


def test_what_a_database_cannot_keep_is_made_harmless():
    message = read(
        track(properties={"nul": "a\x00b", "half": "x\ud83d", "nan": float("nan"), "inf": float("inf"), "big": 2**80})
    )
    assert message.properties == {"nul": "a\ufffdb", "half": "x\ufffd", "nan": None, "inf": None, "big": 2.0**80}
    assert read(track(properties={"k\x00": 1})).properties == {"k\ufffd": 1}
    assert read(track(properties={"nan": float("nan"), "n": 2})).properties == {"nan": None, "n": 2}
    assert read(track(properties={"text": "\\u0000"})).properties == {"text": "\\u0000"}  # six characters, no NUL


def test_nesting_has_a_limit():
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = [value]
        return track(properties={"x": value})

    assert read(nested(200)).event == "Invite Sent"
    assert refused(nested(300)) == "nested_too_deep"
    assert refused(nested(50_000)) == "nested_too_deep"


AT = dt.datetime(2026, 6, 15, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-06-15T08:30:00Z", AT),
        ("2026-06-15T08:30:00+00:00", AT),
        ("2026-06-15T10:30:00+02:00", AT),
        ("2026-06-15T10:30:00+0200", AT),
        ("2026-06-15T08:30:00", AT),
        ("2026-06-15 08:30:00", AT),
        ("2026-06-15T08:30:00.250Z", AT + dt.timedelta(milliseconds=250)),
        ("2026-06-15T08:30:00.000123Z", AT + dt.timedelta(microseconds=123)),
        ("2026-06-15T08:30:00.000123456Z", AT + dt.timedelta(microseconds=123)),
        ("2026-06-15", dt.datetime(2026, 6, 15, tzinfo=UTC)),
        (int(AT.timestamp()), AT),
        (AT.timestamp() + 0.5, AT + dt.timedelta(milliseconds=500)),
        (int(AT.timestamp() * 1_000) + 7, AT + dt.timedelta(milliseconds=7)),
        (int(AT.timestamp() * 1_000_000) + 9, AT + dt.timedelta(microseconds=9)),
        (str(int(AT.timestamp())), AT),
        (str(int(AT.timestamp() * 1_000)), AT),
        (AT, AT),
        ("", None),
        ("08:30", None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        ([], None),
    ],
)
def test_times_are_read_in_every_usual_form(value, at):
    assert read_time(value) == at


def test_time_without_any_is_the_arrival():
    message = read(track(), sent_at=NOW - dt.timedelta(days=3))
    assert (message.occurred_at, message.original_at) == (NOW, None)


@pytest.mark.parametrize(
    ("off", "corrected"),
    [(0, 0), (299, 0), (300, 0), (301, 301), (3600, 3600), (-300, 0), (-301, -301), (-86_400 * 40, -86_400 * 40)],
)
def test_clock_is_corrected_only_past_the_threshold(off, corrected):
    """`off`: how many seconds the sender's clock is behind ours."""
    behind = dt.timedelta(seconds=off)
    original = NOW - behind - dt.timedelta(minutes=2)
    message = read(track(timestamp=original.isoformat(), sentAt=(NOW - behind).isoformat()))
    assert message.occurred_at == original + dt.timedelta(seconds=corrected)
    assert (message.original_at, message.sent_at, message.received_at) == (original, NOW - behind, NOW)


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2001-01-01"])
def test_a_sending_time_that_was_never_set_spoils_no_event(sent):
    message = read(track(timestamp="2026-06-15T08:00:00Z", sentAt=sent))
    assert message.occurred_at == message.original_at == dt.datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
    assert message.sent_at is None or 1970 <= message.sent_at.year <= 2001


def test_a_clock_that_starts_at_zero_is_corrected():
    message = read(track(timestamp="1970-01-01T00:10:00Z", sentAt="1970-01-01T00:12:00Z"))
    assert message.occurred_at == NOW - dt.timedelta(minutes=2)


def test_messages_own_sent_at_goes_before_the_batches():
    own, batch = NOW - dt.timedelta(hours=1), NOW - dt.timedelta(hours=5)
    assert read(track(sentAt=own.isoformat()), sent_at=batch).sent_at == own
    assert read(track(sentAt=None), sent_at=batch).sent_at == batch
    assert read(track(sentAt="garbage"), sent_at=batch).sent_at == batch
    assert read(track(timestamp="2026-06-15T08:00:00Z")).sent_at is None  # customer.io's Node client sends none


def test_timestamp_goes_before_original_timestamp():
    event, called = NOW - dt.timedelta(days=30), NOW - dt.timedelta(seconds=1)
    both = track(timestamp=event.isoformat(), originalTimestamp=called.isoformat(), sentAt=NOW.isoformat())
    assert (read(both).occurred_at, read(both).original_at) == (event, event)
    only_called = track(originalTimestamp=called.isoformat(), sentAt=NOW.isoformat())
    assert read(only_called).occurred_at == called


def test_small_lead_is_kept():
    at = NOW + dt.timedelta(hours=3)
    assert read(track(timestamp=at.isoformat())).occurred_at == at
