"""When a company is left alone by promotional prompts and nudges: a rep works it, or an urgent ticket is open.

A rep works it from the claim, or the last touch, for WORKING_DAYS business days; who does nothing for so long gives
it back to the product. Business days are those on which the first business calendar is open at all, Monday to Friday
without one. Never muted: what is not promotional (a limit is reached), and paying.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Max, Q

from accounts import workspace
from accounts.models import BusinessCalendar, Hold
from scoring.models import Handoff, HandoffActivity

WORKING_DAYS = 5
URGENT = "urgent_ticket"  # the kind of hold that support writes
AGAIN = dt.timedelta(hours=1)  # a ticket has no end that is known: looked at again
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Mute:
    """Why a company is left alone, in words, and when that is over or to be looked at again."""

    why: str
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """Which dates are business days: weekdays (0 is Monday) and closed dates."""

    weekdays: frozenset[int] = frozenset(range(5))
    closed: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()  # dates with hours of their own, whatever the weekday

    def after(self, at: dt.datetime, days: int) -> dt.datetime:
        """The same time of day, so many business days later, in the workspace's zone; UTC."""
        local = at.astimezone(workspace.zone())
        date, left = local.date(), days
        while left:
            date += dt.timedelta(days=1)
            if self._is_open(date):
                left -= 1
        moved = dt.datetime.combine(date, local.timetz().replace(tzinfo=None), tzinfo=workspace.zone())
        return moved.astimezone(dt.UTC)

    def _is_open(self, date: dt.date) -> bool:
        day = date.isoformat()
        return day in self.opened or (date.weekday() in self.weekdays and day not in self.closed)


def business_days() -> BusinessDays:
    """By the first business calendar; one query."""
    calendar = BusinessCalendar.objects.order_by("pk").values("hours", "holidays", "overrides").first()
    if calendar is None:
        return BusinessDays()
    weekdays = frozenset(number for number, name in enumerate(_WEEK) if calendar["hours"].get(name))
    own: dict[str, list[object]] = calendar["overrides"]
    return BusinessDays(
        weekdays or frozenset(range(5)),
        frozenset({*calendar["holidays"], *own}),
        frozenset(date for date, spans in own.items() if spans),
    )


def muted(company_ids: Collection[int], *, now: dt.datetime) -> dict[int, Mute]:
    """Those of these companies that are left alone now. Two queries, or four where a rep has one of them."""
    found: dict[int, Mute] = {}
    holds = Hold.objects.filter(
        Q(account_id__in=company_ids) | Q(account__parent_id__in=company_ids), kind=URGENT, until=None
    )
    for account_id, parent_id in holds.values_list("account_id", "account__parent_id"):
        found[parent_id or account_id] = Mute("An urgent ticket is open.", now + AGAIN)
    status = Handoff.Status
    rows = list(
        Handoff.objects.filter(
            company_id__in=company_ids,
            closed_at=None,
            status__in=(status.CLAIMED, status.WORKING, status.SNOOZED),
        ).select_related("owner")
    )
    if not rows:
        return found
    touches = dict(
        HandoffActivity.objects.filter(handoff__in=rows)
        .exclude(kind=HandoffActivity.Kind.NOTE)
        .order_by()
        .values_list("handoff_id")
        .annotate(at=Max("at"))
    )
    calendar = business_days()
    for handoff in rows:
        if handoff.claimed_at is None or handoff.owner is None:
            continue
        until = calendar.after(max(handoff.claimed_at, touches.get(handoff.pk, handoff.claimed_at)), WORKING_DAYS)
        if until > now and handoff.company_id not in found:
            found[handoff.company_id] = Mute(f"{handoff.owner.label} works the account.", until)
    return found
