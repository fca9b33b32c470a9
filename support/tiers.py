"""Which tier an account is in, and how it is therefore helped.

The first tier by `position` that an account fits is its tier. Assignment follows the account's facts: a
row in AccountDue says that they changed, and the sweep writes the tier and moves the account's open
tickets in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.db import IntegrityError, transaction

from accounts import due, identity
from accounts.models import Account, StaffUser
from accounts.team import audit
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction
from support import tickets
from support.models import AccountTier, Tier

logger = logging.getLogger(__name__)

CONSUMER = "tiers"
LEASE = dt.timedelta(minutes=2)
TOGETHER = 250  # accounts whose locks are held at once


class LeaseLost(Exception):
    """These accounts are in another worker's hands by now."""

    def __init__(self, account_ids: set[int]) -> None:
        super().__init__(f"{len(account_ids)} accounts")
        self.account_ids = account_ids


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

    Some accounts in one transaction; one that fails is pushed back with its error, alone.
    """
    claimed = due.claim(consumer=CONSUMER, now=now, today=day_of(now), limit=limit, lease=LEASE)
    for start in range(0, len(claimed), TOGETHER):
        _follow(claimed[start : start + TOGETHER], now=now)
    return len(claimed)


def _follow(items: Sequence[due.Claimed], *, now: dt.datetime) -> None:
    """Assign these together; one by one when that fails, so that one account stops nobody else."""
    try:
        in_one_transaction(lambda: _assign(items, now=now))
    except LeaseLost as lost:  # those are somebody else's by now, whose verdict stands
        left = [item for item in items if item.account_id not in lost.account_ids]
        if left:
            _follow(left, now=now)
    except Exception as error:
        if len(items) == 1:
            logger.exception("tier of account %s", items[0].account_id)
            due.fail(items[0], consumer=CONSUMER, now=now, error=repr(error))
            return
        logger.warning("tiers of %s accounts could not be assigned together (%r); one by one", len(items), error)
        for item in items:
            _follow([item], now=now)


def _assign(items: Sequence[due.Claimed], *, now: dt.datetime) -> None:
    """Write the accounts' tiers, move their open tickets and finish them; LeaseLost, and nothing is written.

    Tickets of a merged account are helped like its winner's.
    """
    locked = tickets.lock_accounts([item.account_id for item in items])
    ladder = list(Tier.objects.select_related("calendar").order_by("position"))
    current = dict(AccountTier.objects.filter(account__in=locked).values_list("account_id", "tier_id"))
    helped_by: dict[int, Tier | None] = {}  # accounts whose open tickets may have to move
    changed: list[tuple[Account, Tier | None]] = []
    for pk, (account, standing) in sorted(locked.items()):
        fit = tier_for(ladder, plan=standing.plan, mrr=standing.mrr)
        tier = None if account.merged_into_id else fit
        if account.merged_into_id:
            helped_by[pk] = fit
        if current.get(pk) != (tier.pk if tier else None):
            changed.append((account, tier))
    living = {account.pk: tier for account, tier in changed if not account.merged_into_id}
    helped_by |= living | {pk: living[winner] for pk, winner in identity.merged_into(living).items()}
    _write(changed, current, now=now)
    tickets.retier(tiers=helped_by, now=now)
    # last: who answers a ticket has it locked before anything is due
    finished = due.finish_many([(item, None) for item in items], consumer=CONSUMER, now=now)
    if len(finished) < len(items):
        raise LeaseLost({item.account_id for item in items} - finished)


def _write(changed: Sequence[tuple[Account, Tier | None]], before: Mapping[int, int], *, now: dt.datetime) -> None:
    AccountTier.objects.filter(account__in=[account for account, tier in changed if tier is None]).delete()
    AccountTier.objects.bulk_create(
        [
            AccountTier(account=account, tier=tier, since=now, reason=why(tier, plan=account.plan, mrr=account.mrr))
            for account, tier in changed
            if tier is not None
        ],
        update_conflicts=True,
        unique_fields=["account"],
        update_fields=["tier", "since", "reason"],
    )
    audit.record_of_accounts(
        action="account.tier_changed",
        changes=[
            (
                account,
                {
                    "from": before.get(account.pk),
                    "to": tier.pk if tier else None,
                    "tier": tier.name if tier else "",
                },
            )
            for account, tier in changed
        ],
        by=None,
        now=now,
    )


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
