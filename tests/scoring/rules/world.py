"""Facts put straight into the tables that rules read."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

from accounts.models import (
    Account,
    Event,
    EventType,
    Membership,
    Plan,
    PlanLimit,
    ProductUser,
    StageEntry,
    TraitValue,
    UsageDay,
    UsageValue,
)
from plgops.lib.days import EPOCH_AT, FOREVER, from_micros

_numbers = itertools.count(1)


def at(day: int) -> dt.datetime:
    return EPOCH_AT + dt.timedelta(days=day, hours=12)


def account(signup_day: int = 0, **more) -> Account:
    number = next(_numbers)
    return Account.objects.create(
        external_id=f"acc-{number}",
        name=f"Account {number}",
        signed_up_at=at(signup_day),
        signup_day=signup_day,
        recorded_at=at(signup_day),
        **more,
    )


def person(signup_day: int = 0, *accounts: Account, **more) -> ProductUser:
    number = next(_numbers)
    user = ProductUser.objects.create(
        external_id=f"usr-{number}",
        is_known=True,
        signed_up_at=at(signup_day),
        signup_day=signup_day,
        recorded_at=at(signup_day),
        **more,
    )
    for joined in accounts:
        member(joined, user, signup_day)
    return user


def member(joined: Account, user: ProductUser, from_day: int = 0, to_day: int = FOREVER) -> Membership:
    return Membership.objects.create(
        account=joined,
        user=user,
        account_key=f"g:{joined.external_id}",
        user_key=f"u:{user.external_id}",
        origin="group",
        valid_from=at(from_day),
        valid_to=None if to_day == FOREVER else at(to_day),
        from_day=from_day,
        to_day=to_day,
    )


def event_type(name: str, **more) -> EventType:
    return EventType.objects.create(name=name, **more)


def used(where: Account | None, who: ProductUser | None, kind: EventType, day: int, count: int = 1) -> UsageDay:
    noon = day * 86_400_000_000 + 43_200_000_000
    return UsageDay.objects.create(
        account_id=where.pk if where else 0,
        user_id=who.pk if who else 0,
        event_type_id=kind.pk,
        day=day,
        count=count,
        first_us=noon,
        last_us=noon,
    )


def metered(where: Account, who: ProductUser | None, kind: EventType, day: int, *amounts: float) -> UsageDay:
    """Events of the day in order, each with its number; units, not millionths."""
    row = used(where, who, kind, day, len(amounts))
    told = [int(Decimal(str(amount)) * 1_000_000) for amount in amounts]
    row.sum_value, row.max_value, row.last_value, row.last_value_us = sum(told), max(told), told[-1], row.last_us
    row.save()
    return row


def happened(where: Account | None, who: ProductUser, kind: EventType, day: int, *times: int) -> UsageDay:
    """Events at these microseconds of the day's noon, in the log and in the roll-up."""
    noon = day * 86_400_000_000 + 43_200_000_000
    row = used(where, who, kind, day, len(times))
    row.first_us, row.last_us = noon + min(times), noon + max(times)
    row.save()
    for time in times:
        Event.objects.create(
            source_id=1,
            message_id=f"m{next(_numbers)}",
            event_type=kind,
            user=who,
            account=where,
            occurred_at=from_micros(noon + time),
            received_at=at(day),
        )
    return row


def limit(plan: str, metric: str, amount: float, from_day: int = 0) -> PlanLimit:
    found, _ = Plan.objects.get_or_create(code=plan, defaults={"name": plan})
    return PlanLimit.objects.create(plan=found, metric=metric, limit=int(amount * 1_000_000), from_day=from_day)


def valued(
    where: Account, who: ProductUser | None, kind: EventType, day: int, value: str, count: int = 1
) -> UsageValue:
    return UsageValue.objects.create(
        account_id=where.pk, user_id=who.pk if who else 0, event_type_id=kind.pk, day=day, value=value, count=count
    )


def trait(whose: Account | ProductUser, name: str, value, from_day: int = 0, to_day: int = FOREVER) -> TraitValue:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return TraitValue.objects.create(
        account_id=whose.pk if isinstance(whose, Account) else 0,
        user_id=whose.pk if isinstance(whose, ProductUser) else 0,
        key=f"k:{whose.external_id}",
        name=name,
        value=value,
        text=text,
        number=int(Decimal(str(value)) * 1_000_000) if is_number else None,
        valid_from=at(from_day),
        recorded_at=at(from_day),
        from_day=from_day,
        to_day=to_day,
    )


def stage(whose: Account, name: str, day: int) -> StageEntry:
    return StageEntry.objects.create(
        account=whose,
        origin=whose,
        stage=name,
        at=at(day),
        day=day,
        recorded_at=at(day),
        cause="test",
        reference=f"t{next(_numbers)}",
    )


def document(rule: dict, **more) -> dict:
    return {"slug": "a-definition", "name": "A definition", "purpose": "risk", "rule": rule} | more
