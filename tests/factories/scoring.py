"""A small world for scoring: accounts with usage written straight into the tables that rules read."""

from __future__ import annotations

import datetime as dt

from accounts import due
from accounts.models import Account, EventType, Membership, ProductUser, TraitValue, UsageDay
from accounts.workspace import day_of
from plgops.lib.days import MICRO, from_micros, micros
from scoring import definitions
from scoring.evaluate import Swept, evaluate_due

SIGNED_UP = dt.datetime(2026, 5, 1, 9, 0, tzinfo=dt.UTC)

TEAM = {
    "slug": "team-expansion",
    "name": "Team expansion",
    "purpose": "pql",
    "level": "account",
    "grace_days": 2,
    "rule": {"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 7}}},
}


def document(**changes) -> dict:
    """TEAM with changes at its top level."""
    return {**TEAM, **changes}


def make_account(name: str = "Acme", **values) -> Account:
    """An account that signed up on 2026-05-01 and was known to plgops before that day ended."""
    values.setdefault("signed_up_at", SIGNED_UP)
    account = Account.objects.create(
        external_id=name.lower().replace(" ", "-"),
        name=name,
        signup_day=day_of(values["signed_up_at"]),
        recorded_at=values.pop("recorded_at", values["signed_up_at"]),
        **values,
    )
    due.mark_changed([account.pk], now=account.recorded_at)
    return account


def make_user(account: Account, name: str) -> ProductUser:
    """A person in the account from its sign-up on."""
    user = ProductUser.objects.create(
        external_id=f"{account.external_id}-{name}",
        is_known=True,
        name=name,
        signed_up_at=account.signed_up_at,
        signup_day=account.signup_day,
        recorded_at=account.recorded_at,
    )
    Membership.objects.create(
        account=account,
        user=user,
        account_key=f"g:{account.external_id}",
        user_key=f"u:{user.external_id}",
        origin="group",
        valid_from=account.signed_up_at,
        from_day=account.signup_day,
    )
    return user


def use(
    account: Account,
    event: str,
    *,
    at: dt.datetime,
    count: int = 1,
    user: ProductUser | None = None,
    importing: bool = False,
    now: dt.datetime | None = None,
) -> None:
    """`count` events of a type at one moment; the account has changed."""
    event_type, _ = EventType.objects.get_or_create(name=event)
    row, new = UsageDay.objects.get_or_create(
        account_id=account.pk,
        user_id=user.pk if user else 0,
        event_type_id=event_type.pk,
        day=day_of(at),
        defaults={"count": count, "first_us": micros(at), "last_us": micros(at)},
    )
    if not new:
        row.count += count
        row.first_us, row.last_us = min(row.first_us, micros(at)), max(row.last_us, micros(at))
        row.save()
    due.mark_changed([account.pk], now=now or at, importing=importing)


def make_trait(account: Account, name: str, value: str | int, *, at: dt.datetime, importing: bool = False) -> None:
    """The account has this trait from `at` on; it has changed."""
    TraitValue.objects.create(
        account_id=account.pk,
        key=f"g:{account.external_id}",
        name=name,
        value=value,
        text=str(value),
        number=value * MICRO if isinstance(value, int) else None,
        valid_from=at,
        recorded_at=at,
        from_day=day_of(at),
    )
    due.mark_changed([account.pk], now=at, importing=importing)


def merge(loser: Account, winner: Account, *, now: dt.datetime, with_usage: bool = True) -> None:
    """The loser becomes a tombstone; its usage goes to the winner."""
    Account.objects.filter(pk=loser.pk).update(merged_into=winner)
    usage = UsageDay.objects.filter(account_id=loser.pk)
    if with_usage:
        for row in usage:
            at = from_micros(row.last_us)
            event = EventType.objects.get(pk=row.event_type_id).name
            use(winner, event, at=at, count=row.count, now=now)
    usage.delete()
    due.mark_changed([loser.pk, winner.pk], now=now)


def publish(now: dt.datetime, **changes):
    """Publish TEAM with changes."""
    return definitions.publish(document=document(**changes), by=None, now=now)


def sweep(now: dt.datetime) -> Swept:
    """Evaluate until nothing is due."""
    total = Swept()
    while (swept := evaluate_due(now=now)).claimed:
        total.add(swept)
    total.add(swept)
    return total
