"""Where the two sides differ and a person decides: found by a push, listed, and resolved by who manages the CRM."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from accounts.models import Account, StaffUser
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import retried
from scoring.crm import connections, mapping, news, owners
from scoring.crm.mapping import Clash
from scoring.crm.provider import Record
from scoring.models import CrmConflict, CrmLink

Kind = CrmConflict.Kind
SETTLED = "settled by itself"


class Refused(Exception):
    """It cannot be resolved so; the message says why."""


# --- found ------------------------------------------------------------------------------------------------------


def found_values(link: CrmLink, clashes: Sequence[Clash], *, now: dt.datetime, among: Collection[str]) -> None:
    """Of these fields of the mapping, exactly the clashes are open conflicts now. Needs the company's AccountDue."""
    wanted = {clash.field: clash for clash in clashes}
    for row in CrmConflict.objects.filter(company=link.company_id, kind=Kind.VALUE, resolved_at=None):
        clash = wanted.pop(row.field, None)
        if clash is not None:
            if (row.ours, row.theirs) != (clash.ours, clash.theirs):
                row.ours, row.theirs, row.property = clash.ours, clash.theirs, clash.property
                row.save(update_fields=["ours", "theirs", "property"])
        elif row.field in among:
            row.resolved_at, row.resolution = now, SETTLED
            row.save(update_fields=["resolved_at", "resolution"])
    for clash in wanted.values():
        CrmConflict.objects.get_or_create(
            company_id=link.company_id,
            kind=Kind.VALUE,
            field=clash.field,
            resolved_at=None,
            defaults={"property": clash.property, "ours": clash.ours, "theirs": clash.theirs, "found_at": now},
        )


def found_match(company: Account, kind: str, *, candidates: Sequence[Record] = (), now: dt.datetime) -> None:
    """The company cannot be matched before somebody decides."""
    told = [{"id": one.id, "name": one.properties.get("name", "")[:200]} for one in candidates[:20]]
    row, made = CrmConflict.objects.get_or_create(
        company=company,
        kind=kind,
        field="",
        resolved_at=None,
        defaults={"candidates": told, "ours": company.domain, "found_at": now},
    )
    if not made and row.candidates != told:
        row.candidates = told
        row.save(update_fields=["candidates"])


def matched(company_id: int, *, now: dt.datetime) -> None:
    """The company is matched: what was to be decided about that is over."""
    rows = CrmConflict.objects.filter(company=company_id, resolved_at=None).exclude(kind=Kind.VALUE)
    rows.update(resolved_at=now, resolution=SETTLED)


# --- resolved ---------------------------------------------------------------------------------------------------


@retried
def resolve(*, conflict_id: int, choice: str, by: StaffUser, now: dt.datetime) -> CrmConflict:
    """Decide one: `ours` or `theirs` of a value; an id of those there, `own` or `leave` of a match.

    Raises Refused, also where somebody else was faster; CrmConflict.DoesNotExist. Nothing is sent here: the next push
    does what was decided.
    """
    access.require(by, connections.CAPABILITY)
    company_id = CrmConflict.objects.values_list("company_id", flat=True).get(pk=conflict_id)
    owners.lock(company_id)
    CrmLink.objects.get_or_create(company_id=company_id)
    link = CrmLink.objects.select_for_update().get(company_id=company_id)  # before its conflicts, as a push does
    row = CrmConflict.objects.select_for_update(of=("self",)).select_related("company").get(pk=conflict_id)
    if row.resolved_at is not None:
        raise Refused(f"It is resolved already: {row.resolution}.")
    words = _value(row, link, choice, by=by, now=now) if row.kind == Kind.VALUE else _match(row, link, choice, now=now)
    link.save()
    row.resolved_at, row.resolved_by, row.resolution = now, by, words
    row.save(update_fields=["resolved_at", "resolved_by", "resolution"])
    audit.record(
        action="crm.resolved",
        obj=row.company,
        by=by,
        now=now,
        account_id=row.company_id,
        detail={"kind": row.kind, "field": row.field, "choice": choice, "ours": row.ours, "theirs": row.theirs},
    )
    news.look_again([row.company_id], now=now)
    return row


@retried
def look_again(*, conflict_id: int, by: StaffUser, now: dt.datetime) -> None:
    """Somebody put it right in the CRM: let the next push see whether it still stands."""
    access.require(by, connections.CAPABILITY)
    company_id = CrmConflict.objects.values_list("company_id", flat=True).get(pk=conflict_id)
    CrmLink.objects.filter(company=company_id).update(look=True)
    news.look_again([company_id], now=now)


def _value(row: CrmConflict, link: CrmLink, choice: str, *, by: StaffUser, now: dt.datetime) -> str:
    if choice == mapping.OURS:
        link.seen = {**link.seen, row.property: row.theirs}  # seen, and to be replaced
        return "ours kept"
    if choice != mapping.THEIRS:
        raise Refused("Choose one of the two.")
    if row.field == mapping.OWNER:
        owner = owners.staff(row.theirs)
        if owner is None:
            raise Refused("Nobody here has that e-mail address: keep ours, or change the owner in the CRM.")
        owners.give(company_id=row.company_id, owner=owner, by=by, now=now)
    else:
        link.held = {**link.held, row.field: [row.ours, row.theirs]}
    link.seen = {**link.seen, row.property: row.theirs}
    return "theirs taken"


def _match(row: CrmConflict, link: CrmLink, choice: str, *, now: dt.datetime) -> str:
    if choice == "leave":
        link.left_out = True
        return "left out"
    if choice == "own" and row.kind in (Kind.TAKEN, Kind.GONE):
        link.crm_id, link.matched, link.linked_at, link.seen, link.held = "", "", None, {}, {}
        link.own, link.domain = True, ""
        return "a company of its own"
    if row.kind == Kind.SEVERAL and choice in {str(one["id"]) for one in row.candidates}:
        if CrmLink.objects.filter(crm_id=choice).exclude(pk=link.pk).exists():
            raise Refused("That company belongs to another account here.")
        link.crm_id, link.matched, link.linked_at, link.history_at = choice, CrmLink.Matched.HAND, now, None
        return "one of several chosen"
    raise Refused("Choose one of those that are offered.")
