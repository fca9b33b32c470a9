"""What staff decide by hand: who owns an account, whether it counts at all, and whom nobody may contact."""

from __future__ import annotations

import datetime as dt

from accounts import due, profiles
from accounts.models import Account, ProductUser, StaffUser
from accounts.team import audit
from plgops.lib.db import retried


class Merged(Exception):
    """The account was merged into another one; decide about that one instead."""


class NotOneLevel(Exception):
    """A company is one root with its children: neither can the root have a parent nor the child children."""


def _locked(account_id: int) -> Account:
    account = Account.objects.select_for_update(no_key=True).get(pk=account_id)
    if account.merged_into_id is not None:
        raise Merged(f"{account.name} was merged into another account.")
    return account


@retried
def set_owner(*, account_id: int, owner: StaffUser | None, by: StaffUser | None, now: dt.datetime) -> bool:
    """Give the account to `owner` (None: to nobody). True if that changed anything. `by` None: the CRM says so.

    Whoever follows the account looks at it again: what waits for somebody goes to its owner.
    """
    account = _locked(account_id)
    if account.owner_id == (owner.pk if owner else None):
        return False
    before = account.owner
    Account.objects.filter(pk=account.pk).update(owner=owner)
    audit.record(
        action="account.owner_set",
        obj=account,
        by=by,
        now=now,
        account_id=account.pk,
        detail={"from": before.label if before else "", "to": owner.label if owner else ""},
    )
    due.mark_changed([account.pk], now=now)
    return True


@retried
def set_internal(*, account_id: int, internal: bool | None, by: StaffUser, now: dt.datetime) -> bool:
    """Say that the account is ours or a test (or is not): it leaves or enters every figure. None: as its traits say.

    What is said by hand stands whatever group calls say later. Whoever follows the account evaluates it again.
    True if that changed anything.
    """
    account = _locked(account_id)
    wanted = profiles.told_internal(account.traits) if internal is None else internal
    if (account.marked_internal, account.is_internal) == (internal, wanted):
        return False
    Account.objects.filter(pk=account.pk).update(marked_internal=internal, is_internal=wanted)
    audit.record(
        action={True: "account.marked_internal", False: "account.marked_external", None: "account.unmarked"}[internal],
        obj=account,
        by=by,
        now=now,
        account_id=account.pk,
    )
    due.mark_changed([account.pk], now=now)
    return True


@retried
def set_parent(*, account_id: int, parent_id: int | None, by: StaffUser, now: dt.datetime) -> bool:
    """Make the account part of a company (its root account), or one of its own (None).

    The company's accounts are evaluated again. True if that changed anything. Raises NotOneLevel, Merged.
    """
    rows = Account.objects.select_for_update(no_key=True).filter(pk__in={account_id, parent_id or account_id})
    found = {row.pk: row for row in rows.order_by("pk")}
    account, parent = found[account_id], found[parent_id] if parent_id else None
    if account.merged_into_id is not None or (parent and parent.merged_into_id is not None):
        raise Merged("One of the two was merged into another account.")
    if account.parent_id == parent_id:
        return False
    if parent and (parent.pk == account.pk or parent.parent_id or account.children.exists()):
        raise NotOneLevel(f"{account.name} cannot become part of {parent.name}.")
    before = account.company_id
    Account.objects.filter(pk=account.pk).update(parent=parent)
    audit.record(
        action="account.parent_set",
        obj=account,
        by=by,
        now=now,
        account_id=account.pk,
        detail={"parent": parent_id, "company_before": before},
    )
    due.mark_changed({account.pk, before, parent_id or account.pk}, now=now)
    return True


@retried
def set_contact_refused(*, user_id: int, refused: bool, by: StaffUser | None, now: dt.datetime) -> bool:
    """Leave a person out of all outreach, or take that back; what their trait says stands beside it. True if that
    changed anything. `by` None: the person said so. Who was merged into another is that other. Raises
    ProductUser.DoesNotExist."""
    person = ProductUser.objects.select_for_update(no_key=True).get(pk=user_id)
    while person.merged_into_id is not None:
        person = ProductUser.objects.select_for_update(no_key=True).get(pk=person.merged_into_id)
    if (person.contact_refused_at is not None) == refused:
        return False
    ProductUser.objects.filter(pk__in={user_id, person.pk}).update(contact_refused_at=now if refused else None)
    audit.record(action="person.contact_refused" if refused else "person.contact_allowed", obj=person, by=by, now=now)
    return True
