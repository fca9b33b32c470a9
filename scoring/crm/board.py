"""Reads behind the pages of the CRM: how it stands, what would be sent, what failed, and the same values as a file."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection as database
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from accounts import due
from accounts.models import Account, AccountDue, StaffUser
from plgops.lib import access
from plgops.lib.csv_cells import harmless
from scoring import routing
from scoring.crm import connections, mapping, matching, news, push
from scoring.crm.matching import Case, Outcome
from scoring.crm.provider import Unreachable
from scoring.models import CrmConflict, CrmConnection, CrmLink, CrmOwner, Handoff

CAP = 1_000  # counted no further
DRY = 20  # companies of a dry run
DRY_WITHIN = dt.timedelta(seconds=20)
PEOPLE = 100
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands, in numbers that end at CAP."""

    matched: int
    waiting: int
    failing: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class Change:
    """One value that would be written, or that would be asked about."""

    label: str
    into: str
    before: str
    after: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class DryLine:
    """What a push would do with one company now."""

    company: Account
    outcome: str  # unchanged, update, create, ask, or the kind of conflict
    changes: Sequence[Change]


def standing() -> Standing:
    """Four counts, each through an index and to its cap."""
    rows = AccountDue.objects.filter(consumer=news.CONSUMER)
    return Standing(
        matched=_capped(CrmLink.objects.exclude(crm_id="")),
        waiting=_capped(rows.filter(is_behind=True)),
        failing=_capped(rows.filter(attempts__gt=0)),
        conflicts=_capped(CrmConflict.objects.filter(resolved_at=None)),
    )


def failing() -> QuerySet[AccountDue]:
    """Accounts that the CRM did not take, with its words."""
    return AccountDue.objects.filter(consumer=news.CONSUMER, attempts__gt=0).select_related("account")


def retry(*, row_ids: Sequence[int], by: StaffUser, now: dt.datetime) -> int:
    """Try these again with the next push, whatever their back-off; how many."""
    access.require(by, connections.CAPABILITY)
    return due.retry_now(row_ids=failing().filter(pk__in=row_ids).values_list("pk", flat=True), by=by, now=now)


def strangers() -> list[StaffUser]:
    """Who works handoffs here and has no owner with their e-mail address there: their companies keep whom they have."""
    known = CrmOwner.objects.exclude(email="").values("email")
    people = StaffUser.objects.filter(is_active=True, groups__name__in=sorted(routing.WORKERS)).distinct()
    unknown = people.annotate(small=Lower("email")).exclude(small__in=known)
    return list(unknown.order_by("first_name", "username")[:PEOPLE])


def names_of(owner_ids: Sequence[str]) -> dict[str, str]:
    """What people are called there, by the CRM's id."""
    rows = CrmOwner.objects.filter(crm_id__in=owner_ids)
    return {row.crm_id: row.name or row.email for row in rows}


# --- the dry run ----------------------------------------------------------------------------------------------------


def dry_run(found: CrmConnection, *, clock: Callable[[], dt.datetime]) -> list[DryLine]:
    """What a push would do now with the companies that changed last: asked of the CRM, and nothing written anywhere.

    Raises CrmError. Never within a transaction.
    """
    if database.in_atomic_block:
        raise RuntimeError("The CRM is never asked inside a transaction.")
    until = clock() + DRY_WITHIN

    def in_time() -> None:
        if clock() >= until:
            raise Unreachable("The CRM answers too slowly.")

    lines = connections.lines(found)
    cases = push.cases_for(_newest(found), found)
    crm = connections.open_crm(found)
    found_out = list(matching.match(cases, crm, lines, in_time=in_time))
    for case, outcome in found_out:
        if outcome in (Outcome.FOUND, Outcome.NONE):
            there = case.record.properties if case.record else {}
            case.plan = mapping.plan(case.ours, there, case.link.seen, case.link.held, lines)
    names = names_of(list(CrmOwner.objects.values_list("crm_id", flat=True)[:CAP]))
    return [_dry(case, outcome, lines, names) for case, outcome in found_out]


def _newest(found: CrmConnection) -> list[Account]:
    """The companies that sales was handed last, or the newest of all."""
    rows = Account.objects.select_related("owner").filter(parent=None, merged_into=None, is_internal=False)
    if found.audience == CrmConnection.Audience.ALL:
        return list(rows.order_by("-signed_up_at", "id")[:DRY])
    ids = list(Handoff.objects.order_by("-pk").values_list("company_id", flat=True)[: DRY * 3])
    newest = list(dict.fromkeys(ids))[:DRY]
    by_id = rows.in_bulk(newest)
    return [by_id[pk] for pk in newest if pk in by_id]


def _dry(case: Case, outcome: Outcome, lines: Sequence[mapping.Line], names: Mapping[str, str]) -> DryLine:
    there = case.record.properties if case.record else {}
    by_property = {line.into: line for line in lines if line.on}

    def change(into: str, before: str, after: str, *, asked: bool = False) -> Change:
        line = by_property[into]
        if line.field == mapping.OWNER:
            before, after = names.get(before, before), names.get(after, after)
        return Change(line.label, into, before, after, asked)

    sent = {into: value for into, value in case.plan.send.items() if into in by_property}
    changes = [change(into, there.get(into, ""), value) for into, value in sent.items()]
    changes += [change(clash.property, clash.theirs, clash.ours, asked=True) for clash in case.plan.clashes]
    if outcome == Outcome.FOUND:
        word = "ask" if case.plan.clashes else "update" if case.plan.send else "unchanged"
    else:
        word = "create" if outcome == Outcome.NONE else outcome.value
    return DryLine(case.company, word, changes)


# --- the file -------------------------------------------------------------------------------------------------------


def file_lines(found: CrmConnection) -> Iterator[str]:
    """The mapped values of every company that the CRM is told of, as CSV, in order of id. Held in memory: AT_ONCE."""
    lines = [line for line in connections.lines(found) if line.on]
    yield _csv([mapping.KEY, "hs_object_id", *(line.into for line in lines)])
    last = 0
    while True:
        rows = Account.objects.select_related("owner").filter(parent=None, merged_into=None, is_internal=False)
        some = list(rows.filter(Q(pk__gt=last)).order_by("pk")[:AT_ONCE])
        if not some:
            return
        last = some[-1].pk
        for case in push.cases_for(some, found):
            said = [case.ours.get(line.field) or "" for line in lines]
            yield _csv([case.company.external_id, case.link.crm_id, *said])


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def _capped(rows: QuerySet[Any]) -> int:
    return len(rows.order_by().values_list("pk", flat=True)[:CAP])
