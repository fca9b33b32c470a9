"""Deals as the CRM has them, and the revenue that is credited to sales for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from accounts import billing
from accounts.models import Account, Deal
from plgops.lib.db import retried

CENT = Decimal("0.01")
_SAID = ("account_id", "name", "stage", "status", "amount", "currency", "opened_at", "closed_at")


@dataclass(frozen=True, slots=True)
class Fact:
    """One deal as it was read. `account_id`: the company's root account; `status`: open, won, lost."""

    external_id: str
    account_id: int
    name: str
    stage: str
    status: str
    amount: Decimal | None
    currency: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None


@retried
def record(facts: Sequence[Fact], *, now: dt.datetime) -> int:
    """Write deals as they were read; how many are new or changed. Told twice, nothing changes.

    An account that was merged away or became part of a company since leaves its deals to the company that it is now.
    Where deals that were won are others than before, the credit of what their companies bought is decided again.
    """
    told = {fact.external_id: fact for fact in facts}
    company_of = locked_companies({fact.account_id for fact in facts} | set(_accounts_of(told)))
    told = {key: replace(fact, account_id=company_of[fact.account_id]) for key, fact in told.items()}
    known = {deal.external_id: deal for deal in Deal.objects.filter(external_id__in=told)}
    new, changed, again = [], [], set()
    for external_id, fact in sorted(told.items()):
        deal = known.get(external_id)
        said = {name: getattr(fact, name) for name in _SAID}
        said["amount"] = fact.amount.quantize(CENT) if fact.amount is not None else None
        if deal is None:
            new.append(Deal(external_id=external_id, read_at=now, **said))
        else:
            if any(getattr(deal, name) != value for name, value in said.items()):
                changed.append(deal)
                if Deal.Status.WON in (deal.status, fact.status):
                    again |= {deal.account_id, fact.account_id}
            for name, value in said.items():
                setattr(deal, name, value)
            deal.read_at = now
    Deal.objects.bulk_create(new, batch_size=200)
    Deal.objects.bulk_update(list(known.values()), [*(n.removesuffix("_id") for n in _SAID), "read_at"], batch_size=100)
    again |= {deal.account_id for deal in new if deal.status == Deal.Status.WON}
    for account_id in sorted(again):
        billing.set_motion(company_id=account_id, now=now)
    return len(new) + len(changed)


@retried
def gone(external_ids: Collection[str], *, now: dt.datetime) -> int:
    """These deals are no longer in the CRM, or belong to no company of ours; how many. They credit nobody."""
    locked_companies(_accounts_of(external_ids))
    rows = Deal.objects.filter(external_id__in=external_ids)
    won = set(rows.filter(status=Deal.Status.WON).values_list("account_id", flat=True))
    done = rows.exclude(status=Deal.Status.GONE).update(status=Deal.Status.GONE, read_at=now)
    for account_id in sorted(won):
        billing.set_motion(company_id=account_id, now=now)
    return done


def seen(external_ids: Collection[str], *, now: dt.datetime) -> None:
    """These deals were looked at, and stay what they are."""
    Deal.objects.filter(external_id__in=external_ids).update(read_at=now)


def locked_companies(account_ids: Collection[int]) -> dict[int, int]:
    """The company that each of these accounts is part of now, whatever it was merged into; all of them are locked.

    Asked before the lock it may be wrong after it: a merge that came between would have taken the account away.
    """
    leads: dict[int, int] = {}
    wanted = set(account_ids)
    while wanted:
        rows = Account.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk")
        for pk, merged_into_id, parent_id in rows.values_list("pk", "merged_into_id", "parent_id"):
            leads[pk] = merged_into_id or parent_id or pk
        wanted = set(leads.values()) - leads.keys()
    found = {}
    for pk in account_ids:
        end = pk
        while leads[end] != end:
            end = leads[end]
        found[pk] = end
    return found


def _accounts_of(external_ids: Collection[str]) -> list[int]:
    return list(Deal.objects.filter(external_id__in=external_ids).values_list("account_id", flat=True))
