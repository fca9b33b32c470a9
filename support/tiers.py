"""Which tier an account is in, and how it is therefore helped.

The first tier by `position` that an account fits is its tier. Assignment follows the account's facts: a
row in AccountDue says that they changed, and the sweep writes the tier and moves the account's open
tickets in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Sequence
from decimal import Decimal

from django.db import IntegrityError, transaction

from accounts import due, identity
from accounts.models import StaffUser
from accounts.team import audit
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction
from support import tickets
from support.models import AccountTier, Tier

logger = logging.getLogger(__name__)

CONSUMER = "tiers"
LEASE = dt.timedelta(minutes=2)


class TierInUse(Exception):
    """A tier that accounts or tickets are in cannot be removed."""


def fits(tier: Tier, *, plan: str, mrr: Decimal) -> bool:
    """Whether an account on `plan` that pays `mrr` a month falls into this tier."""
    return mrr >= tier.min_mrr and (not tier.plans or plan.casefold() in {name.casefold() for name in tier.plans})


def tier_for(tiers: Sequence[Tier], *, plan: str, mrr: Decimal) -> Tier | None:
    """The first of `tiers` (in order of position) that fits; None when none does."""
    return next((tier for tier in tiers if fits(tier, plan=plan, mrr=mrr)), None)


def why(tier: Tier, *, plan: str, mrr: Decimal) -> str:
    """In words what put the account into the tier."""
    plan_part = f"plan is {plan}" if plan else "no plan"
    return f"{plan_part}, pays {mrr:.2f} a month"[:200]


def assign_due(*, now: dt.datetime, limit: int = 500) -> int:
    """Assign the tiers of accounts whose facts changed; how many were looked at.

    Each account in a transaction of its own; one that fails is pushed back with its error.
    """
    claimed = due.claim(consumer=CONSUMER, now=now, today=day_of(now), limit=limit, lease=LEASE)
    if not claimed:
        return 0
    tiers = list(Tier.objects.order_by("position"))
    current = {row.account_id: row for row in AccountTier.objects.filter(account__in=[c.account_id for c in claimed])}
    for item in claimed:
        try:
            in_one_transaction(functools.partial(_follow, item, tiers, current.get(item.account_id), now=now))
        except Exception as error:  # one account that cannot be assigned must not stop the others
            logger.exception("tier of account %s", item.account_id)
            due.fail(item, consumer=CONSUMER, now=now, error=repr(error))
    return len(claimed)


def _follow(item: due.Claimed, tiers: Sequence[Tier], current: AccountTier | None, *, now: dt.datetime) -> None:
    _assign(item.account_id, tiers, current, now=now)
    if not due.finish(item, consumer=CONSUMER, now=now, due_day=None):
        transaction.set_rollback(True)  # the lease went to somebody else: their verdict stands


def _assign(account_id: int, tiers: Sequence[Tier], current: AccountTier | None, *, now: dt.datetime) -> None:
    """Write the account's tier and move its open tickets. Tickets of a merged account are helped like its winner's."""
    account, standing = tickets.lock_account(account_id)
    fit = tier_for(tiers, plan=standing.plan, mrr=standing.mrr)
    tier = None if account.merged_into_id else fit
    before = current.tier_id if current else None
    if account.merged_into_id:
        tickets.retier(account_ids=[account.pk], tier=fit, now=now)
    if before == (tier.pk if tier else None):
        return
    if tier is None:
        AccountTier.objects.filter(account=account).delete()
    else:
        AccountTier.objects.update_or_create(
            account=account,
            defaults={"tier": tier, "since": now, "reason": why(tier, plan=account.plan, mrr=account.mrr)},
        )
    audit.record(
        action="account.tier_changed",
        obj=account,
        by=None,
        now=now,
        account_id=account.pk,
        detail={"from": before, "to": tier.pk if tier else None, "tier": tier.name if tier else ""},
    )
    if not account.merged_into_id:
        tickets.retier(account_ids=[account.pk, *identity.merged_into(account.pk)], tier=tier, now=now)


def save_tier(*, tier: Tier, by: StaffUser, now: dt.datetime) -> Tier:
    """Write a tier (new or changed). Every account is looked at again, which the sweep does in the background."""
    created = tier.pk is None
    tier.full_clean()
    return in_one_transaction(lambda: _save(tier, created=created, by=by, now=now))


def _save(tier: Tier, *, created: bool, by: StaffUser, now: dt.datetime) -> Tier:
    tier.save()
    detail = {
        "plans": tier.plans,
        "min_mrr": str(tier.min_mrr),
        "route": tier.route,
        "first_response_minutes": tier.first_response_minutes,
        "resolution_minutes": tier.resolution_minutes,
    }
    audit.record(action="tier.created" if created else "tier.changed", obj=tier, by=by, now=now, detail=detail)
    due.mark_everybody(consumer=CONSUMER, now=now)
    return tier


@transaction.atomic
def remove_tier(*, tier_id: int, by: StaffUser, now: dt.datetime) -> None:
    """Remove a tier that nobody is in. Raises TierInUse."""
    tier = Tier.objects.select_for_update().get(pk=tier_id)
    if tier.accounts.exists() or tier.tickets.exists():
        raise TierInUse(f"{tier.name} still has accounts or tickets.")
    audit.record(action="tier.removed", obj=tier, by=by, now=now)
    try:
        with transaction.atomic():
            tier.delete()
    except IntegrityError as error:  # somebody fell into it between the look and the delete
        raise TierInUse(f"{tier.name} still has accounts or tickets.") from error
