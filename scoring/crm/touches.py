"""What sales did in the CRM counts here: e-mails, calls and meetings become touches, once, when their time has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import groupby

from django.db.models import Q

from accounts import billing, deals, lifecycle
from accounts.models import StaffUser, Stage
from accounts.team import audit
from plgops.lib.db import in_one_transaction
from scoring import handoffs, speed
from scoring.crm import owners
from scoring.crm.provider import ActivityFact
from scoring.models import CrmActivity, CrmLink, Handoff, HandoffActivity

CAUSE = "crm"  # of the stage that a touch writes
LIMIT = 200


def keep(facts: Sequence[ActivityFact]) -> int:
    """Note what was read of companies that we know, to be counted; how many rows are new. Needs a transaction.

    Read again, nothing changes. A meeting that is moved before its time has another one; called off, it is none.
    """
    companies = _companies({one for fact in facts for one in fact.company_ids})
    wanted: dict[tuple[str, str, int], ActivityFact] = {}
    off: list[ActivityFact] = []
    for fact in facts:
        if fact.counts:
            wanted.update({(fact.kind, fact.id, companies[c]): fact for c in fact.company_ids if c in companies})
        else:
            off.append(fact)
    for fact in off:
        CrmActivity.objects.filter(kind=fact.kind, crm_id=fact.id, counted_at=None).delete()
    rows = CrmActivity.objects.filter(crm_id__in={crm_id for _, crm_id, _ in wanted})
    known = {(row.kind, row.crm_id, row.company_id): row for row in rows}
    for key, row in known.items():
        moved = wanted.get(key)
        if moved is not None and row.counted_at is None and row.at != moved.at:
            row.at = moved.at
            row.save(update_fields=["at"])
    new = [
        CrmActivity(kind=kind, crm_id=crm_id, company_id=pk, at=fact.at, owner_id=fact.owner_id, subject=fact.subject)
        for (kind, crm_id, pk), fact in sorted(wanted.items())
        if (kind, crm_id, pk) not in known
    ]
    CrmActivity.objects.bulk_create(new, ignore_conflicts=True, batch_size=200)
    return len(new)


def count_due(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Make touches of what has happened by now, a company at a time; how many. Any number of workers at once."""
    waiting = CrmActivity.objects.filter(counted_at=None, at__lte=now).order_by("company_id", "at", "pk")
    rows = list(waiting.values_list("company_id", "pk")[:limit])
    done = 0
    for company_id, some in groupby(rows, key=lambda row: row[0]):
        pks = [pk for _, pk in some]
        done += in_one_transaction(lambda c=company_id, pks=pks: _count(c, pks, now=now))  # type: ignore[misc]
    return done


def _count(company_id: int, pks: Sequence[int], *, now: dt.datetime) -> int:
    handoffs.lock_company(company_id)
    rows = list(CrmActivity.objects.select_for_update().filter(pk__in=pks, counted_at=None).order_by("at", "pk"))
    for row in rows:
        lifecycle.reach(
            account_id=company_id,
            stage=Stage.CONTACTED,
            at=row.at,
            now=now,
            cause=CAUSE,
            reference=f"crm:{row.kind}:{row.crm_id}",
        )
        handoff = _handoff_at(company_id, row.at)
        if handoff is not None:
            _touch(handoff, row, by=owners.staff(row.owner_id), now=now)
        row.counted_at = now
    if rows:
        CrmActivity.objects.filter(pk__in=[row.pk for row in rows]).update(counted_at=now)
        billing.set_motion(company_id=company_id, now=now)
    return len(rows)


def _handoff_at(company_id: int, at: dt.datetime) -> Handoff | None:
    """The handoff of the company that was open then."""
    rows = Handoff.objects.select_for_update().filter(company_id=company_id, opened_at__lte=at)
    return rows.filter(Q(closed_at=None) | Q(closed_at__gte=at)).order_by("-opened_at").first()


def _touch(handoff: Handoff, row: CrmActivity, *, by: StaffUser | None, now: dt.datetime) -> None:
    """A touch of this handoff, by whom the CRM names, or by its owner where nobody here has that name."""
    who = by or handoff.owner
    if who is not None:
        text = f"{row.subject or 'Without a subject'} (from the CRM)"
        HandoffActivity.objects.create(handoff=handoff, kind=row.kind, at=row.at, by=who, text=text)
    if handoff.status == Handoff.Status.CLAIMED:
        handoff.status = Handoff.Status.WORKING
    handoff.first_touch_at = min(handoff.first_touch_at or row.at, row.at)
    handoff.woken_at = None
    handoff.save(update_fields=["status", "first_touch_at", "woken_at"])
    audit.record(
        action="handoff.touched_there",
        obj=handoff,
        by=None,
        now=now,
        account_id=handoff.company_id,
        detail={"kind": row.kind, "crm": row.crm_id, "at": row.at.isoformat()},
    )
    if handoff.closed_at is None:
        speed.follow(handoff)


def _companies(crm_ids: set[str]) -> Mapping[str, int]:
    """Which of our companies these are; all of them are locked."""
    links = dict(CrmLink.objects.filter(crm_id__in=crm_ids - {""}).values_list("crm_id", "company_id"))
    company_of = deals.locked_companies(set(links.values()))
    return {crm_id: company_of[account_id] for crm_id, account_id in links.items()}
