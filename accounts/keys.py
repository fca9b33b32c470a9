"""Keys to ids: which person and which account a message means, under the lock that ingest takes.

Every message names a person, so the rows of UserKey are what everything locks: ingest shares the keys that
it reads, and whoever changes what keys or events resolve to, or what the roll-up counts, has them alone.

An anonymous key belongs to the known person who identified on it first: the least (time, user key) of the
messages that carry both. An alias is the same link for the previous id, known or not. So each key points to
at most one other, and what it means is the key at the end of that chain; of links that go round in a
circle the latest (time, target, key) is void. None of this depends on the order of arrival, and two known
people are never joined by a device that they share.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from accounts.models import Account, AccountKey, ProductUser, UserKey
from accounts.workspace import day_of
from plgops.lib import bulk
from plgops.lib.db import Contended, is_postgres

LONGEST_ID = 200
_DOOR = 7_260_001  # the advisory lock of those who make or change keys; the number is only ours
Link = tuple[dt.datetime, str]  # when, and to which key


class NeedsExclusive(Exception):
    """The batch changes what keys mean, but holds them shared only: it is tried again with them alone."""


_USER = bulk.Table(
    ProductUser._meta.db_table,
    (
        ("external_id", "text"),
        ("is_known", "boolean"),
        ("email", "text"),
        ("name", "text"),
        ("title", "text"),
        ("invited_by_key", "text"),
        ("signed_up_at", "timestamptz"),
        ("signup_day", "int"),
        ("signup_is_explicit", "boolean"),
        ("recorded_at", "timestamptz"),
        ("traits", "jsonb"),
    ),
)
_USER_KEY = bulk.Table(
    UserKey._meta.db_table,
    (
        ("key", "text"),
        ("user_id", "bigint"),
        ("linked_at", "timestamptz"),
        ("linked_key", "text"),
        ("first_seen_at", "timestamptz"),
    ),
)
_ACCOUNT = bulk.Table(
    Account._meta.db_table,
    (
        ("external_id", "text"),
        ("name", "text"),
        ("domain", "text"),
        ("is_provisional", "boolean"),
        ("is_internal", "boolean"),
        ("signed_up_at", "timestamptz"),
        ("signup_day", "int"),
        ("signup_is_explicit", "boolean"),
        ("recorded_at", "timestamptz"),
        ("traits", "jsonb"),
        ("plan", "text"),
        ("mrr", "numeric"),
    ),
)
_ACCOUNT_KEY = bulk.Table(
    AccountKey._meta.db_table,
    (("key", "text"), ("account_id", "bigint"), ("home_id", "bigint"), ("first_seen_at", "timestamptz")),
)


@dataclass(slots=True)
class PersonKey:
    """A row of UserKey. `user_id` is 0 until a new key has been settled."""

    key: str
    user_id: int
    linked_at: dt.datetime | None
    linked_key: str
    first_seen_at: dt.datetime | None

    @property
    def link(self) -> Link | None:
        return (self.linked_at, self.linked_key) if self.linked_at is not None else None


@dataclass(slots=True)
class GroupKey:
    """A row of AccountKey."""

    key: str
    account_id: int
    home_id: int
    first_seen_at: dt.datetime | None


def external_id_of(key: str) -> str:
    """What a person or account is called outside: the bare id, or `anon:…` / `domain:…`.

    A bare id that begins like one of those is marked with `=`, so that nobody can take another's name.
    """
    kind, bare = key[0], key[2:]
    if kind == "a":
        name = "anon:" + bare
    elif kind == "d":
        name = "domain:" + bare
    else:
        name = "=" + bare if bare.startswith(("anon:", "domain:", "=")) else bare
    if len(name) > LONGEST_ID:
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        name = f"{name[: LONGEST_ID - 33]}~{digest}"
    return name


def enter(*, alone: bool) -> None:
    """Come in to make or change keys; `alone` when others got in the way before. Before any row is locked.

    Those who make keys do it side by side. After a collision one waits until nobody else does, so that the
    next attempt cannot collide, however many new people and accounts are sent at once.
    """
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}({_DOOR})")


def _lock(exclusive: bool) -> str:
    if not is_postgres():
        return ""  # one writer at a time: the transaction has everything alone
    return " FOR UPDATE" if exclusive else " FOR SHARE"


def load_people(keys: Iterable[str], *, exclusive: bool) -> dict[str, PersonKey]:
    """The rows of these keys, locked in order; shared is enough to resolve messages."""
    return _people("key", sorted(set(keys)), exclusive)


def lock_people(user_ids: Collection[int]) -> dict[str, PersonKey]:
    """All keys of these people, locked in order, for whoever changes what theirs resolves to or counts."""
    return _people("user_id", sorted(user_ids), exclusive=True)


def _people(column: str, values: list[str] | list[int], exclusive: bool) -> dict[str, PersonKey]:
    if not values:
        return {}
    rows = bulk.fetch(
        f"SELECT key, user_id, linked_at, linked_key, first_seen_at FROM {_USER_KEY.name}"
        f" WHERE {bulk.among(column)} ORDER BY key{_lock(exclusive)}",
        [bulk.many(values)],
    )
    read = bulk.read_time
    return {key: PersonKey(key, user_id, read(at), target, read(first)) for key, user_id, at, target, first in rows}


def load_accounts(keys: Iterable[str], *, exclusive: bool) -> dict[str, GroupKey]:
    """The rows of these account keys, locked in order."""
    return _groups("key", sorted(set(keys)), exclusive)


def lock_accounts(account_ids: Collection[int]) -> dict[str, GroupKey]:
    """All keys of these accounts, locked in order, for whoever changes what is derived from them."""
    return _groups("account_id", sorted(account_ids), exclusive=True)


def _groups(column: str, values: list[str] | list[int], exclusive: bool) -> dict[str, GroupKey]:
    if not values:
        return {}
    rows = bulk.fetch(
        f"SELECT key, account_id, home_id, first_seen_at FROM {_ACCOUNT_KEY.name}"
        f" WHERE {bulk.among(column)} ORDER BY key{_lock(exclusive)}",
        [bulk.many(values)],
    )
    return {key: GroupKey(key, account, home, bulk.read_time(first)) for key, account, home, first in rows}


def make_accounts(
    first_seen: Mapping[str, dt.datetime], *, names: Mapping[str, str], now: dt.datetime
) -> dict[str, GroupKey]:
    """Accounts of their own for keys that are new. Contended if somebody else was making one of them."""
    keys = sorted(first_seen)
    if not keys:
        return {}
    by_name = {external_id_of(key): key for key in keys}
    made = bulk.write_returning(
        _ACCOUNT,
        [
            (
                external_id_of(key),
                names.get(key, key[2:])[:200],
                key[2:] if key[0] == "d" else "",
                key[0] == "d",
                False,
                first_seen[key],
                day_of(first_seen[key]),
                False,
                now,
                "{}",
                "",
                "0",
            )
            for key in keys
        ],
        "ON CONFLICT (external_id) DO NOTHING",
        "id, external_id",
    )
    ids = {by_name[external_id]: pk for pk, external_id in made}
    if len(ids) < len(keys):
        ids.update(_by_external_id(Account._meta.db_table, {external_id_of(key): key for key in keys}))
    found = {key: GroupKey(key, ids[key], ids[key], first_seen[key]) for key in keys}
    write_account_keys(found.values())
    return found


def write_account_keys(rows: Iterable[GroupKey]) -> None:
    """Store new account keys. Contended if somebody else was making one of them."""
    ordered = sorted(rows, key=lambda row: row.key)
    made = bulk.write_returning(
        _ACCOUNT_KEY,
        [(row.key, row.account_id, row.home_id, row.first_seen_at) for row in ordered],
        "ON CONFLICT (key) DO NOTHING",
        "key",
    )
    if len(made) < len(ordered):
        raise Contended


def _by_external_id(table: str, keys: Mapping[str, str]) -> dict[str, int]:
    rows = bulk.fetch(f"SELECT id, external_id FROM {table} WHERE {bulk.among('external_id')}", [bulk.many(keys)])
    return {keys[external_id]: pk for pk, external_id in rows}


def root_of(key: str, rows: Mapping[str, PersonKey]) -> str:
    """The key at the end of the chain; in a circle, the one whose own link is the latest."""
    seen: list[str] = []
    while (row := rows[key]).linked_key:
        if key in seen:
            circle = seen[seen.index(key) :]
            return max(circle, key=lambda k: (rows[k].linked_at, rows[k].linked_key, k))
        seen.append(key)
        key = row.linked_key
    return key


@dataclass(slots=True)
class Settled:
    """What `settle` did: the keys that went from one person to another, and whom it made."""

    moved: list[tuple[str, int, int]]
    made: set[int]


def settle(
    rows: dict[str, PersonKey],
    first_seen: Mapping[str, dt.datetime],
    links: Mapping[str, Link],
    *,
    now: dt.datetime,
) -> Settled:
    """Bring new keys and earlier links into `rows` (locked, exclusive) and the database.

    `first_seen` has the first time of every key named, linked ones too; people are made for keys that are
    new and lead to nobody.
    """
    new = [key for key in first_seen if key not in rows]
    for key in new:
        rows[key] = PersonKey(key, 0, None, "", None)
    changed = [key for key, link in links.items() if (known := rows[key].link) is None or link < known]
    involved = {rows[key].user_id for key in changed} | {rows[links[key][1]].user_id for key in changed}
    involved.discard(0)
    for key, row in lock_people(involved).items():
        rows.setdefault(key, row)
    for key in changed:
        rows[key].linked_at, rows[key].linked_key = links[key]
    affected = [key for key, row in rows.items() if row.user_id in involved or not row.user_id]
    roots = {key: root_of(key, rows) for key in affected}
    own, made = _own_people(affected, set(roots.values()), first_seen, now=now, look=bool(changed))
    moved: list[tuple[str, int, int]] = []
    for key, root in roots.items():
        row = rows[key]
        owner = own[root]
        if row.user_id and row.user_id != owner:
            moved.append((key, row.user_id, owner))
        row.user_id = owner
    _write_keys(rows, new, set(changed) | {key for key, _, _ in moved})
    if moved:
        tombs = [(own[key], own[root] if root != key else None) for key, root in roots.items() if key in own]
        bulk.update(_USER.name, ("id", "bigint"), [("merged_into_id", "bigint")], sorted(tombs))
        _keep_refusals({loser: winner for loser, winner in tombs if winner is not None})
    return Settled(sorted(moved), made)


def _keep_refusals(winners: Mapping[int, int]) -> None:
    """Who turned out to be somebody else, and had refused to be contacted, is refusing under the other id, too."""
    refused = ProductUser.objects.filter(pk__in=winners, contact_refused_at__isnull=False).order_by("pk")
    for loser, at in refused.values_list("pk", "contact_refused_at"):
        ProductUser.objects.filter(pk=winners[loser], contact_refused_at=None).update(contact_refused_at=at)


def _own_people(
    affected: Collection[str],
    roots: Collection[str],
    first_seen: Mapping[str, dt.datetime],
    *,
    now: dt.datetime,
    look: bool,
) -> tuple[dict[str, int], set[int]]:
    """The people that keys are by themselves, by key; made where a root has none."""
    names = {external_id_of(key): key for key in affected}
    own = _by_external_id(_USER.name, names) if look else {}
    lacking = sorted(set(roots) - set(own))
    if not lacking:
        return own, set()
    made = bulk.write_returning(
        _USER,
        [
            (external_id_of(key), key[0] == "u", "", "", "", "", at, day_of(at), False, now, "{}")
            for key in lacking
            for at in [first_seen.get(key, now)]
        ],
        "ON CONFLICT (external_id) DO NOTHING",
        "id, external_id",
    )
    own.update({names[external_id]: pk for pk, external_id in made})
    if len(made) < len(lacking):
        own.update(_by_external_id(_USER.name, {external_id_of(key): key for key in lacking}))
    return own, {pk for pk, _ in made}


def _write_keys(rows: Mapping[str, PersonKey], new: Collection[str], changed: Collection[str]) -> None:
    written = bulk.write_returning(
        _USER_KEY,
        [(key, row.user_id, row.linked_at, row.linked_key, None) for key in sorted(new) for row in [rows[key]]],
        "ON CONFLICT (key) DO NOTHING",
        "key",
    )
    if len(written) < len(new):
        raise Contended
    bulk.update(
        _USER_KEY.name,
        ("key", "text"),
        [("user_id", "bigint"), ("linked_at", "timestamptz"), ("linked_key", "text")],
        [
            (key, row.user_id, row.linked_at, row.linked_key)
            for key in sorted(set(changed) - set(new))
            for row in [rows[key]]
        ],
    )


def lower_first_seen(table: str, times: Mapping[str, dt.datetime], column: str = "first_seen_at") -> None:
    """Set the earliest time of keys of either kind, never later than what is stored."""
    bulk.update(
        table,
        ("key", "text"),
        [(column, "timestamptz")],
        sorted(times.items()),
        f"t.{column} IS NULL OR t.{column} > v.{column}",
    )


def move_events(moved: Iterable[tuple[str, int, int]]) -> None:
    """Let the log follow keys that went to another person; the roll-up of both must be rebuilt."""
    with connection.cursor() as cursor:
        for key, old, new in moved:
            cursor.execute(
                "UPDATE accounts_event SET user_id = %s WHERE user_id = %s AND user_key = %s", [new, old, key]
            )
