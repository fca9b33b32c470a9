"""What the desk shows of a company beside its reasons: use over time, what happened lately, whom to talk to.

Reads over the accounts floor for a root account and its children; a fixed number of queries each.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from django.db.models import Case, F, OuterRef, Q, QuerySet, Value, When

from accounts.charts import Pin, UsageChart, short_date, usage_chart
from accounts.models import Account, EventType, Membership, ProductUser, Stage, StageEntry, UsageDay
from accounts.workspace import day_of, zone
from plgops.lib import days
from plgops.lib.paging import Capped

CHART_DAYS = 60
TIMELINE_DAYS = 90  # how far back the timeline reads from the newest activity
TIMELINE_ROWS = 30
RECENT_ROWS = 120  # who did something lately is looked for in so many lines of the roll-up
CONTACTS = 6
MOST_ACCOUNTS = 50  # of a company, the root included
CROWD = 200  # a company with so many members has its last seen looked for among who did something lately
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


class Did(NamedTuple):
    """A line of the roll-up: how often a person did something on a day, and when last."""

    user_id: int
    event_type_id: int
    day: int
    times: int
    last_us: int


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


@dataclass(frozen=True, slots=True)
class Company:
    """A root account and its children, the root first."""

    ids: tuple[int, ...]
    last_seen_at: dt.datetime | None
    is_crowd: bool


def company(root_id: int) -> Company:
    """The company of this root account, merged accounts left out. One query; members are counted to CROWD."""
    members = Membership.objects.filter(account_id=OuterRef("pk"), valid_to=None).values("pk")[:CROWD]
    rows = list(
        Account.objects.filter(Q(pk=root_id) | Q(parent_id=root_id), merged_into=None)
        .order_by("id")
        .annotate(members=Capped(members))
        .values_list("pk", "last_seen_at", "members")[:MOST_ACCOUNTS]
    )
    return Company(
        ids=tuple(sorted((row[0] for row in rows), key=lambda pk: pk != root_id)),
        last_seen_at=max((row[1] for row in rows if row[1]), default=None),
        is_crowd=sum(row[2] for row in rows) >= CROWD,
    )


def use_chart(company: Company, *, now: dt.datetime, moments: Sequence[tuple[dt.datetime, str]] = ()) -> UsageChart:
    """People active a day over the last CHART_DAYS days, with a pin at each of the moments: when, and what."""
    told: dict[int, list[str]] = {}
    for at, words in moments:
        told.setdefault(day_of(at), []).append(words)
    pins = [
        Pin(day, f"{short_date(days.date_of(day))}: {'; '.join(dict.fromkeys(labels))}")
        for day, labels in sorted(told.items())
    ]
    return usage_chart(company.ids, day_of(now), CHART_DAYS, pins=pins)


def recent(company: Company) -> list[Did]:
    """The newest RECENT_ROWS lines of the company's roll-up (person, type, day), at most TIMELINE_DAYS back."""
    if company.last_seen_at is None:
        return []
    rows = UsageDay.objects.filter(
        account_id__in=company.ids, day__gt=day_of(company.last_seen_at) - TIMELINE_DAYS
    ).values_list("user_id", "event_type_id", "day", "count", "last_us")
    return [Did(*row) for row in rows.order_by("-day", "-last_us", "-id")[:RECENT_ROWS]]


def timeline(
    company: Company,
    *,
    lately: Sequence[Did],
    signal_types: Collection[int] = (),
    since_day: int | None = None,
) -> list[tuple[dt.date, list[Moment]]]:
    """What happened lately, by day, newest first: one line per person, kind of event and day, and the stages.

    `lately` is what `recent` found. `signal_types`: event types that a reason is about; from `since_day` on
    their lines say so.
    """
    rows = lately[:TIMELINE_ROWS]
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
            more=f"{row.times:,} times" if row.times > 1 else "",
            badge="signal" if row.event_type_id in signal_types and (since_day is None or row.day >= since_day) else "",
        )
        for row in rows
        if row.event_type_id in types
    ]
    oldest = moments[-1].at if len(rows) == TIMELINE_ROWS else None
    stages = StageEntry.objects.filter(account_id__in=company.ids).order_by("-day", "-at", "-id")
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


def contacts(company: Company, *, lately: Sequence[Did], evidence: Collection[int] = ()) -> list[Contact]:
    """At most CONTACTS of the company's present people: those behind the reasons first, then the last seen.

    `lately` is what `recent` found. In a crowd the last seen are looked for among the people in it: sorting
    thousands of members for six would cost more than the rest of the page.
    """
    behind = Case(When(user_id__in=list(evidence), then=Value(0)), default=Value(1)) if evidence else Value(1)
    members = (
        Membership.objects.filter(account_id__in=company.ids, valid_to=None, user__merged_into=None)
        .select_related("user")
        .only(
            *("account_id", "role", "user__name", "user__email", "user__external_id"),
            *("user__title", "user__last_seen_at"),
        )
        .annotate(behind=behind)
        .order_by("behind", F("user__last_seen_at").desc(nulls_last=True), "id")
    )
    found: list[Contact] = []
    if company.is_crowd:
        found = _first(members.filter(user_id__in={*evidence, *(row.user_id for row in lately)}), evidence)
    return found if len(found) >= CONTACTS else _first(members, evidence)


def _first(members: QuerySet[Membership], evidence: Collection[int]) -> list[Contact]:
    """The first CONTACTS of them; who is a member of several of the accounts is one."""
    found: dict[int, Contact] = {}
    for member in members[: CONTACTS * 4]:
        found.setdefault(member.user_id, Contact(member.user, member.role, member.user_id in evidence))
    return list(found.values())[:CONTACTS]
