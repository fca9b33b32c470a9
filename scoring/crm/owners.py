"""Whose a company is, when the CRM has the say: by e-mail address, through the verbs that people use."""

from __future__ import annotations

import datetime as dt

from accounts import stewardship
from accounts.models import StaffUser
from plgops.lib import access
from scoring import handoffs
from scoring.models import CrmOwner, Handoff


def staff(crm_id: str) -> StaffUser | None:
    """Who of our staff the CRM's owner is: active, and with the same e-mail address."""
    email = CrmOwner.objects.filter(crm_id=crm_id).exclude(email="").values_list("email", flat=True).first()
    return StaffUser.objects.filter(email__iexact=email, is_active=True).order_by("pk").first() if email else None


def lock(company_id: int) -> None:
    """The locks that giving a company to somebody takes, in their order. Needs a transaction."""
    handoffs.lock_company(company_id)


def give(*, company_id: int, owner: StaffUser, by: StaffUser | None, now: dt.datetime) -> bool:
    """Make `owner` the owner of the company: of its open handoff too, where they work handoffs. Whether that changed
    anything. `by` None: the CRM says so."""
    handoff = Handoff.objects.filter(company_id=company_id, closed_at=None).first()
    if handoff is not None and access.may(owner, "handoffs.work"):
        if handoff.owner_id == owner.pk:
            return stewardship.set_owner(account_id=company_id, owner=owner, by=by, now=now)
        handoffs.assign(handoff_id=handoff.pk, owner=owner, by=by, now=now)
        return True
    return stewardship.set_owner(account_id=company_id, owner=owner, by=by, now=now)
