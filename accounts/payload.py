"""One tracking message: read it and make it uniform, or say what is wrong with it. Pure.

Speaks the Segment family's messages (docs/api.md says what is accepted). Nothing here asks a clock or a
database: whoever calls passes the moment of arrival. What a database cannot keep (NUL characters, halves
of surrogate pairs, NaN, whole numbers beyond 64 bits) is made harmless in free data and refused in ids.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

TYPES = frozenset({"identify", "track", "page", "screen", "group", "alias"})
MAX_ID = 190  # characters of userId, anonymousId, groupId, previousId
MAX_MESSAGE_ID = 100
MAX_EVENT_NAME = 200
MAX_DEPTH = 250
# A client whose clock or value was never set says "zero"; that is no time. Ahead of us: other zones, not days.
EARLIEST = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
FURTHEST_AHEAD = dt.timedelta(days=1)

# What programs send for nobody; compared without case. Zeros and dashes alone (nil UUIDs) name nobody either.
_BLOCKED = frozenset(
    {"undefined", "[object object]", "nan", "none", "null", "(null)", "nil", "true", "false", "anonymous", "-1"}
)
_ZEROS = re.compile(r"[0\-]*")
_EPOCH = re.compile(r"\d{9,11}(\.\d+)?|\d{13}|\d{16}", re.ASCII)
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")


class Refused(Exception):
    """The message cannot be accepted: a stable `code` for programs and a `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason[:500]


@dataclass(frozen=True, slots=True)
class Message:
    """A message understood. Keys are `u:<userId>`, `a:<anonymousId>`, `g:<groupId>`; absent ones are empty.

    All times are aware and in UTC. `occurred_at` is `original_at` corrected for the sender's clock, or the
    moment of arrival when the message names no time. `event` is the name of a track call, else empty.
    `message_id` is empty when the sender gave none.
    """

    type: str
    message_id: str
    user_key: str
    anonymous_key: str
    account_key: str
    previous_id: str
    event: str
    occurred_at: dt.datetime
    original_at: dt.datetime | None
    sent_at: dt.datetime | None
    received_at: dt.datetime
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]


def parse(
    raw: object,
    *,
    received_at: dt.datetime,
    sent_at: dt.datetime | None,
    context: Mapping[str, Any] | None,
    skew_seconds: int,
    max_message_bytes: int,
) -> Message:
    """Read one message as it came, with its batch's `sent_at` and (storable) `context`; Refused if it is wrong.

    The sender's clock is corrected (by received − sent) only when it is off by more than `skew_seconds`:
    less is the time that delivery takes, and correcting that would reorder events.
    """
    if not isinstance(raw, Mapping):
        raise Refused("message_not_object", f"A message is a JSON object, not {_kind(raw)}.")
    message = _keepable(raw, max_message_bytes)
    kind = message.get("type")
    if isinstance(kind, str) and kind not in TYPES:
        kind = kind.strip().lower()
    if not isinstance(kind, str) or kind not in TYPES:
        raise Refused("type_unknown", f"type must be one of {', '.join(sorted(TYPES))}, not {_show(kind)}.")

    own_context = _object(message, "context", "context_not_object")
    merged = {**context, **own_context} if context else own_context
    user_id = _id(message.get("userId"), "userId")
    anonymous_id = _id(message.get("anonymousId"), "anonymousId")
    group_id = _id(message.get("groupId"), "groupId")
    if not group_id and merged.get("groupId") is not None:
        group_id = _id(merged["groupId"], "context.groupId")
    if kind == "group" and not group_id:
        raise Refused("id_required", f"A group call needs a groupId, not {_show(message.get('groupId'))}.")
    if kind == "alias":
        previous_id = _id(message.get("previousId"), "previousId")
        if not previous_id or not user_id:
            raise Refused("id_required", "An alias call needs a previousId and a userId.")
    else:
        previous_id = ""
        # a group call without a person still says something about the account
        if not user_id and not anonymous_id and kind != "group":
            raise Refused(
                "no_user_anon_id",
                "One of userId and anonymousId must name the person:"
                f" userId is {_show(message.get('userId'))}, anonymousId {_show(message.get('anonymousId'))}.",
            )

    event = ""
    traits: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    if kind == "track":
        event = _event_name(message.get("event"))
        properties = _object(message, "properties", "properties_not_object")
    elif kind == "identify":
        traits = _object(message, "traits", "traits_not_object")
        from_context = merged.get("traits")
        if isinstance(from_context, dict) and from_context:
            traits = {**from_context, **traits}
    elif kind == "group":
        traits = _object(message, "traits", "traits_not_object")
    elif kind != "alias":
        properties = _object(message, "properties", "properties_not_object")
        for field in ("name", "category"):
            if message.get(field) is not None and not isinstance(message[field], str):
                raise Refused(f"{field}_not_string", f"{field} must be text, not {_show(message[field])}.")

    sent = message.get("sentAt")
    if sent is not None:
        sent_at = sending_time(sent) or sent_at
    original_at, occurred_at = _times(message, received_at, sent_at, skew_seconds)
    return Message(
        kind,
        _message_id(message.get("messageId")),
        "u:" + user_id if user_id else "",
        "a:" + anonymous_id if anonymous_id else "",
        "g:" + group_id if group_id else "",
        previous_id,
        event,
        occurred_at,
        original_at,
        sent_at,
        received_at,
        properties,
        traits,
        merged,
    )


def read_time(value: object) -> dt.datetime | None:
    """An instant in UTC from ISO 8601 text (without a zone: UTC), epoch seconds, milliseconds or microseconds.

    None if it is none of these.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            if _EPOCH.fullmatch(text):
                return _from_epoch(float(text))
            value = dt.datetime.fromisoformat(text)
        if isinstance(value, dt.datetime):
            return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_epoch(value)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def sending_time(value: object) -> dt.datetime | None:
    """A `sentAt`, as `read_time`; None also for the zero time of some languages (year 1) and other impossible years."""
    at = read_time(value)
    return at if at is not None and 1900 < at.year < 9000 else None


def storable(value: Any, depth: int = 0) -> Any:
    """The same JSON value with nothing in it that a database refuses.

    NUL and lone surrogates become U+FFFD, NaN and infinities null (as in JavaScript), whole numbers beyond
    64 bits floating ones. Refused if it is nested too deeply or is no JSON at all.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _UNKEEPABLE.sub("\ufffd", value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return int(value)
        return _float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= MAX_DEPTH:
        raise Refused("nested_too_deep", f"The message is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, Mapping):
        return {
            _UNKEEPABLE.sub("\ufffd", key if isinstance(key, str) else str(key)): storable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [storable(item, depth + 1) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    raise Refused("not_json", f"{_kind(value)} is not JSON.")


def keepable_copy(value: Any, levels: int) -> Any:
    """As `storable`, for showing what was refused: never raises; deeper levels and strange things become text."""
    if levels <= 0 and isinstance(value, Mapping | list | tuple):
        return f"… ({_kind(value)}, not kept)"
    if isinstance(value, Mapping):
        return {str(storable(str(key))): keepable_copy(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [keepable_copy(item, levels - 1) for item in value]
    try:
        return storable(value)
    except Refused:
        return f"… ({_kind(value)})"


def _float(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _keepable(raw: Mapping[str, Any], max_message_bytes: int) -> Mapping[str, Any]:
    """The message with nothing in it that a database refuses, and small enough."""
    try:
        text = orjson.dumps(raw)
    except (TypeError, ValueError):  # half a surrogate pair, a huge number, too deep, no JSON
        raw = storable(raw)
        text = orjson.dumps(raw)
    if len(text) > max_message_bytes:
        raise Refused("message_too_large", f"The message has {len(text)} bytes; {max_message_bytes} are allowed.")
    if b"\\u0000" in text:
        return storable(raw)
    if b"null" in text:
        return orjson.loads(text)  # writes NaN as null, and reading it back is quick
    return raw


def _object(message: Mapping[str, Any], key: str, code: str) -> dict[str, Any]:
    value = message.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(code, f"{key} must be an object, not {_kind(value)}.")
    return value


def _id(value: object, name: str) -> str:
    """The id as text; empty when absent or a value that programs send by mistake for nobody."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)
    else:
        raise Refused("id_not_string", f"{name} must be text, not {_kind(value)}.")
    if _ZEROS.fullmatch(text) or text.casefold() in _BLOCKED:
        return ""
    if "\ufffd" in text:  # somebody's id was spoilt on its way: taken as it is it would be another person's
        raise Refused("id_unreadable", f"{name} has a NUL or an unreadable character in it: {_show(value)}.")
    if len(text) > MAX_ID:
        raise Refused("id_too_long", f"{name} has {len(text)} characters; {MAX_ID} are allowed.")
    return text


def _message_id(value: object) -> str:
    """The sender's id for the message; a longer one than can be kept is kept as its digest."""
    if value is None or value == "":
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Refused("id_not_string", f"messageId must be text, not {_kind(value)}.")
    if len(value) > MAX_MESSAGE_ID:
        return "sha256:" + hashlib.sha256(value.encode()).hexdigest()
    return value


def _event_name(value: object) -> str:
    if value is None:
        raise Refused("event_not_defined", "A track call needs the event's name.")
    if not isinstance(value, str):
        raise Refused("event_not_string", f"event must be text, not {_kind(value)}.")
    name = value.strip()
    if not name:
        raise Refused("event_not_defined", "A track call needs the event's name.")
    if len(name) > MAX_EVENT_NAME:
        raise Refused("event_too_long", f"The event's name has {len(name)} characters; {MAX_EVENT_NAME} are allowed.")
    return name


def _times(
    message: Mapping[str, Any], received_at: dt.datetime, sent_at: dt.datetime | None, skew_seconds: int
) -> tuple[dt.datetime | None, dt.datetime]:
    """The client's own time and when the event occurred; `timestamp` goes before `originalTimestamp`."""
    name = "timestamp"
    value = message.get(name)
    if value is None or value == "":
        name = "originalTimestamp"
        value = message.get(name)
        if value is None or value == "":
            return None, received_at
    original = read_time(value)
    if original is None:
        raise Refused("timestamp_invalid", f"{name} is not a time: {_show(value)}.")
    occurred = original
    if sent_at is not None:
        skew = received_at - sent_at
        if abs(skew.total_seconds()) > skew_seconds:
            with contextlib.suppress(OverflowError):
                occurred = original + skew
    if not _possible(occurred, received_at):
        occurred = original  # the sending time was the wrong one: never set, or of another clock
    if not _possible(occurred, received_at):
        raise Refused(
            "timestamp_out_of_range",
            f"{name} {_show(value)} is before {EARLIEST.year} or more than a day after it was received.",
        )
    return original, occurred


def _possible(at: dt.datetime, received_at: dt.datetime) -> bool:
    return at >= EARLIEST and at - received_at <= FURTHEST_AHEAD


def _from_epoch(value: float) -> dt.datetime | None:
    """Seconds, milliseconds or microseconds since 1970, told apart by their size."""
    if not math.isfinite(value):
        return None
    for limit, unit in ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000)):
        if abs(value) < limit:
            whole, rest = divmod(value, unit)
            return dt.datetime.fromtimestamp(whole, dt.UTC) + dt.timedelta(microseconds=round(rest * 1_000_000 / unit))
    return None


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    return names.get(type(value), type(value).__name__)


def _show(value: object) -> str:
    """The value for a reason: short, and harmless to store."""
    text = value if isinstance(value, str) else repr(value)
    text = _UNKEEPABLE.sub("\ufffd", text)
    return f"“{text[:80]}”" if value is not None else "absent"
