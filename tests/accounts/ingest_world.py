"""A small world of messages, and everything that ingest derives from them, said by external keys."""

from __future__ import annotations

import datetime as dt

from accounts import rebuild
from accounts.ingest import accept_batch
from accounts.models import (
    Account,
    AccountKey,
    Event,
    EventType,
    Membership,
    ProductUser,
    Source,
    StageEntry,
    TraitValue,
    UsageDay,
    UsageValue,
    UserKey,
)

UTC = dt.UTC
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


def at(day: int, hour: int = 12, minute: int = 0) -> str:
    """A time in June 2026."""
    return dt.datetime(2026, 6, day, hour, minute, tzinfo=UTC).isoformat()


def make_source() -> Source:
    return Source.objects.create(name="app", kind="internal", created_at=NOW)


def make_types() -> None:
    """Types that meter, that tell values apart, and one derived from another."""
    invite = EventType.objects.create(name="Invite Sent", distinct_property="email", metered_property="seats")
    EventType.objects.create(
        name="Admin Invited",
        base=invite,
        property_filter={"name": "role", "in": ["admin", "owner"]},
        is_activity=False,
        distinct_property="email",
    )
    EventType.objects.create(name="Rows Synced", metered_property="rows")


def send(source: Source, *messages: dict, importing: bool = False):
    return accept_batch(source=source, messages=messages, received_at=NOW, importing=importing)


def recount() -> int:
    """Count again in the background, to the end; in how many steps."""
    steps = 0
    while rebuild.recount_next(now=NOW):
        steps += 1
    return steps


def usage() -> dict:
    """The roll-up."""
    people = dict(ProductUser.objects.values_list("pk", "external_id"))
    accounts = {0: "", **dict(Account.objects.values_list("pk", "external_id"))}
    types = dict(EventType.objects.values_list("pk", "name"))
    return {
        "days": sorted(
            (accounts[r.account_id], people[r.user_id], types[r.event_type_id], r.day, r.count)
            + (r.sum_value, r.max_value or 0, r.last_value or 0, r.last_value_us or 0, r.first_us, r.last_us)
            for r in UsageDay.objects.all()
        ),
        "values": sorted(
            (accounts[r.account_id], people[r.user_id], types[r.event_type_id], r.day, r.value, r.count)
            for r in UsageValue.objects.all()
        ),
    }


def state() -> dict:
    """Everything derived, without ids, tombstones and the moments of recording."""
    people = dict(ProductUser.objects.values_list("pk", "external_id"))
    accounts = {0: "", None: "", **dict(Account.objects.values_list("pk", "external_id"))}
    return {
        "user_keys": sorted((k.key, people[k.user_id]) for k in UserKey.objects.all()),
        "account_keys": sorted((k.key, accounts[k.account_id]) for k in AccountKey.objects.all()),
        "people": sorted(
            (p.external_id, p.is_known, p.email, p.name, str(sorted(p.traits.items())), p.signed_up_at, p.signup_day)
            + (p.signup_is_explicit, str(p.last_seen_at))
            for p in ProductUser.objects.filter(merged_into=None)
        ),
        "accounts": sorted(
            (a.external_id, a.name, a.domain, a.plan, str(sorted(a.traits.items())), a.signed_up_at, a.signup_day)
            + (a.signup_is_explicit, str(a.last_seen_at), str(a.seats), a.is_provisional)
            for a in Account.objects.filter(merged_into=None)
        ),
        "memberships": sorted(
            (people[m.user_id], accounts[m.account_id], m.account_key, m.origin, m.valid_from, str(m.valid_to))
            + (m.from_day, m.to_day)
            for m in Membership.objects.all()
        ),
        "traits": sorted(
            (people.get(t.user_id, ""), accounts[t.account_id], t.name, t.text, t.from_day, t.to_day)
            for t in TraitValue.objects.all()
        ),
        "events": sorted((e.message_id, people[e.user_id], accounts[e.account_id]) for e in Event.objects.all()),
        "stages": sorted((accounts[s.account_id], s.stage, s.at, s.day) for s in StageEntry.objects.all()),
        **usage(),
    }
