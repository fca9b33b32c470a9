"""The inbox's queue: its tabs, filters, order, counts and lines.

Every function here is a fixed number of queries whatever the queue holds; nothing is counted past a cap.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Now

from accounts.models import Account, StaffUser, UsageDay, Workspace
from accounts.workspace import day_of
from plgops.lib import access
from plgops.lib.paging import Capped, Page, keyset
from scoring import next_tasks, why
from scoring.detail import OUTCOME_TONES
from scoring.handoff_states import OUTCOMES
from scoring.models import Handoff, NextTask, Qualification
from scoring.reasons import event_type_names

PAGE = 30  # more than a screen shows; the next ones come as one scrolls
COUNT_CAP = 100  # a tab says "99+" from here on
SPARK_DAYS = 14
SOON = dt.timedelta(hours=1)
TABS = {"new": "New", "mine": "Mine", "due": "Due", "snoozed": "Snoozed", "team": "Team", "done": "Done"}
_SORTED_BY = {"done": "-closed_at", "snoozed": "snoozed_until"}
SORTS = {
    "newest": "Newest evidence",
    "due": "Due first",
    "waiting": "Waiting longest",
    "seats": "Most seats",
    "mrr": "Highest MRR",
}


@dataclass(frozen=True)
class Filters:
    """What the queue shows; exactly what stands in the URL."""

    tab: str = "new"
    definition: str = ""
    version: int | None = None  # of the definition: handed over under it
    outcome: str = ""
    reason: str = ""  # the outcome's
    plan: str = ""
    seats: int | None = None
    owner: int | None = None  # a staff user's id
    q: str = ""
    sort: str = "newest"
    view: int | None = None  # the saved view that these filters began with

    @classmethod
    def read(cls, query: Mapping[str, str], *, tab: str = "new") -> Filters:
        """From a query string; whatever makes no sense is left out, so that an old link still opens."""
        seats, owner, version = query.get("seats", ""), query.get("owner", ""), query.get("version", "")
        definition, view = query.get("definition", "")[:80], query.get("view", "")
        return cls(
            tab=query.get("tab", "") if query.get("tab") in TABS else tab,
            definition=definition,
            version=int(version) if definition and version.isdecimal() and len(version) < 8 else None,
            outcome=query.get("outcome", "") if query.get("outcome") in OUTCOMES else "",
            reason=query.get("reason", "")[:40] if query.get("outcome") in OUTCOMES else "",
            plan=query.get("plan", "")[:100],
            seats=int(seats) if seats.isdecimal() and len(seats) < 8 and int(seats) else None,
            owner=int(owner) if owner.isdecimal() and len(owner) < 10 else None,
            q=query.get("q", "").strip()[:100],
            sort=query.get("sort", "") if query.get("sort") in SORTS else "newest",
            view=int(view) if view.isdecimal() and len(view) < 19 else None,
        )

    def url(self, **changes: Any) -> str:
        """The query string (with its question mark) of these filters with `changes`; defaults are left out."""
        values = {f.name: changes.get(f.name, getattr(self, f.name)) for f in fields(self)}
        kept = {k: v for k, v in values.items() if v not in ("", None) and v != _DEFAULTS[k]}
        return f"?{urlencode(kept)}" if kept else "?tab=new"

    @cached_property
    def here(self) -> str:
        """The query string of these filters as they are."""
        return self.url()

    @property
    def kept(self) -> list[tuple[str, Any]]:
        """What a form that changes some of them must send along: the others that are not as they would be anyway."""
        values = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [(name, value) for name, value in values if value not in ("", None) and value != _DEFAULTS[name]]

    @property
    def active(self) -> int:
        """How many filters narrow the queue."""
        return sum(bool(v) for v in (self.definition, self.outcome, self.plan, self.seats, self.owner, self.q))


_DEFAULTS = {f.name: f.default for f in fields(Filters)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue, with nothing left to look up where it is drawn."""

    handoff: Handoff
    id: int
    name: str
    plan: str
    seats: int | None
    icon: str
    text: str
    more: int  # further reasons
    at: dt.datetime  # what the queue's clock shows
    spark: tuple[int, ...]
    owner: str  # empty where the tab says it
    badge: tuple[str, str, str] | None  # words, tone, icon
    task: NextTask | None = None
    task_days: int = 0  # until it is due; negative: overdue
    until: dt.datetime | None = None  # asleep until then
    due: dt.datetime | None = None  # to be claimed, or first touched, by then
    due_what: str = ""
    due_tone: str = ""  # bad: it is past; warn: within SOON
    late: dt.timedelta | None = None


# what a line shows; the company's traits and the owner's password stay in the database
_SHOWN = (
    "status",
    "opened_at",
    "newest_evidence_at",
    "closed_at",
    "paid_at",
    "rule_lapsed_at",
    "assigned",
    "snoozed_until",
    "woken_at",
    "due_at",
    *("company__name", "company__plan", "company__seats", "company__mrr"),
    *("owner__first_name", "owner__last_name", "owner__username"),
)


def queue(filters: Filters, *, user: StaffUser) -> QuerySet[Handoff]:
    """The handoffs of a tab under its filters, in no order yet."""
    rows = _tab(filters.tab, user)
    if filters.definition:
        reasons = Qualification.objects.filter(definition__slug=filters.definition, handoff__isnull=False)
        if filters.version is not None:
            reasons = reasons.filter(version__number=filters.version)
        rows = rows.filter(pk__in=reasons.values("handoff_id"))
    if filters.outcome:
        rows = rows.filter(status=filters.outcome)
    if filters.reason:
        rows = rows.filter(outcome_reason=filters.reason)
    if filters.plan:
        rows = rows.filter(company__plan=filters.plan)
    if filters.seats is not None:
        rows = rows.filter(company__seats__gte=filters.seats)
    if filters.owner is not None:
        rows = rows.filter(owner_id=filters.owner)
    if filters.q:
        rows = rows.filter(Q(company__name__icontains=filters.q) | Q(company__domain__icontains=filters.q))
    return rows


def page(filters: Filters, *, user: StaffUser, cursor: str = "") -> Page[Handoff]:
    """One page of the queue in its order, after `cursor`."""
    columns = {"waiting": "opened_at", "due": "due_at", "seats": "-company_size", "mrr": "-company_size"}
    by = columns.get(filters.sort, "") or _SORTED_BY.get(filters.tab, "-newest_evidence_at")
    rows = queue(filters, user=user).select_related("company", "owner").only(*_SHOWN)
    if by == "-company_size":
        # as an expression: by the account's own index PostgreSQL would walk through all accounts to find the few here
        rows = rows.annotate(company_size=F(f"company__{filters.sort}") + 0)
    return keyset(rows, by=by, cursor=cursor, size=PAGE)


def counts(*, user: StaffUser, tabs: Sequence[str]) -> dict[str, str]:
    """How many wait on each tab, said as “99+” from the cap on; one query."""
    numbers = {f"on_{tab}": Capped(_tab(tab, user).order_by().values("pk")[:COUNT_CAP]) for tab in tabs}
    found = Workspace.objects.annotate(**numbers).values(*numbers).get()
    return {tab: f"{COUNT_CAP - 1}+" if (n := found[f"on_{tab}"]) >= COUNT_CAP else str(n) for tab in tabs}


def newest_id(filters: Filters, *, user: StaffUser) -> int:
    """The highest id on the tab: what is above it later has come since."""
    return _tab(filters.tab, user).order_by("-pk").values_list("pk", flat=True).first() or 0


def arrived(filters: Filters, *, user: StaffUser, after: int) -> int:
    """How many came to the queue since `newest_id` said `after`; at most the cap."""
    return len(queue(filters, user=user).filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:COUNT_CAP])


def headlines_of(handoff_ids: Sequence[int]) -> dict[int, tuple[str, str, int]]:
    """Of each of these handoffs that has reasons: the icon and the words of the newest, and how many others there
    are. Two queries."""
    reasons: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for handoff_id, evidence in (
        Qualification.objects.filter(handoff_id__in=handoff_ids)
        .order_by(F("since_at").desc(nulls_last=True), "-id")
        .values_list("handoff_id", "evidence")
    ):
        reasons[handoff_id or 0].append(evidence)
    types = event_type_names(why.event_types_of(found[0] for found in reasons.values()))
    return {pk: (*why.headline(found[0], types), len(found) - 1) for pk, found in reasons.items()}


def rows_of(handoffs: Sequence[Handoff], *, now: dt.datetime, filters: Filters) -> list[Row]:
    """The queue's lines for these handoffs: five queries, however many there are.

    Their clock is the moment that the queue is sorted by, so that it never looks out of order.
    """
    headlines = headlines_of([h.pk for h in handoffs])
    tasks = next_tasks.open_of(h.pk for h in handoffs)
    sparks = _sparks([h.company_id for h in handoffs], now=now)
    rows = []
    for handoff in handoffs:
        icon, text, more = headlines.get(handoff.pk, ("sparkles", "No open reason", 0))
        at = handoff.opened_at if filters.sort == "waiting" else handoff.closed_at if filters.tab == "done" else None
        rows.append(
            Row(
                handoff=handoff,
                id=handoff.pk,
                name=handoff.company.name,
                plan=handoff.company.plan[:1].upper() + handoff.company.plan[1:] or "No plan",
                seats=handoff.company.seats,
                icon=icon,
                text=text,
                more=more,
                at=at or handoff.newest_evidence_at,
                spark=sparks.get(handoff.company_id, (0,) * SPARK_DAYS),
                owner=handoff.owner.label if handoff.owner and filters.tab != "mine" else "",
                badge=_badge(handoff, filters.tab),
                task=tasks.get(handoff.pk),
                task_days=next_tasks.days_left(tasks[handoff.pk], now=now) if handoff.pk in tasks else 0,
                until=handoff.snoozed_until if not handoff.closed_at else None,
                due=handoff.due_at,
                due_what="First touch" if handoff.owner_id else "Claim",
                due_tone=_due_tone(handoff.due_at, now=now),
                late=now - handoff.due_at if handoff.due_at and handoff.due_at < now else None,
            )
        )
    return rows


def _due_tone(due_at: dt.datetime | None, *, now: dt.datetime) -> str:
    if due_at is None or due_at > now + SOON:
        return ""
    return "bad" if due_at < now else "warn"


def _badge(handoff: Handoff, tab: str) -> tuple[str, str, str] | None:
    if handoff.closed_at:
        return (
            (handoff.get_status_display(), OUTCOME_TONES.get(handoff.status, ""), "")
            if tab in ("done", "due")
            else None
        )
    if handoff.paid_at:
        return "paid", "ok", "credit-card"
    if handoff.woken_at:
        return "woke", "accent", "alarm-clock"
    if handoff.rule_lapsed_at:
        return "lapsed", "warn", "clock"
    return ("assigned", "accent", "") if handoff.assigned else None


def _tab(tab: str, user: StaffUser) -> QuerySet[Handoff]:
    if tab == "mine":
        return Handoff.objects.filter(owner=user, closed_at=None).exclude(status=Handoff.Status.SNOOZED)
    if tab == "due":  # what one has to do by today, also where the handoff has ended
        tasks = NextTask.objects.filter(owner=user, done_at=None, due_at__lte=Now())
        return Handoff.objects.filter(pk__in=tasks.values("handoff_id"))
    if tab == "snoozed":
        asleep = Handoff.objects.filter(status=Handoff.Status.SNOOZED)
        return asleep if access.may(user, "handoffs.manage") else asleep.filter(owner=user)
    if tab == "team":
        return Handoff.objects.filter(status__in=["claimed", "working"], closed_at=None)
    if tab == "done":
        return Handoff.objects.filter(closed_at__isnull=False).exclude(status=Handoff.Status.WITHDRAWN)
    return Handoff.objects.filter(status=Handoff.Status.NEW)


def _sparks(company_ids: Sequence[int], *, now: dt.datetime) -> dict[int, tuple[int, ...]]:
    """Events a day of each company over the last SPARK_DAYS days, its child accounts included."""
    first = day_of(now) - SPARK_DAYS + 1
    company_of = {i: i for i in company_ids}
    company_of |= dict(
        Account.objects.filter(parent_id__in=company_ids, merged_into=None).values_list("pk", "parent_id")
    )
    totals: dict[int, list[int]] = {}
    for account_id, day, total in (
        UsageDay.objects.filter(account_id__in=list(company_of), day__gte=first, day__lt=first + SPARK_DAYS)
        .values_list("account_id", "day")
        .annotate(total=Sum("count"))
        .order_by()
    ):
        totals.setdefault(company_of[account_id], [0] * SPARK_DAYS)[day - first] += total
    return {company_id: tuple(series) for company_id, series in totals.items()}
