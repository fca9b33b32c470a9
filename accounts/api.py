"""The door for facts: `/v1/…` as the Segment family of clients speaks it (docs/api.md).

Plain Django: the clients' content types cannot be trusted, so the body is read as bytes, and an answer is
JSON with a `code` and a `message`, whatever happens. Nothing is answered before it is committed.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import logging
import math
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts import ingest, keys, payload, sources
from accounts.models import Source

logger = logging.getLogger(__name__)

CHUNK = 1_000  # messages in one transaction
SHOWN_ERRORS = 100  # refused messages that an answer describes
GZIP_MEMBERS = 16  # clients send one; each costs a copy of all that follow it
# Bytes of a body, unpacked, that is read to look for a key in it. Browsers and OAuth clients have theirs there; they
# keep batches below 500 KB, or mean to: 805 KB were seen.
UNKNOWN_MAX_BODY = 1_000_000
BUSY_SECONDS = 5  # when to come back while the database is away

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, x-write-key, x-retry-count",
    "Access-Control-Expose-Headers": "retry-after, x-ratelimit-reset",
    "Access-Control-Max-Age": "86400",
}


class Problem(Exception):
    """A request that is answered with an error: HTTP status, stable code, text for people, headers."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


@csrf_exempt
def batch(request: HttpRequest) -> HttpResponse:
    """POST /v1/batch (also /v1/b, /v1/import): `{"batch": [message, …], "sentAt", "context", "writeKey"}`."""
    return _answer(request, _batch_of)


@csrf_exempt
def single(request: HttpRequest, type: str) -> HttpResponse:
    """POST /v1/<type>: one message; the path says its type, whatever the message says."""
    return _answer(request, lambda body: Envelope([{**body, "type": type}], None, None))


@csrf_exempt
def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Any other path below /v1/: JSON, so that a client sees its mistake and not a page."""
    return _error(Problem(404, "not_found", f"There is no /v1/{rest[:100]} here; see docs/api.md for what is."))


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request carries: its messages, and what holds for all of them."""

    messages: list[Any]
    sent_at: Any
    context: dict[str, Any] | None


def _answer(request: HttpRequest, open_envelope: Callable[[dict[str, Any]], Envelope]) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(status=200, headers={**_CORS, "Allow": "POST, OPTIONS"})
    try:
        if request.method != "POST":
            raise Problem(405, "method_not_allowed", "Facts are sent with POST.", {"Allow": "POST, OPTIONS"})
        return _receive(request, open_envelope)
    except Problem as problem:
        return _error(problem)
    except (OperationalError, InterfaceError, keys.Contended) as error:
        logger.warning("the database did not take a batch: %s", error)
        return _error(
            Problem(
                503,
                "unavailable",
                "The database is not available; send this again.",
                {"Retry-After": str(BUSY_SECONDS)},
            )
        )
    except Exception:  # clients take an error page for a network fault and lose the reason
        logger.exception("a batch could not be stored")
        return _error(Problem(500, "internal_error", "Something broke on our side. Send this again later."))


def _receive(request: HttpRequest, open_envelope: Callable[[dict[str, Any]], Envelope]) -> HttpResponse:
    now = timezone.now()
    source = _known(request, now)
    if source is not None:
        body = _json_object(_decoded(request, settings.INGEST_MAX_BODY))
    else:  # nobody has said yet who is sending: no more work for them than a browser's batch is
        body = _json_object(_decoded(request, min(UNKNOWN_MAX_BODY, settings.INGEST_MAX_BODY)))
        source = sources.authenticate(_key_in(body), now=now)
    if source is None:
        raise _unauthorized()
    envelope = open_envelope(body)
    for message in envelope.messages:
        if isinstance(message, dict):
            message.pop("writeKey", None)  # a secret, not a fact
    _limit_rate(source, len(envelope.messages))

    received = accepted = duplicates = quarantined = 0
    errors: list[dict[str, Any]] = []
    for start in range(0, len(envelope.messages), CHUNK):
        result = ingest.accept_batch(
            source=source,
            messages=envelope.messages[start : start + CHUNK],
            received_at=now,
            sent_at=payload.sending_time(envelope.sent_at),
            context=envelope.context,
        )
        received += result.received
        accepted += result.events + result.facts
        duplicates += result.duplicates
        quarantined += result.quarantined
        shown = result.refused[: SHOWN_ERRORS - len(errors)]
        errors += [{"index": start + bad.index, "code": bad.code, "message": bad.reason} for bad in shown]
    sources.seen(source, now=now)
    answer: dict[str, Any] = {
        "success": True,
        "received": received,
        "accepted": accepted,
        "duplicates": duplicates,
        "quarantined": quarantined,
    }
    if errors:
        answer["errors"] = errors
    return _json(answer, 200)


# --- who is it ------------------------------------------------------------------------------------------


def _known(request: HttpRequest, now: dt.datetime) -> Source | None:
    """The source whose key stands outside of the body; None where it may still stand in the body.

    Problem where a key is given and is nobody's: then the body is not read at all.
    """
    refused = False
    for key, is_key in _keys_of(request):
        source = sources.authenticate(key, now=now)
        if source is not None:
            return source
        refused = refused or (is_key and bool(key))
    if refused:
        raise _unauthorized()
    return None


def _keys_of(request: HttpRequest) -> Iterator[tuple[str, bool]]:
    """Write keys outside of the body, in the order in which they are tried; whether each is meant to be a key.

    A bearer may be an OAuth token, whose client sends its key in the body.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):  # not Base64: then it names nobody, and another place may
            yield base64.b64decode(credentials + "=" * (-len(credentials) % 4)).decode().partition(":")[0], True
    elif scheme.lower() == "bearer":
        yield credentials, False
    yield request.headers.get("X-Write-Key", "").partition(":")[0].strip(), True
    for name in ("writeKey", "writekey", "write_key"):
        yield request.GET.get(name, ""), True


def _key_in(body: dict[str, Any]) -> str:
    key = body.get("writeKey")
    return key if isinstance(key, str) and "*" not in key else ""


def _unauthorized() -> Problem:
    return Problem(401, "invalid_write_key", "No write key, or one that is unknown or revoked.")


# --- what does it carry ---------------------------------------------------------------------------------


def _decoded(request: HttpRequest, limit: int) -> bytes:
    """The body, unpacked, of at most `limit` bytes; the content type is not looked at."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise _too_large(limit)
    try:
        if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = request.environ["wsgi.input"].read(limit + 1)  # type: ignore[attr-defined]
        else:
            body = request.body
    except UnreadablePostError as error:
        raise Problem(400, "invalid_request", "The body ended too early.") from error
    if len(body) > limit:
        raise _too_large(limit)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("gzip", "x-gzip") or body[:2] == b"\x1f\x8b":
        return _unzipped(body, 31, limit)
    if encoding == "deflate":
        return _unzipped(body, 15, limit)
    if encoding not in ("", "identity"):
        raise Problem(415, "unsupported_encoding", f"Content-Encoding {encoding[:40]} is not read; send gzip or none.")
    return body


def _unzipped(body: bytes, window: int, limit: int) -> bytes:
    """Unpack without ever holding more than the limit; a gzip file may have several members."""
    parts: list[bytes] = []
    size = 0
    while body:
        if len(parts) == GZIP_MEMBERS:
            raise Problem(400, "invalid_request", f"A gzip body may have {GZIP_MEMBERS} members.")
        stream = zlib.decompressobj(wbits=window)
        try:
            part = stream.decompress(body, limit + 1 - size)
        except zlib.error as error:
            raise Problem(400, "invalid_request", "The body is not the gzip that it says it is.") from error
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not stream.eof:
            raise Problem(400, "invalid_request", "The gzip body ends too early.")
        parts.append(part)
        body = stream.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    more = " One with its write key in the headers may have more." if limit < settings.INGEST_MAX_BODY else ""
    return Problem(
        413,
        "payload_too_large",
        f"A request may have {limit} bytes, unpacked and with its context in each message.{more}",
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _lenient_json(body)
    if not isinstance(value, dict):
        raise Problem(400, "invalid_request", "The body must be a JSON object.")
    return value


def _lenient_json(body: bytes) -> Any:
    """JSON as Python's and other writers make it: NaN, huge numbers, half characters. Payload settles those."""
    try:
        return json.loads(
            body.decode("utf-8-sig", errors="replace"), parse_int=_int, parse_constant=lambda _: None, strict=False
        )
    except (ValueError, RecursionError) as error:
        raise Problem(400, "invalid_request", f"malformed JSON: {str(error)[:200]}") from error


def _int(text: str) -> int | float:
    return int(text) if len(text) < 20 else float(text)


def _batch_of(body: dict[str, Any]) -> Envelope:
    messages = body.get("batch")
    if not isinstance(messages, list):
        raise Problem(400, "invalid_request", "The body must have a batch: a list of messages.")
    if not messages:
        raise Problem(400, "empty_batch", "The batch has no messages.")
    if len(messages) > settings.INGEST_MAX_BATCH:
        raise Problem(413, "payload_too_large", f"A batch may have {settings.INGEST_MAX_BATCH} messages.")
    context = body.get("context")
    if isinstance(context, dict) and context:
        try:
            context = payload.storable(context)
        except payload.Refused as error:
            raise Problem(400, "invalid_context", error.reason) from error
        size = len(orjson.dumps(context))
        if size > settings.INGEST_MAX_MESSAGE:
            raise Problem(400, "invalid_context", "The batch's context is larger than a message may be.")
        if size * len(messages) > settings.INGEST_MAX_BODY:  # it is stored with each of them
            raise _too_large(settings.INGEST_MAX_BODY)
        return Envelope(messages, body.get("sentAt"), context)
    return Envelope(messages, body.get("sentAt"), None)


# --- how much -------------------------------------------------------------------------------------------

_bucket_lock = threading.Lock()
_buckets: dict[str, tuple[float, float]] = {}  # source's prefix -> tokens, as of when


def _limit_rate(source: Source, messages: int) -> None:
    """A token bucket per source and process, one second deep. A batch larger than that passes when it is full."""
    rate: int = settings.INGEST_MAX_PER_SECOND
    if rate <= 0:
        return
    moment, prefix = time.monotonic(), source.prefix or ""
    with _bucket_lock:
        tokens, since = _buckets.get(prefix, (float(rate), moment))
        tokens = min(float(rate), tokens + (moment - since) * rate)
        needed = min(messages, rate)
        if tokens >= needed:
            _buckets[prefix] = (tokens - messages, moment)
            return
        _buckets[prefix] = (tokens, moment)
    wait = max(1, math.ceil((needed - tokens) / rate))
    raise Problem(
        429,
        "rate_limited",
        f"More than {rate} messages a second; send this again in {wait} s.",
        {"Retry-After": str(wait), "X-RateLimit-Reset": str(int(time.time()) + wait)},
    )


# --- the answer -----------------------------------------------------------------------------------------


def _error(problem: Problem) -> HttpResponse:
    response = _json({"success": False, "code": problem.code, "message": problem.message}, problem.status)
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def _json(value: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(orjson.dumps(value), status=status, content_type="application/json", headers=_CORS)
