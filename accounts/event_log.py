"""The log of events, and with each of them what it counts for and when its person and account were seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from accounts import counting, profiles
from accounts.keys import GroupKey, PersonKey
from accounts.memberships import Places
from accounts.models import Account, Event, ProductUser
from accounts.payload import Message
from accounts.usage import Rollup
from plgops.lib import bulk
from plgops.lib.days import micros

_EVENT = bulk.Table(
    Event._meta.db_table,
    (
        ("source_id", "bigint"),
        ("message_id", "text"),
        ("event_type_id", "bigint"),
        ("user_id", "bigint"),
        ("account_id", "bigint"),
        ("user_key", "text"),
        ("account_key", "text"),
        ("occurred_at", "timestamptz"),
        ("original_at", "timestamptz"),
        ("sent_at", "timestamptz"),
        ("received_at", "timestamptz"),
        ("properties", "jsonb"),
        ("context", "jsonb"),
    ),
)


def write(
    tracks: Sequence[Message],
    *,
    source_id: int,
    people: Mapping[str, PersonKey],
    groups: Mapping[str, GroupKey],
    places: Mapping[int, Places],
    since: dt.datetime,
) -> tuple[set[int], set[int]]:
    """Write track messages to the log and count them: the accounts that have new events, and those that have one
    since then. 0 stands for no account.

    `people` and `groups` are what the messages' keys mean, `places` where people's events belong that name no
    account. To be called in a transaction that holds those keys. Raises CatalogueFull.
    """
    touched: set[int] = set()
    recent: set[int] = set()
    if not tracks:
        return touched, recent
    sight: dict[str, tuple[dt.datetime, dt.datetime]] = {}
    for message in tracks:
        at = message.occurred_at
        span = sight.get(message.event)
        sight[message.event] = (min(span[0], at), max(span[1], at)) if span else (at, at)
    types = counting.on_sight(sight)
    rollup = Rollup()
    rows = []
    contexts: dict[int, str] = {}
    people_seen: dict[int, dt.datetime] = {}
    accounts_seen: dict[int, dt.datetime] = {}
    dumps = bulk.json_text
    for message in tracks:
        key, at = message.user_key or message.anonymous_key, message.occurred_at
        user_id = people[key].user_id
        if message.account_key:
            account_id = groups[message.account_key].account_id
        else:
            account_id = places[user_id].account_at(at)
        counted = types[message.event]
        rollup.add(account_id, user_id, counted, micros(at), message.properties)
        context = contexts.get(id(message.context))
        if context is None:
            context = contexts[id(message.context)] = dumps(message.context)
        rows.append(
            (
                source_id,
                message.message_id,
                counted.id,
                user_id,
                account_id or None,
                key,
                message.account_key,
                at,
                message.original_at,
                message.sent_at,
                message.received_at,
                dumps(message.properties),
                context,
            )
        )
        touched.add(account_id)
        if at >= since:
            recent.add(account_id)
        if counted.is_activity:
            if user_id not in people_seen or at > people_seen[user_id]:
                people_seen[user_id] = at
            if account_id and (account_id not in accounts_seen or at > accounts_seen[account_id]):
                accounts_seen[account_id] = at
    bulk.write(_EVENT, rows)
    rollup.write()
    profiles.seen(ProductUser._meta.db_table, people_seen)
    profiles.seen(Account._meta.db_table, accounts_seen)
    return touched, recent
