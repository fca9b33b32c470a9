"""What the desk shows of a company beside its reasons: use over time, what happened lately, whom to talk to.

Reads over the accounts floor for a root account and its children; a fixed number of queries each.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db.models import F, Q

from accounts.charts import Pin, UsageChart, short_date, usage_chart
from accounts.models import Account, EventType, Membership, ProductUser, Stage, StageEntry, UsageDay
from accounts.workspace import day_of, zone
from plgops.lib import days
from scoring.why import Signal

CHART_DAYS = 60
TIMELINE_DAYS = 90  # how far back the timeline reads from the newest activity
TIMELINE_ROWS = 30
CONTACTS = 6
_MEANING_ICONS = {
    "signup": "user-round-check",
    "invite": "user-plus",
    "core": "workflow",
    "premium": "gem",
    "billing": "credit-card",
}
_STAGE_ICONS = {
    "signed_up": "log-in",
    "activated": "zap",
    "pql": "sparkles",
    "claimed": "hand",
    "contacted": "mail",
    "paid": "credit-card",
    "expanded": "trending-up",
    "churned": "trending-down",
    "returned": "undo-2",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: dt.datetime
    icon: str
    who: str
    what: str
    more: str
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody in the company; `is_evidence`: their doing is a reason."""

    user: ProductUser
    role: str
    is_evidence: bool


def use_chart(accounts: Sequence[Account], *, now: dt.datetime, signals: Sequence[Signal] = ()) -> UsageChart:
    """People active a day over the last CHART_DAYS days, with a pin where a reason's newest evidence lies."""
    told: dict[int, list[str]] = {}
    for signal in signals:
        if signal.newest_at and signal.holds and not signal.negated:
            label = f"{signal.english}, {signal.measured}" if signal.measured else signal.english
            told.setdefault(day_of(signal.newest_at), []).append(label)
    pins = [
        Pin(day, f"{short_date(days.date_of(day))}: {'; '.join(dict.fromkeys(labels))}")
        for day, labels in sorted(told.items())
    ]
    return usage_chart([a.pk for a in accounts], day_of(now), CHART_DAYS, pins=pins)


def timeline(
    accounts: Sequence[Account], *, signal_types: Collection[int] = (), since_day: int | None = None
) -> list[tuple[dt.date, list[Moment]]]:
    """What happened lately, by day, newest first: one line per person, kind of event and day, and the stages.

    `signal_types`: event types that a reason is about; from `since_day` on their lines say so.
    """
    ids = [a.pk for a in accounts]
    seen = [a.last_seen_at for a in accounts if a.last_seen_at]
    rows = (
        list(
            UsageDay.objects.filter(account_id__in=ids, day__gt=day_of(max(seen)) - TIMELINE_DAYS).order_by(
                "-day", "-last_us", "-id"
            )[:TIMELINE_ROWS]
        )
        if seen
        else []
    )
    types = {t.pk: t for t in EventType.objects.filter(pk__in={r.event_type_id for r in rows})}
    people = {
        pk: name or email or external_id
        for pk, name, email, external_id in ProductUser.objects.filter(pk__in={r.user_id for r in rows}).values_list(
            "pk", "name", "email", "external_id"
        )
    }
    moments = [
        Moment(
            at=days.from_micros(row.last_us),
            icon=_MEANING_ICONS.get(types[row.event_type_id].meaning, "activity"),
            who=people.get(row.user_id, "Somebody"),
            what=types[row.event_type_id].name,
            more=f"{row.count:,} times" if row.count > 1 else "",
            badge="signal" if row.event_type_id in signal_types and (since_day is None or row.day >= since_day) else "",
        )
        for row in rows
        if row.event_type_id in types
    ]
    oldest = moments[-1].at if len(rows) == TIMELINE_ROWS else None
    stages = StageEntry.objects.filter(account_id__in=ids).order_by("-day", "-at", "-id")
    for entry in stages.filter(at__gte=oldest)[:15] if oldest else stages[:15]:
        moments.append(
            Moment(
                at=entry.at,
                icon=_STAGE_ICONS.get(entry.stage, "milestone"),
                who=Stage(entry.stage).label,
                what="",
                more="",
                badge="stage",
            )
        )
    moments.sort(key=lambda m: m.at, reverse=True)
    by_day = groupby(moments, key=lambda m: m.at.astimezone(zone()).date())
    return [(day, list(of_day)) for day, of_day in by_day]


def contacts(accounts: Sequence[Account], *, evidence: Collection[int] = ()) -> list[Contact]:
    """At most CONTACTS of the company's present people: those behind the reasons first, then the last seen."""
    members = Membership.objects.filter(account_id__in=[a.pk for a in accounts], valid_to=None, user__merged_into=None)
    known = members.select_related("user")
    named = list(known.filter(user_id__in=list(evidence)).order_by("id")[:40]) if evidence else []
    others = known.exclude(user_id__in=list(evidence)).order_by(F("user__last_seen_at").desc(nulls_last=True), "id")
    found: dict[int, Contact] = {}
    named.sort(key=lambda m: m.user.last_seen_at.timestamp() if m.user.last_seen_at else 0.0, reverse=True)
    for member in [*named, *others[:CONTACTS]]:
        found.setdefault(member.user_id, Contact(member.user, member.role, member.user_id in evidence))
    return list(found.values())[:CONTACTS]


def company_accounts(company_id: int) -> list[Account]:
    """The root account and its children, the root first; merged ones are left out."""
    rows = Account.objects.filter(Q(pk=company_id) | Q(parent_id=company_id), merged_into=None)
    return sorted(rows.select_related("owner").order_by("id")[:50], key=lambda a: a.parent_id is not None)
