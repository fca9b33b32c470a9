"""Rows for the pages of accounts: an account, its people, what they did."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

from django.utils import timezone

from accounts.models import (
    Account,
    Event,
    EventType,
    Membership,
    ProductUser,
    RevenueMovement,
    Source,
    StageEntry,
    TraitValue,
    UsageDay,
)
from accounts.workspace import day_of
from plgops.lib.days import micros

_numbers = itertools.count(1)


def an_account(name: str = "Lumen Analytics", *, days_ago: int = 90, seen_days_ago: int | None = 1, **extra) -> Account:
    """An account that signed up `days_ago` and was seen `seen_days_ago` (None: never)."""
    now = timezone.now()
    signed_up = now - dt.timedelta(days=days_ago)
    values = {
        "external_id": f"ws_{next(_numbers)}",
        "domain": f"{name.split()[0].lower()}.example",
        "signed_up_at": signed_up,
        "signup_day": day_of(signed_up),
        "recorded_at": signed_up,
        "last_seen_at": None if seen_days_ago is None else now - dt.timedelta(days=seen_days_ago),
        **extra,
    }
    return Account.objects.create(name=name, **values)


def a_person(account: Account, name: str = "Priya Raman", **extra) -> ProductUser:
    """A member of the account since its sign-up."""
    number = next(_numbers)
    values = {
        "external_id": f"user_{number}",
        "is_known": True,
        "email": f"{name.split()[0].lower()}.{number}@{account.domain}",
        "signed_up_at": account.signed_up_at,
        "signup_day": account.signup_day,
        "recorded_at": account.recorded_at,
        "last_seen_at": timezone.now() - dt.timedelta(hours=2),
        **extra,
    }
    person = ProductUser.objects.create(name=name, **values)
    Membership.objects.create(
        account=account,
        user=person,
        account_key=f"g:{account.external_id}",
        user_key=f"u:{person.external_id}",
        origin=Membership.Origin.GROUP,
        role="admin",
        valid_from=account.signed_up_at,
        from_day=account.signup_day,
    )
    return person


def an_event_type(name: str = "Workflow Completed", meaning: str = EventType.Meaning.CORE, **extra) -> EventType:
    return EventType.objects.get_or_create(name=name, defaults={"meaning": meaning, **extra})[0]


def did(account: Account, person: ProductUser, event: EventType, *, days_ago: int = 0, times: int = 1, **properties):
    """The person did it: rows of the log and of the roll-up."""
    at = timezone.now() - dt.timedelta(days=days_ago)
    UsageDay.objects.create(
        account_id=account.pk,
        user_id=person.pk,
        event_type_id=event.pk,
        day=day_of(at),
        count=times,
        first_us=micros(at),
        last_us=micros(at),
    )
    source = Source.objects.get(kind="internal")
    for _ in range(times):
        Event.objects.create(
            source=source,
            message_id=f"m{next(_numbers)}",
            event_type=event,
            user=person,
            account=account,
            user_key=f"u:{person.external_id}",
            account_key=f"g:{account.external_id}",
            occurred_at=at,
            received_at=at,
            properties=properties,
        )


def reached(account: Account, stage: str, *, days_ago: int = 0) -> StageEntry:
    at = timezone.now() - dt.timedelta(days=days_ago)
    return StageEntry.objects.create(
        account=account,
        origin=account,
        stage=stage,
        at=at,
        day=day_of(at),
        recorded_at=at,
        cause="event",
        reference=f"t{next(_numbers)}",
    )


def moved(account: Account, kind: str, amount: str, after: str, *, days_ago: int = 0) -> RevenueMovement:
    at = timezone.now() - dt.timedelta(days=days_ago)
    return RevenueMovement.objects.create(
        account=account,
        at=at,
        day=day_of(at),
        kind=kind,
        amount=Decimal(amount),
        mrr_after=Decimal(after),
        plan="team",
    )


def a_trait(account: Account, name: str, text: str, *, days_ago: int = 0) -> TraitValue:
    at = timezone.now() - dt.timedelta(days=days_ago)
    return TraitValue.objects.create(
        account_id=account.pk,
        key=f"g:{account.external_id}",
        name=name,
        value=text,
        text=text,
        valid_from=at,
        recorded_at=at,
        from_day=day_of(at),
    )


def a_busy_account(name: str = "Lumen Analytics", *, people: int = 3, **extra) -> Account:
    """An account with people, events over the last weeks, stages, traits and revenue: something of everything."""
    account = an_account(name, **extra)
    core = an_event_type()
    invite = an_event_type("Invite Sent", EventType.Meaning.INVITE)
    for i in range(people):
        person = a_person(account, f"{('Priya', 'Jonas', 'Mina', 'Elif')[i % 4]} Weber")
        for days_ago in range(0, 40, 3 + i):
            did(account, person, core, days_ago=days_ago, times=2, template="Weekly report")
        did(account, person, invite, days_ago=i, invitee_email="new@example.com")
    reached(account, "activated", days_ago=20)
    reached(account, "pql", days_ago=5)
    moved(account, "new", "175.00", "175.00", days_ago=30)
    a_trait(account, "region", "EMEA", days_ago=10)
    return account
