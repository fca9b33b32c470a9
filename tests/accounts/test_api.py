"""The door for facts: paths, keys, encodings, limits and answers, as the Segment family of clients needs them."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import zlib

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts import api, sources
from accounts.models import Account, Event, ProductUser, QuarantinedMessage, Receipt, Source

pytestmark = pytest.mark.django_db

BATCH_PATHS = ["/v1/batch", "/v1/b", "/v1/import"]
SINGLE_PATHS = {
    "identify": ["/v1/identify", "/v1/i"],
    "track": ["/v1/track", "/v1/t"],
    "page": ["/v1/page", "/v1/p"],
    "screen": ["/v1/screen", "/v1/s"],
    "group": ["/v1/group", "/v1/g"],
    "alias": ["/v1/alias", "/v1/a"],
}
CORS = "*"


@pytest.fixture
def created():
    return sources.create_source(name="Backend", by=None, now=timezone.now())


@pytest.fixture
def source(created):
    return created[0]


@pytest.fixture
def key(created):
    return created[1]


@pytest.fixture
def send(client, key):
    """`send(body)`: a request as a client makes it, with the key in the Authorization header unless told."""

    def _send(body, path="/v1/batch", *, auth=True, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if auth:
            headers.setdefault("Authorization", basic(key + ":"))
        query = ""
        if "?" in path:
            path, _, query = path.partition("?")
        return client.generic("POST", path, data, content_type, headers=headers, QUERY_STRING=query)

    return _send


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def track(n=1, **fields):
    return {
        "type": "track",
        "messageId": f"m{n}",
        "userId": "u1",
        "event": "Invite Sent",
        "context": {"groupId": "acme"},
        "timestamp": timezone.now().isoformat(),
        **fields,
    }


def is_error(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["success"], body["code"]) == (status, False, code)
    assert isinstance(body["message"], str) and body["message"]
    assert answer["Content-Type"] == "application/json"
    assert answer["Access-Control-Allow-Origin"] == CORS
    return True


# --- paths


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", BATCH_PATHS)
def test_batch_is_accepted_on_every_path(send, path, slash):
    answer = send({"batch": [track(1), track(2)], "sentAt": timezone.now().isoformat()}, path + slash)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"success": True, "received": 2, "accepted": 2, "duplicates": 0, "quarantined": 0}
    assert Event.objects.count() == 2


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, paths in SINGLE_PATHS.items() for path in paths])
def test_single_message_takes_its_type_from_the_path(send, kind, path, slash):
    body = {"type": "track", "userId": "u1", "groupId": "acme", "previousId": "anon-1", "event": "E", "messageId": "m"}
    answer = send(body, path + slash)
    assert (answer.status_code, answer.json()["success"], answer.json()["quarantined"]) == (200, True, 0)
    assert Event.objects.count() == (1 if kind == "track" else 0)
    assert ProductUser.objects.filter(external_id="u1").exists()


def test_messages_say_who_and_what(send):
    send({"userId": "u1", "messageId": "1", "traits": {"email": "ann@acme.example"}}, "/v1/identify")
    send({"userId": "u1", "messageId": "2", "groupId": 42, "traits": {"name": "Acme"}}, "/v1/group")
    assert ProductUser.objects.get(external_id="u1").email == "ann@acme.example"
    assert Account.objects.get(external_id="42").name == "Acme"


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/batch/more", "/v1/tracks/"])
def test_other_paths_are_told_in_json(send, path):
    assert is_error(send({"batch": [track()]}, path), 404, "not_found")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track/", "/v1/i"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_refused_and_never_redirected(client, path, method):
    answer = client.generic(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch/", "/v1/t"])
def test_preflight_allows_what_browsers_send(client, path):
    answer = client.options(path, headers={"Origin": "https://app.test", "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == CORS
    assert "POST" in answer["Access-Control-Allow-Methods"]
    allowed = {name.strip() for name in answer["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type", "x-write-key", "x-retry-count"} <= allowed


# --- keys


def test_key_may_come_in_every_usual_place(send, key):
    batch = {"batch": [track()]}
    for headers in (
        {"Authorization": basic(key + ":")},
        {"Authorization": basic(key)},
        {"Authorization": basic(key + ":password")},
        {"Authorization": basic(key + ":").rstrip("=")},
        {"Authorization": "basic " + basic(key + ":")[6:]},
        {"Authorization": "Bearer " + key},
        {"X-Write-Key": key},
        {"X-Write-Key": key + ":secret"},
    ):
        assert send(batch, auth=False, **headers).status_code == 200, headers
    assert send(batch, f"/v1/batch?writeKey={key}", auth=False).status_code == 200
    assert send(batch, f"/v1/batch?writekey={key}", auth=False).status_code == 200
    assert send({**batch, "writeKey": key}, auth=False).status_code == 200
    assert send({**track(), "writeKey": key}, "/v1/track", auth=False).status_code == 200
    assert send({**batch, "writeKey": key}, auth=False, Authorization="Bearer an-oauth-token").status_code == 200
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": basic(":")},
        {"Authorization": basic("plg_aaaaaaaa_" + "b" * 32 + ":")},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Digest x"},
        {"X-Write-Key": "plg_"},
    ],
)
def test_without_a_good_key_nothing_is_taken(send, headers):
    answer = send({"batch": [track()], "writeKey": "plg_aaaaaaaa_***"}, auth=False, **headers)
    assert is_error(answer, 401, "invalid_write_key")
    assert (Event.objects.count(), QuarantinedMessage.objects.count()) == (0, 0)


class Unreadable:
    """A body that nobody may touch."""

    def read(self, *args):
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": basic("plg_aaaaaaaa_" + "b" * 32 + ":")}, ""),
        ({"Authorization": basic("nothing")}, ""),
        ({"X-Write-Key": "plg_aaaaaaaa_" + "b" * 32}, ""),
        ({}, "writeKey=nothing"),
        ({"Authorization": "Bearer a-token", "X-Write-Key": "nothing"}, ""),
    ],
)
@pytest.mark.parametrize("length", ["9000000", "90000000"])
def test_with_a_wrong_key_the_body_is_not_even_read(client, headers, query, length):
    body = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": length, "QUERY_STRING": query}
    assert is_error(client.generic("POST", "/v1/batch", headers=headers, **body), 401, "invalid_write_key")


def test_revoked_key_is_refused_without_reading(client, source, key, admin):
    sources.revoke(source_id=source.pk, by=admin, now=timezone.now())
    body = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": "9000000"}
    answer = client.generic("POST", "/v1/batch", headers={"Authorization": basic(key + ":")}, **body)
    assert is_error(answer, 401, "invalid_write_key")


def test_key_in_the_body_does_not_help_a_wrong_one_in_the_headers(send, key):
    headers = {"Authorization": basic("nothing:")}
    assert is_error(send({"batch": [track()], "writeKey": key}, auth=False, **headers), 401, "invalid_write_key")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer an-oauth-token"}])
def test_body_with_its_key_inside_is_smaller(send, key, headers):
    def body(size):
        messages = [track(n, properties={"x": "y" * 20_000}) for n in range(size // 20_000)]
        return json.dumps({"writeKey": key, "batch": messages}).encode()

    assert send(body(900_000), auth=False, **headers).status_code == 200
    for packed in (False, True):
        large = gzip.compress(body(1_100_000)) if packed else body(1_100_000)
        answer = send(large, auth=False, **headers, **({"Content-Encoding": "gzip"} if packed else {}))
        assert is_error(answer, 413, "payload_too_large")
        assert "write key in the headers" in answer.json()["message"]
    assert send(body(1_100_000)).status_code == 200


def test_masked_key_of_a_body_is_no_key(send, key):
    assert is_error(send({"batch": [track()], "writeKey": key + ":***"}, auth=False), 401, "invalid_write_key")


def test_revoked_key_is_refused(send, source, admin):
    assert send({"batch": [track(1)]}).status_code == 200
    sources.revoke(source_id=source.pk, by=admin, now=timezone.now())
    assert is_error(send({"batch": [track(2)]}), 401, "invalid_write_key")
    assert Event.objects.count() == 1


def test_key_in_a_message_is_never_stored(send, key):
    send({"batch": [track(1, writeKey=key), {"writeKey": key, "type": "nonsense"}], "writeKey": key})
    send({"type": "x", "writeKey": key, "userId": None}, "/v1/track")
    stored = json.dumps(list(QuarantinedMessage.objects.values_list("payload", flat=True)))
    assert QuarantinedMessage.objects.count() == 2
    assert key not in stored


# --- encodings


def test_gzip_is_read_under_any_content_type(send):
    zipped = gzip.compress(json.dumps({"batch": [track()]}).encode())
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = send(zipped, content_type=content_type, **{"Content-Encoding": "gzip"})
        assert answer.status_code == 200, content_type
    assert send(zipped).status_code == 200  # not said to be gzip
    assert send(zlib.compress(b'{"batch": [{}]}'), **{"Content-Encoding": "deflate"}).status_code == 200
    half = len(zipped) // 2
    plain = gzip.decompress(zipped)
    members = gzip.compress(plain[:half]) + gzip.compress(plain[half:])
    assert send(members, **{"Content-Encoding": "gzip"}).status_code == 200
    assert Event.objects.count() == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_content_type_is_not_looked_at(send, content_type):
    assert send({"batch": [track()]}, content_type=content_type).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", {}, "invalid_request"),
        (b"{", {}, "invalid_request"),
        (b"[]", {}, "invalid_request"),
        (b"5", {}, "invalid_request"),
        (b'"x"', {}, "invalid_request"),
        (b"\xff\xfe\x00", {}, "invalid_request"),
        (b'{"batch": [1, 2', {}, "invalid_request"),
        (b"[" * 100_000, {}, "invalid_request"),
        (b"{}", {}, "invalid_request"),
        (b'{"batch": {}}', {}, "invalid_request"),
        (b'{"batch": null}', {}, "invalid_request"),
        (b'{"batch": []}', {}, "empty_batch"),
        (b'{"batch": [1]}', {"Content-Encoding": "gzip"}, "invalid_request"),
        (gzip.compress(b'{"batch": [1]}', mtime=0)[:-9], {"Content-Encoding": "gzip"}, "invalid_request"),
    ],
)
def test_what_is_no_batch_is_told(send, body, headers, code):
    assert is_error(send(body, **headers), 400, code)


def test_unknown_encoding_is_told(send):
    assert is_error(send({"batch": [track()]}, **{"Content-Encoding": "br"}), 415, "unsupported_encoding")


def test_json_of_lenient_writers_is_read(send):
    body = (
        '\ufeff{"batch": [{"type": "track", "userId": "u1", "event": "E", "messageId": "m1", "properties":'
        ' {"nan": NaN, "inf": -Infinity, "huge": 1e999, "big": 123456789012345678901234567890, "half": "\\ud83d"}}]}'
    )
    assert send(body.encode()).json()["accepted"] == 1
    stored = Event.objects.get().properties
    assert float(stored.pop("big")) == 1.2345678901234568e29
    assert stored == {"nan": None, "inf": None, "huge": None, "half": "\ufffd"}


# --- limits


def test_body_past_the_limit_is_refused_packed_or_not(send, settings):
    settings.INGEST_MAX_BODY = 20_000
    big = json.dumps({"batch": [track(1, properties={"x": "y" * 30_000})]}).encode()
    assert is_error(send(big), 413, "payload_too_large")
    assert is_error(send(gzip.compress(big), **{"Content-Encoding": "gzip"}), 413, "payload_too_large")
    assert send({"batch": [track(1, properties={"x": "y" * 10_000})]}).status_code == 200


def test_zip_bomb_is_refused_without_unpacking_it(send):
    bomb = gzip.compress(b" " * 200_000_000, 1)
    assert is_error(send(bomb, **{"Content-Encoding": "gzip"}), 413, "payload_too_large")


def test_gzip_of_many_members_is_refused(send):
    """Each member costs a copy of what follows: half a million empty ones would keep a process busy for minutes."""
    body = gzip.compress(json.dumps({"batch": [track(1)]}).encode())
    assert send(gzip.compress(b"") * 15 + body, **{"Content-Encoding": "gzip"}).status_code == 200
    assert is_error(send(gzip.compress(b"") * 16 + body, **{"Content-Encoding": "gzip"}), 400, "invalid_request")


def test_batch_of_too_many_messages_is_refused(send, settings):
    settings.INGEST_MAX_BATCH = 3
    assert is_error(send({"batch": [track(n) for n in range(4)]}), 413, "payload_too_large")
    assert send({"batch": [track(n) for n in range(3)]}).json()["accepted"] == 3


def test_context_of_a_batch_counts_once_for_each_message(send, settings):
    """A small request must not become gigabytes in the log."""
    settings.INGEST_MAX_BODY = 20_000
    context = {"x": "y" * 5_000}
    assert is_error(send({"batch": [track(n) for n in range(4)], "context": context}), 413, "payload_too_large")
    assert send({"batch": [track(n) for n in range(3)], "context": context}).json()["accepted"] == 3


def test_only_the_first_refused_messages_are_described(send):
    answer = send({"batch": list(range(1_150))}).json()
    assert answer["quarantined"] == 1_150
    assert [error["index"] for error in answer["errors"]] == list(range(100))


def test_large_message_is_quarantined_and_its_batch_is_not(send):
    answer = send({"batch": [track(1), track(2, properties={"x": "y" * 40_000}), track(3)]}).json()
    assert (answer["accepted"], answer["quarantined"]) == (2, 1)
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(1, "message_too_large")]


def test_rate_is_limited_with_a_time_to_come_back(send, settings):
    settings.INGEST_MAX_PER_SECOND = 2
    assert send({"batch": [track(n) for n in range(6)]}).status_code == 200  # a batch passes whole, and is owed
    answer = send({"batch": [track(7)]})
    assert is_error(answer, 429, "rate_limited")
    assert 1 <= int(answer["Retry-After"]) <= 3
    assert abs(int(answer["X-RateLimit-Reset"]) - timezone.now().timestamp()) < 5
    assert Event.objects.count() == 6


def test_rate_limit_is_per_source(send, settings, client):
    settings.INGEST_MAX_PER_SECOND = 1
    _, other = sources.create_source(name="Other", by=None, now=timezone.now())
    assert send({"batch": [track(1)]}).status_code == 200
    assert send({"batch": [track(2)]}).status_code == 429
    assert send({"batch": [track(2)]}, Authorization=basic(other)).status_code == 200


def test_context_of_a_batch_is_bounded(send):
    context = {"x": "y" * 40_000}
    assert is_error(send({"batch": [track()], "context": context}), 400, "invalid_context")


def test_database_away_is_a_503_to_come_back_from(send):
    def away(execute, sql, params, many, context):
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(away):
        answer = send({"batch": [track()]})
    assert is_error(answer, 503, "unavailable")
    assert answer["Retry-After"] == "5"
    assert send({"batch": [track()]}).json()["accepted"] == 1


# --- batches


POISON = [
    None,
    5,
    "text",
    [],
    {},
    {"type": "track"},
    {"type": "track", "userId": "undefined", "event": "E"},
    {"type": "track", "userId": "u\x00", "event": "E"},
    {"type": "track", "userId": "u", "event": "E", "timestamp": "soon"},
    {"type": "track", "userId": "u", "event": "E", "properties": "x"},
    {"type": "nonsense", "userId": "u"},
]


def test_poison_never_fails_its_batch(send, source):
    answer = send({"batch": [track(1), *POISON, track(2)]})
    body = answer.json()
    assert (answer.status_code, body["success"]) == (200, True)
    assert (body["received"], body["accepted"], body["quarantined"]) == (13, 2, 11)
    assert [error["index"] for error in body["errors"]] == list(range(1, 12))
    assert all(error["code"] and error["message"] for error in body["errors"])
    assert Event.objects.count() == 2
    assert QuarantinedMessage.objects.filter(source=source).count() == 11


def test_poison_alone_is_kept_too(send):
    assert send({"batch": [{"type": "track", "event": "E"}]}).json()["quarantined"] == 1
    assert send({"event": "E"}, "/v1/track").json()["errors"][0]["code"] == "no_user_anon_id"


def test_what_a_database_refuses_does_not_fail_a_batch(send):
    bad = track(1, properties={"nul": "a\x00b", "k\x00": 1, "deep": json.loads("[" * 200 + "]" * 200)})
    body = send({"batch": [bad, track(2, context={"nul": "\x00", "groupId": "acme"})], "context": {"n": "\x00"}}).json()
    assert (body["accepted"], body["quarantined"]) == (2, 0)
    assert Event.objects.get(message_id="m1").properties["nul"] == "a\ufffdb"


def test_resent_batch_is_stored_once(send):
    batch = {"batch": [track(1), track(2), track(1)]}
    first, second = send(batch).json(), send(batch).json()
    assert (first["accepted"], first["duplicates"]) == (2, 1)
    assert (second["accepted"], second["duplicates"]) == (0, 3)
    assert (Event.objects.count(), Receipt.objects.count()) == (2, 2)


def test_same_message_id_of_two_sources_is_two_messages(send):
    _, other = sources.create_source(name="Other", by=None, now=timezone.now())
    send({"batch": [track(1)]})
    send({"batch": [track(1)]}, Authorization=basic(other))
    assert Event.objects.count() == 2


def test_batch_context_holds_for_each_message(send):
    message = {"type": "track", "userId": "u1", "event": "E", "messageId": "m1"}
    send({"batch": [message], "context": {"groupId": "acme"}})
    assert Event.objects.get().account.external_id == "acme"


def test_envelope_timestamp_is_not_the_events_time(send):
    at = timezone.now().replace(microsecond=0) - dt.timedelta(hours=2)
    message = track(1, originalTimestamp=at.isoformat(), sentAt=timezone.now().isoformat())
    del message["timestamp"]
    send({"batch": [message], "timestamp": "2020-01-01T00:00:00Z"})
    assert Event.objects.get().occurred_at == at


def test_clock_is_corrected_and_all_times_kept(send):
    slow = timezone.now().replace(microsecond=0) - dt.timedelta(days=40)
    send({"batch": [track(1, timestamp=(slow - dt.timedelta(minutes=10)).isoformat())], "sentAt": slow.isoformat()})
    event = Event.objects.get()
    assert event.original_at == slow - dt.timedelta(minutes=10)
    assert event.sent_at == slow
    assert abs(event.occurred_at - (event.received_at - dt.timedelta(minutes=10))) < dt.timedelta(seconds=2)


def test_more_than_one_chunk_is_one_answer(send):
    messages = [track(n) for n in range(api.CHUNK + 5)]
    messages[api.CHUNK + 1] = {"type": "nonsense"}
    body = send({"batch": messages}).json()
    assert (body["received"], body["accepted"], body["quarantined"]) == (api.CHUNK + 5, api.CHUNK + 4, 1)
    assert [error["index"] for error in body["errors"]] == [api.CHUNK + 1]


def test_source_was_seen(send, source):
    before = timezone.now()
    send({"batch": [track()]})
    assert Source.objects.get(pk=source.pk).last_seen_at >= before


@pytest.mark.parametrize("size", [1, 50])
def test_batch_of_known_people_costs_the_same_whatever_its_size(send, size, django_assert_num_queries):
    send({"batch": [track(n, userId=f"u{n}", timestamp="2026-01-01T00:00:00Z") for n in range(50)]})
    messages = [track(100 + n, userId=f"u{n}") for n in range(size)]
    # savepoint and its release; receipts, people, accounts, memberships, event types and when they were last seen;
    # log, usage, last seen of people and of accounts, due rows
    with django_assert_num_queries(13):
        assert send({"batch": messages}).json()["accepted"] == size


def test_plain_http_is_never_redirected(send, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert send({"batch": [track()]}).json()["accepted"] == 1
