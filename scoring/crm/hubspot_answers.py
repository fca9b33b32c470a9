"""What HubSpot answers, read as the facts of `provider`: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from scoring.crm.provider import ActivityFact, DealFact, Record

# by kind: the name of the object, its subject, and what more is asked of it
ACTIVITIES = {
    "emailed": ("emails", "hs_email_subject", ("hs_email_direction", "hs_email_status")),
    "called": ("calls", "hs_call_title", ("hs_call_direction",)),
    "met": ("meetings", "hs_meeting_title", ("hs_meeting_outcome", "hs_meeting_start_time")),
}
_PRIMARY = ("HUBSPOT_DEFINED", 5)  # category and type of what ties a deal to its primary company: labels change
MERGED = "hs_merged_object_ids"  # of a company that others were merged into: their ids, with semicolons between
_NAMED = ("objectWriteTraceId", "ids", "id")  # where an error of a batch says whose it is
_NOT_OURS = {"INCOMING_EMAIL", "DRAFT_EMAIL"}
_NOT_SENT = {"BOUNCED", "FAILED", "SCHEDULED", "SENDING"}  # one that is sent later has changed then
_CALLED_OFF = {"CANCELED", "NO_SHOW", "RESCHEDULED"}


def after(page: Any) -> str:
    """Where the next page begins; "" after the last."""
    following = getattr(getattr(page, "paging", None), "next", None)
    return str(getattr(following, "after", "") or "")


def record(one: Any) -> Record:
    """A company; what it has no value for is ""."""
    told = {k: v or "" for k, v in (one.properties or {}).items()}
    return Record(str(one.id), told, _at(told.get("hs_lastmodifieddate")) or one.updated_at)


def linked(links: Sequence[Any]) -> tuple[list[str], list[str]]:
    """What hangs together with an object, by id: a deal's primary company, and all others as they are told."""
    first: list[str] = []
    others: list[str] = []
    for one in links:
        is_primary = any((kind.category, kind.type_id) == _PRIMARY for kind in one.association_types or ())
        (first if is_primary else others).append(str(one.to_object_id))
    return first, others


def refusals(errors: Sequence[Any], names: Collection[str]) -> dict[str, str]:
    """What the errors of a batch say, by which of these names each is about; "": the first that names none of them."""
    found: dict[str, str] = {}
    for one in errors:
        context = one.context or {}
        about = {str(name) for key in _NAMED for name in context.get(key) or ()}
        for name in about.intersection(names) or {""}:
            found.setdefault(name, str(one.message)[:300])
    return found


def activity_properties(kind: str) -> tuple[str, ...]:
    """What is asked of an activity of this kind, for `activity` to read."""
    _, subject, more = ACTIVITIES[kind]
    return (subject, *more, "hs_timestamp", "hubspot_owner_id", "hs_lastmodifieddate")


def deal(one: Any, company_ids: Sequence[str], stages: Mapping[str, str]) -> DealFact:
    """A deal of these companies; `stages` are the names of stages by their ids."""
    told = one.properties or {}
    closed, won = told.get("hs_is_closed") == "true", told.get("hs_is_closed_won") == "true"
    stage = str(told.get("dealstage") or "")
    opened_at = _at(told.get("createdate")) or one.created_at
    return DealFact(
        id=str(one.id),
        name=str(told.get("dealname") or "Deal")[:200],
        stage=stages.get(stage, stage)[:100],
        status="won" if won else "lost" if closed else "open",
        amount=_amount(told.get("amount")),
        currency=str(told.get("deal_currency_code") or "")[:3],
        opened_at=opened_at,
        closed_at=(_at(told.get("closedate")) or one.updated_at) if closed or won else None,
        company_ids=company_ids,
        changed_at=_at(told.get("hs_lastmodifieddate")) or one.updated_at,
    )


def activity(kind: str, one: Any, company_ids: Sequence[str]) -> ActivityFact:
    """An activity with these companies. No touches: mail that came in or did not go out, meetings called off."""
    told = one.properties or {}
    _, subject, _ = ACTIVITIES[kind]
    unsent = str(told.get("hs_email_direction")) in _NOT_OURS or str(told.get("hs_email_status")) in _NOT_SENT
    called_off = str(told.get("hs_meeting_outcome") or "") in _CALLED_OFF
    return ActivityFact(
        kind=kind,
        id=str(one.id),
        at=_at(told.get("hs_meeting_start_time")) or _at(told.get("hs_timestamp")) or one.created_at,
        owner_id=str(told.get("hubspot_owner_id") or ""),
        subject=str(told.get(subject) or "")[:200],
        counts=not (unsent or called_off),
        company_ids=company_ids,
        changed_at=_at(told.get("hs_lastmodifieddate")) or one.updated_at,
    )


def _at(text: Any) -> dt.datetime | None:
    """A moment as HubSpot writes it: ISO 8601, or milliseconds since 1970."""
    if not text:
        return None
    if str(text).isdecimal():
        return dt.datetime.fromtimestamp(int(text) / 1000, dt.UTC)
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _amount(text: Any) -> Decimal | None:
    try:
        found = Decimal(str(text)) if text else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and abs(found) < Decimal(10) ** 12 else None
