"""A small support desk: accounts, tiers, tickets."""

from __future__ import annotations

import datetime as dt

from accounts.models import Account, BusinessCalendar
from accounts.workspace import day_of
from support.models import AccountTier, Route, Tier
from tests.conftest import NOW


def make_account(key: str = "acme", **extra) -> Account:
    values = {"name": key.title(), "signed_up_at": NOW, "signup_day": day_of(NOW), "recorded_at": NOW}
    return Account.objects.create(external_id=key, **(values | extra))


def make_tier(name: str, position: int, **extra) -> Tier:
    return Tier.objects.create(name=name, position=position, **({"route": Route.PEOPLE} | extra))


def put_in(account: Account, tier: Tier) -> AccountTier:
    return AccountTier.objects.create(account=account, tier=tier, since=NOW, reason="test")


def office_hours() -> BusinessCalendar:
    hours = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    return BusinessCalendar.objects.create(name="Office", time_zone="UTC", hours=hours, holidays=[])


def later(minutes: int) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minutes)
