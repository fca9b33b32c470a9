"""Messages that were not understood: kept as they came. accounts.replay feeds them through ingest again."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from accounts import payload
from accounts.models import Source

STORED_DEPTH = 50  # deeper levels of an unreadable message are not kept


@dataclass(frozen=True, slots=True)
class Bad:
    """One message that was refused, as it came, and why."""

    raw: Any
    code: str
    reason: str
    index: int = -1  # its place in the batch, where that is known


def store(
    *,
    source: Source,
    messages: Sequence[Bad],
    received_at: dt.datetime,
    sent_at: dt.datetime | None,
    context: Mapping[str, Any] | None = None,
) -> int:
    """Keep refused messages, each once per source: one that comes again is counted in `times_seen`.

    The batch's `context` is put into the message, so that a replay sees what ingest saw. To be called in a
    transaction of its own or in the batch's. Returns how many different messages were given.
    """
    rows: dict[bytes, list[Any]] = {}
    for bad in messages:
        raw = bad.raw
        if context and isinstance(raw, Mapping) and isinstance(raw.get("context") or {}, Mapping):
            raw = {**raw, "context": {**context, **(raw.get("context") or {})}}
        text = _text(raw)
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if digest in rows:
            rows[digest][-1] += 1
            continue
        named = raw if isinstance(raw, Mapping) else {}
        rows[digest] = [
            source.pk,
            digest,
            _label(named.get("messageId"), 200),
            _label(named.get("type"), 20),
            bad.code[:40],
            payload.storable(bad.reason)[:500],
            text,
            sent_at,
            received_at,
            1,
        ]
    ordered = [rows[digest] for digest in sorted(rows)]
    with connection.cursor() as cursor:
        for start in range(0, len(ordered), 80):
            part = ordered[start : start + 80]
            values = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"] * len(part))
            cursor.execute(
                "INSERT INTO accounts_quarantinedmessage (source_id, digest, message_id, type, code, reason, payload,"
                f" sent_at, received_at, times_seen) VALUES {values}"
                " ON CONFLICT (source_id, digest) DO UPDATE SET"
                " times_seen = accounts_quarantinedmessage.times_seen + excluded.times_seen,"
                " code = excluded.code, reason = excluded.reason, replayed_at = NULL",
                [_bound(value) for row in part for value in row],
            )
    return len(ordered)


def _bound(value: Any) -> Any:
    """A value as the database's driver wants it (SQLite keeps times as text, like Django does)."""
    if isinstance(value, dt.datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _label(value: object, length: int) -> str:
    return str(payload.storable(value))[:length] if isinstance(value, str | int) else ""


def _text(raw: Any) -> str:
    """The message as JSON text that both databases keep."""
    try:
        text = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)  # sorted: jsonb does not keep the order of keys
    except (TypeError, ValueError):
        text = b""
    if text and b"\\u0000" not in text:
        return text.decode()
    return orjson.dumps(payload.keepable_copy(raw, STORED_DEPTH), option=orjson.OPT_SORT_KEYS).decode()
