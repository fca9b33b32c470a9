"""Whatever JSON arrives, parse answers with a Message that can be stored, or with Refused."""

from __future__ import annotations

import datetime as dt
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.payload import TYPES, Message, Refused, parse

NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)

# text with NUL and lone surrogates, numbers of any size, NaN: more than JSON allows, as Python's reader lets through
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20) | st.sampled_from(
    [
        "undefined",
        "\x00",
        "\ud800",
        "2026-06-15T08:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "0",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "messageId", "userId", "anonymousId", "groupId", "previousId", "event", "properties", "traits", "context",
    "timestamp", "originalTimestamp", "sentAt", "name", "category",
]  # fmt: skip
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(TYPES)) | values}, optional=dict.fromkeys(FIELDS, values)
)
nearly_right = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(TYPES)), "userId": texts, "groupId": texts, "previousId": texts, "event": texts},
    optional={
        "properties": st.dictionaries(texts, values, max_size=4),
        "traits": st.dictionaries(texts, values, max_size=4),
        "context": st.dictionaries(texts | st.just("traits"), values, max_size=4),
        "timestamp": scalars,
        "sentAt": scalars,
        "messageId": texts,
    },
)
instants = st.none() | st.datetimes(timezones=st.just(dt.UTC))


@settings(max_examples=600, deadline=None)
@given(raw=values | messages | nearly_right, sent_at=instants, skew=st.integers(0, 10**6))
def test_any_value_is_a_storable_message_or_refused(raw, sent_at, skew):
    try:
        message = parse(
            raw, received_at=NOW, sent_at=sent_at, context={"app": 1}, skew_seconds=skew, max_message_bytes=4_000
        )
    except Refused as refused:
        assert refused.code and refused.reason and len(refused.reason) <= 500
        refused.reason.encode()
        return
    assert isinstance(message, Message)
    assert message.type in TYPES
    assert message.user_key or message.anonymous_key or message.account_key
    assert bool(message.event) == (message.type == "track")
    assert message.occurred_at.utcoffset() == dt.timedelta(0)
    assert dt.datetime(1971, 1, 1, tzinfo=dt.UTC) <= message.occurred_at <= NOW + dt.timedelta(days=1)
    keys = [message.user_key, message.anonymous_key, message.account_key, message.previous_id]
    assert all(len(key) <= 192 for key in keys) and len(message.message_id) <= 100 and len(message.event) <= 200
    stored = json.dumps(
        [message.properties, message.traits, message.context, keys, message.message_id, message.event],
        allow_nan=False,
        ensure_ascii=False,
    )
    stored.encode()  # no lone surrogate
    assert "\\u0000" not in stored.replace("\\\\", "")
