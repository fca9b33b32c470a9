"""A company's early history, made at once: accounts with what they did in their first days, and whether they paid."""

from __future__ import annotations

import random
from collections.abc import Callable

from accounts.models import Account, EventType, Membership, ProductUser, StageEntry, UsageDay
from plgops.lib.days import FOREVER
from tests.scoring.rules.world import at

FIRST, SIGNUPS = 20_000, 200  # accounts sign up on so many days
DATA_FROM, DATA_UNTIL = 19_990, 20_400
NOON = 43_200_000_000


class World:
    """Collects rows; `save` writes them. Days of `did` and `paid` are counted from the account's sign-up day."""

    def __init__(self) -> None:
        self.rows: list[UsageDay] = []
        self.stages: list[StageEntry] = []
        self.types: dict[str, EventType] = {}
        self.number = 0

    def type(self, name: str, **more) -> EventType:
        if name not in self.types:
            self.types[name] = EventType.objects.create(name=name, **{"meaning": "core", **more})
        return self.types[name]

    def account(self, signup: int, **more) -> Account:
        self.number += 1
        return Account(
            external_id=f"acc-{self.number}",
            name=f"Account {self.number}",
            signed_up_at=at(signup),
            signup_day=signup,
            recorded_at=at(signup),
            **more,
        )

    def accounts(self, signups: list[int], **more) -> list[Account]:
        return Account.objects.bulk_create([self.account(signup, **more) for signup in signups])

    def did(self, who: Account, name: str, day: int, count: int = 1, user: int = 0) -> None:
        on = who.signup_day + day
        self.rows.append(
            UsageDay(
                account_id=who.pk,
                user_id=user,
                event_type_id=self.type(name).pk,
                day=on,
                count=count,
                first_us=on * 86_400_000_000 + NOON,
                last_us=on * 86_400_000_000 + NOON,
            )
        )

    def reached(self, who: Account, day: int, stage: str = "paid") -> None:
        on = who.signup_day + day
        self.stages.append(
            StageEntry(
                account=who, origin=who, stage=stage, at=at(on), day=on, recorded_at=at(on), cause="test", reference=""
            )
        )

    def save(self, *, first: int = DATA_FROM, last: int = DATA_UNTIL) -> None:
        """Write it. Usage of an account that is left out for being internal marks where the data begins and ends."""
        (marker,) = Account.objects.bulk_create([self.account(first, is_internal=True)])
        self.did(marker, "Marker", 0)
        self.did(marker, "Marker", last - first)
        UsageDay.objects.bulk_create(self.rows, batch_size=2000)
        StageEntry.objects.bulk_create(self.stages, batch_size=2000)


def people(accounts: list[Account], each: int) -> dict[int, list[ProductUser]]:
    """So many people in each account, who signed up with it."""
    made = ProductUser.objects.bulk_create(
        ProductUser(
            external_id=f"usr-{account.pk}-{i}",
            is_known=True,
            signed_up_at=account.signed_up_at,
            signup_day=account.signup_day,
            recorded_at=account.signed_up_at,
        )
        for account in accounts
        for i in range(each)
    )
    owners = [account for account in accounts for _ in range(each)]
    Membership.objects.bulk_create(
        Membership(
            account=account,
            user=user,
            account_key=f"g:{account.external_id}",
            user_key=f"u:{user.external_id}",
            origin="group",
            valid_from=account.signed_up_at,
            from_day=account.signup_day,
            to_day=FOREVER,
        )
        for account, user in zip(owners, made, strict=True)
    )
    found: dict[int, list[ProductUser]] = {account.pk: [] for account in accounts}
    for account, user in zip(owners, made, strict=True):
        found[account.pk].append(user)
    return found


def spread(of: int) -> list[int]:
    """Sign-up days of so many accounts, evenly over the period."""
    return [FIRST + i * SIGNUPS // of for i in range(of)]


def planted(of: int = 2000, *, chance: Callable[[int, int, int, int], float], seed: int = 7) -> World:
    """Accounts that invite, run workflows, export and view pages in their first 14 days; `chance` says from the four
    numbers how likely each is to pay in the 60 days after those."""
    world, luck = World(), random.Random(seed)
    for one in world.accounts(spread(of)):
        invites = luck.choice([0, 0, 0, 1, 2, 3, 4, 6])
        runs = luck.choice([0, 0, 1, 2, 5, 9])
        exports = luck.choice([0, 0, 1, 2, 3, 4, 6, 12, 30])
        views = luck.randrange(0, 12)
        for name, many in (("Invite Sent", invites), ("Workflow Run", runs), ("Exported", exports), ("Viewed", views)):
            for day, count in _shared_out(luck, many):
                world.did(one, name, day, count)
        if luck.random() < chance(invites, runs, exports, views):
            world.reached(one, luck.randrange(14, 74))
    world.save()
    return world


def _shared_out(luck: random.Random, many: int) -> list[tuple[int, int]]:
    days: dict[int, int] = {}
    for _ in range(many):
        day = luck.randrange(14)
        days[day] = days.get(day, 0) + 1
    return sorted(days.items())
