"""Who is in which account, from when to when, and so which account an event belongs to.

A person is in an account from the first message that names both (a `group` call, a group id on any call)
until `Account Removed User`; a later message that names both starts anew. People without any such
membership are in the account of their e-mail's domain, from the message that told the address. All of it is
derived from what was said (`MembershipFact`, and the log for track messages), so order never matters.

An event belongs to the account that its message names, else to the account of the membership that covers
its time (of several the one that began last, then the least account key), else to the person's first
account (the least start, then key), else to none.

The domain's key itself belongs to the account of the earliest membership, by (start, account key), of anybody
whose e-mail is in the domain: a provisional account is merged into it with the cause `superseded`.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connection

from accounts.models import Membership, MembershipFact
from accounts.usage import day_of_micros
from plgops.lib import bulk
from plgops.lib.days import FOREVER, micros

LEFT_EVENT = "account removed user"
EVER, NEVER = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)
Kind = MembershipFact.Kind

_FACT = bulk.Table(
    MembershipFact._meta.db_table,
    (
        ("user_key", "text"),
        ("account_key", "text"),
        ("kind", "text"),
        ("day", "int"),
        ("first_at", "timestamptz"),
        ("last_at", "timestamptz"),
    ),
)
_F = _FACT.name
_ADD_FACT = (
    "ON CONFLICT (user_key, account_key, kind, day) DO UPDATE SET"
    f" first_at = CASE WHEN excluded.first_at < {_F}.first_at THEN excluded.first_at ELSE {_F}.first_at END,"
    f" last_at = CASE WHEN excluded.last_at > {_F}.last_at THEN excluded.last_at ELSE {_F}.last_at END"
)
_MEMBERSHIP = bulk.Table(
    Membership._meta.db_table,
    (
        ("account_id", "bigint"),
        ("user_id", "bigint"),
        ("account_key", "text"),
        ("user_key", "text"),
        ("origin", "text"),
        ("role", "text"),
        ("valid_from", "timestamptz"),
        ("valid_to", "timestamptz"),
        ("from_day", "int"),
        ("to_day", "int"),
    ),
)


@dataclass(frozen=True, slots=True)
class Named:
    """A message named a person and an account (`kind`: MembershipFact's); `in_log`: it is a track message."""

    user_key: str
    account_key: str
    kind: str
    at: dt.datetime
    in_log: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """One membership: `[start, end)`; an open one ends never."""

    account_key: str
    account_id: int
    origin: str
    start: dt.datetime
    end: dt.datetime
    user_key: str = ""


class Places:
    """One person's memberships, and so where an event of theirs belongs."""

    __slots__ = ("first", "latest")

    def __init__(self, spans: Iterable[Span]) -> None:
        self.latest = list(spans)
        if len(self.latest) > 1:
            self.latest.sort(key=lambda span: span.account_key)
            first = min(self.latest, key=lambda span: span.start)
            self.latest.sort(key=lambda span: span.start, reverse=True)
            self.first: Span | None = first
        else:
            self.first = self.latest[0] if self.latest else None

    def account_at(self, at: dt.datetime) -> int:
        """The account of an event that names none; 0: no account."""
        for span in self.latest:
            if span.start <= at < span.end:
                return span.account_id
        return self.first.account_id if self.first else 0

    def stretches(self) -> list[tuple[dt.datetime, dt.datetime, int]]:
        """All of time in half-open stretches, each with the account of its events that name none."""
        edges = sorted({EVER, NEVER, *(span.start for span in self.latest), *(span.end for span in self.latest)})
        found: list[tuple[dt.datetime, dt.datetime, int]] = []
        for start, end in pairwise(edges):
            account_id = self.account_at(start)
            if found and found[-1][2] == account_id:
                start = found.pop()[0]
            found.append((start, end, account_id))
        return found

    def covers(self, account_key: str, at: dt.datetime) -> bool:
        """Whether a message at `at` that names this account tells nothing new."""
        return any(span.account_key == account_key and span.start <= at < span.end for span in self.latest)


def record(named: Iterable[Named]) -> None:
    """Write down what was said, once per pair, kind and day (a domain: once). Track messages are in the log."""
    rows: dict[tuple[str, str, str, int], list[dt.datetime]] = {}
    for one in named:
        if one.in_log:
            continue
        day = 0 if one.kind == Kind.DOMAIN else day_of_micros(micros(one.at))
        row = rows.setdefault((one.user_key, one.account_key, str(one.kind), day), [one.at, one.at])
        row[0], row[1] = min(row[0], one.at), max(row[1], one.at)
    bulk.write(_FACT, [(*key, *rows[key]) for key in sorted(rows)], _ADD_FACT)


def known_domains(user_keys: Collection[str]) -> dict[tuple[str, str], dt.datetime]:
    """Since when each e-mail domain is known of these keys."""
    rows = bulk.fetch(
        f"SELECT user_key, account_key, first_at FROM {_F} WHERE kind = 'domain' AND {bulk.among('user_key')}",
        [bulk.many(sorted(user_keys))],
    )
    return {(user_key, key): at for user_key, key, first in rows if (at := bulk.read_time(first)) is not None}


def load(user_ids: Collection[int]) -> dict[int, Places]:
    """The memberships of these people, as they stand."""
    spans: dict[int, list[Span]] = defaultdict(list)
    for user_id, *rest in _stored(user_ids):
        spans[user_id].append(_span(rest[1:]))
    return {user_id: Places(spans.get(user_id, ())) for user_id in user_ids}


def _stored(user_ids: Collection[int]) -> list[tuple[Any, ...]]:
    if not user_ids:
        return []
    return bulk.fetch(
        "SELECT user_id, id, account_key, account_id, origin, valid_from, valid_to, user_key"
        f" FROM {_MEMBERSHIP.name} WHERE {bulk.among('user_id')}",
        [bulk.many(sorted(user_ids))],
    )


def _span(row: Iterable[Any]) -> Span:
    account_key, account_id, origin, start, end, user_key = row
    start = bulk.read_time(start)
    return Span(account_key, account_id, origin, start, bulk.read_time(end) or NEVER, user_key)  # type: ignore[arg-type]


@dataclass(slots=True)
class Heard:
    """All that was said about one person's accounts."""

    named: dict[str, list[tuple[dt.datetime, str, str]]]  # by account key: when, under which key, origin
    left: dict[str, list[dt.datetime]]
    domains: dict[str, tuple[dt.datetime, str]]


def hear(owners: Mapping[str, int], more: Iterable[Named] = ()) -> dict[int, Heard]:
    """Read it back for the people with these keys; `more`: track messages that are not in the log yet."""
    heard = {user_id: Heard(defaultdict(list), defaultdict(list), {}) for user_id in owners.values()}
    keys = sorted(owners)
    for user_key, account_key, kind, first_at, last_at in bulk.fetch(
        f"SELECT user_key, account_key, kind, first_at, last_at FROM {_F} WHERE {bulk.among('user_key')}",
        [bulk.many(keys)],
    ):
        one = heard[owners[user_key]]
        for at in {first_at, last_at}:
            moment = bulk.read_time(at)
            assert moment is not None  # the column is NOT NULL
            if kind == Kind.LEFT:
                one.left[account_key].append(moment)
            elif kind == Kind.DOMAIN:
                known = one.domains.get(account_key)
                one.domains[account_key] = min(known, (moment, user_key)) if known else (moment, user_key)
            else:
                origin = Membership.Origin.IMPORT if kind == Kind.IMPORT else Membership.Origin.GROUP
                one.named[account_key].append((moment, user_key, str(origin)))
    for user_key, account_key, at in bulk.fetch(
        f"SELECT e.user_key, e.account_key, MIN(e.occurred_at) {_naming()} GROUP BY e.user_key, e.account_key",
        [bulk.many(sorted(heard)), LEFT_EVENT],
    ):
        moment = bulk.read_time(at)
        assert moment is not None  # the column is NOT NULL
        heard[owners[user_key]].named[account_key].append((moment, user_key, str(Membership.Origin.GROUP)))
    for (account_key, user_key, _), moment in _returns(owners, heard).items():
        heard[owners[user_key]].named[account_key].append((moment, user_key, str(Membership.Origin.GROUP)))
    for named in more:
        if named.in_log and named.user_key in owners:
            heard[owners[named.user_key]].named[named.account_key].append(
                (named.at, named.user_key, str(Membership.Origin.GROUP))
            )
    return heard


def _naming() -> str:
    """Events of some people that put them into the accounts that they name; parameters: people, LEFT_EVENT."""
    return (
        "FROM accounts_event e JOIN accounts_eventtype t ON t.id = e.event_type_id"
        f" WHERE {bulk.among('e.user_id')} AND e.account_key <> '' AND LOWER(t.name) <> %s"
    )


def _returns(owners: Mapping[str, int], heard: Mapping[int, Heard]) -> dict[tuple[str, str, int], dt.datetime]:
    """The first message after each removal, by account key, user key and number of the removal.

    What comes before the next removal tells nothing more, so a log of any length leaves one time for each.
    """
    removals = {
        (user_id, account_key): sorted(times)
        for user_id, one in heard.items()
        for account_key, times in one.left.items()
    }
    found: dict[tuple[str, str, int], dt.datetime] = {}
    if not removals:
        return found
    for user_key, account_key, at in bulk.each(
        f"SELECT e.user_key, e.account_key, e.occurred_at {_naming()} AND {bulk.among('e.account_key')}",
        [
            bulk.many(sorted({user_id for user_id, _ in removals})),
            LEFT_EVENT,
            bulk.many(sorted({account_key for _, account_key in removals})),
        ],
    ):
        moment = bulk.read_time(at)
        assert moment is not None  # the column is NOT NULL
        number = bisect_left(removals.get((owners[user_key], account_key), ()), moment)
        place = (account_key, user_key, number)
        if number and (place not in found or moment < found[place]):
            found[place] = moment
    return found


def _spans(heard: Heard, accounts: Mapping[str, int]) -> list[Span]:
    """The memberships by group; a message at the very moment of the removal is still before it."""
    found = []
    for account_key, several in heard.named.items():
        ends = sorted(heard.left.get(account_key, ()))
        until: dt.datetime | None = None
        for at, user_key, origin in sorted(several):
            if until is not None and at <= until:
                continue
            until = next((end for end in ends if end >= at), NEVER)
            if until > at:
                found.append(Span(account_key, accounts[account_key], origin, at, until, user_key))
    return found


def derive(heard: Mapping[int, Heard], accounts: Mapping[str, int], *, domains: bool) -> tuple[set[int], set[int]]:
    """Make the memberships of these people again; who changed, and which accounts lost one. Only differences are
    written.

    `accounts`: account ids by key. Domains come in a second pass (`domains`), after it has been decided
    whose they are; the first leaves those rows alone, except where a group supersedes them.
    """
    wanted: dict[tuple[int, str, dt.datetime], Span] = {}
    grouped: set[int] = set()
    for user_id, one in heard.items():
        for span in _spans(one, accounts):
            wanted[user_id, span.account_key, span.start] = span
            grouped.add(user_id)
        if domains and user_id not in grouped:
            for key, (at, user_key) in one.domains.items():
                span = Span(key, accounts[key], str(Membership.Origin.DOMAIN), at, NEVER, user_key)
                wanted[user_id, key, at] = span
    changed: set[int] = set()
    gone: dict[int, int] = {}  # memberships, each with its account
    for user_id, pk, *rest in _stored(heard):
        span = _span(rest)
        if not domains and span.origin == Membership.Origin.DOMAIN and user_id not in grouped:
            continue
        if wanted.get((user_id, span.account_key, span.start)) == span:
            del wanted[user_id, span.account_key, span.start]
        else:
            gone[pk] = span.account_id
            changed.add(user_id)
    if gone:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_MEMBERSHIP.name} WHERE {bulk.among('id')}", [bulk.many(gone)])
    rows = []
    for (user_id, key, start), span in sorted(wanted.items(), key=lambda item: item[0]):
        changed.add(user_id)
        open_ended = span.end == NEVER
        rows.append(
            (span.account_id, user_id, key, span.user_key, span.origin, "", start)
            + (None if open_ended else span.end, day_of_micros(micros(start)))
            + (FOREVER if open_ended else day_of_micros(micros(span.end)),)
        )
    bulk.write(_MEMBERSHIP, rows)
    return changed, set(gone.values())


def first_of_domains(domains: Collection[str]) -> dict[str, str]:
    """For each domain key the account key of the earliest membership of anybody whose e-mail is in it."""
    earliest: dict[str, tuple[dt.datetime, str]] = {}
    for domain, start, account_key in bulk.fetch(
        f"SELECT f.account_key, MIN(m.valid_from), m.account_key FROM {_F} f"
        " JOIN accounts_userkey k ON k.key = f.user_key"
        f" JOIN {_MEMBERSHIP.name} m ON m.user_id = k.user_id AND m.origin <> 'domain'"
        f" WHERE f.kind = 'domain' AND {bulk.among('f.account_key')} GROUP BY f.account_key, m.account_key",
        [bulk.many(sorted(domains))],
    ):
        at = bulk.read_time(start)
        assert at is not None  # the column is NOT NULL
        if domain not in earliest or (at, account_key) < earliest[domain]:
            earliest[domain] = (at, account_key)
    return {domain: account_key for domain, (_, account_key) in earliest.items()}


_STRETCHES = (("user_id", "bigint"), ("from_at", "timestamptz"), ("to_at", "timestamptz"), ("place", "bigint"))
_ASTRAY = (  # events that name no account and stand in another one than their time says
    "e.user_id = v.user_id AND e.account_key = '' AND e.occurred_at >= v.from_at AND e.occurred_at < v.to_at"
    " AND COALESCE(e.account_id, 0) <> v.place"
)


def attribute(user_ids: Collection[int]) -> set[int]:
    """Let events that name no account follow their people's memberships; whose events changed place."""
    places = load(user_ids)
    rows = [(pk, *stretch) for pk in sorted(places) for stretch in places[pk].stretches()]
    table, told = bulk.table("v", _STRETCHES, rows)
    found = bulk.fetch(f"SELECT DISTINCT e.user_id FROM {table} JOIN accounts_event e ON {_ASTRAY}", [told])
    changed = {user_id for (user_id,) in found}
    if changed:
        table, told = bulk.table("v", _STRETCHES, [row for row in rows if row[0] in changed])
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE accounts_event AS e SET account_id = NULLIF(v.place, 0) FROM {table} WHERE {_ASTRAY}", [told]
            )
    return changed
