"""Reads behind the inbox: the queue with its filters, the counts on its tabs, and one handoff in full.

Every function here is a fixed number of queries whatever the queue holds; nothing is counted past a cap.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet, Sum

from accounts.models import Account, AuditEntry, EventType, ProductUser, StaffUser, UsageDay, UsageValue
from accounts.workspace import day_of
from plgops.lib.paging import Page, keyset
from scoring import why
from scoring.models import Handoff, HandoffActivity, Qualification

COUNT_CAP = 100  # a tab says "99+" from here on
SPARK_DAYS = 14
PAST_EPISODES = 30
TABS = {"unclaimed": "Unclaimed", "mine": "Mine", "team": "Team", "done": "Done"}
OUTCOME_TONES = {"won": "ok", "lost": "bad", "returned": "accent"}
SORTS = {
    "newest": "Newest evidence",
    "waiting": "Waiting longest",
    "seats": "Most seats",
    "mrr": "Highest MRR",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the queue shows; exactly what stands in the URL."""

    tab: str = "unclaimed"
    definition: str = ""
    plan: str = ""
    seats: int | None = None
    q: str = ""
    sort: str = "newest"

    @classmethod
    def read(cls, query: Mapping[str, str], *, tab: str = "unclaimed") -> Filters:
        """From a query string; whatever makes no sense is left out, so that an old link still opens."""
        seats = query.get("seats", "")
        return cls(
            tab=query.get("tab", "") if query.get("tab") in TABS else tab,
            definition=query.get("definition", "")[:80],
            plan=query.get("plan", "")[:100],
            seats=int(seats) if seats.isdecimal() and len(seats) < 8 and int(seats) else None,
            q=query.get("q", "").strip()[:100],
            sort=query.get("sort", "") if query.get("sort") in SORTS else "newest",
        )

    def url(self, **changes: Any) -> str:
        """The query string (with its question mark) of these filters with `changes`; defaults are left out."""
        values = {f.name: changes.get(f.name, getattr(self, f.name)) for f in fields(self)}
        kept = {k: v for k, v in values.items() if v not in ("", None) and v != _DEFAULTS[k]}
        return f"?{urlencode(kept)}" if kept else "?tab=unclaimed"

    @property
    def active(self) -> int:
        """How many filters narrow the queue."""
        return sum(bool(v) for v in (self.definition, self.plan, self.seats, self.q))


_DEFAULTS = {f.name: f.default for f in fields(Filters)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue."""

    handoff: Handoff
    icon: str
    text: str
    more: int  # further reasons
    at: dt.datetime  # what the queue's clock shows
    spark: tuple[int, ...]
    tone: str  # of its outcome


@dataclass(frozen=True, slots=True)
class Reason:
    """One definition under which the company qualifies (or did), told."""

    qualification: Qualification
    signals: tuple[why.Signal, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An audit row in words."""

    at: dt.datetime
    who: str
    what: str
    more: str


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that one handoff's page says of it and its reasons."""

    handoff: Handoff
    reasons: tuple[Reason, ...]
    activities: tuple[HandoffActivity, ...]
    audit: tuple[AuditLine, ...]
    evidence_users: frozenset[int] = field(default_factory=frozenset)


def queue(filters: Filters, *, user: StaffUser) -> QuerySet[Handoff]:
    """The handoffs of a tab under its filters, in no order yet."""
    rows = _tab(filters.tab, user).select_related("company", "owner")
    if filters.definition:
        reasons = Qualification.objects.filter(definition__slug=filters.definition, handoff__isnull=False)
        rows = rows.filter(pk__in=reasons.values("handoff_id"))
    if filters.plan:
        rows = rows.filter(company__plan=filters.plan)
    if filters.seats is not None:
        rows = rows.filter(company__seats__gte=filters.seats)
    if filters.q:
        rows = rows.filter(Q(company__name__icontains=filters.q) | Q(company__domain__icontains=filters.q))
    return rows


def page(filters: Filters, *, user: StaffUser, cursor: str = "") -> Page[Handoff]:
    """One page of the queue in its order, after `cursor`."""
    by = {"waiting": "opened_at", "seats": "-company__seats", "mrr": "-company__mrr"}.get(filters.sort, "")
    by = by or ("-closed_at" if filters.tab == "done" else "-newest_evidence_at")
    return keyset(queue(filters, user=user), by=by, cursor=cursor)


def counts(*, user: StaffUser, tabs: Sequence[str]) -> dict[str, str]:
    """How many wait on each tab, said as “99+” from the cap on; one bounded query a tab."""
    found = {tab: len(_tab(tab, user).values_list("pk", flat=True)[:COUNT_CAP]) for tab in tabs}
    return {tab: f"{COUNT_CAP - 1}+" if n >= COUNT_CAP else str(n) for tab, n in found.items()}


def newest_id(filters: Filters, *, user: StaffUser) -> int:
    """The highest id on the tab: what is above it later has come since."""
    return _tab(filters.tab, user).order_by("-pk").values_list("pk", flat=True).first() or 0


def arrived(filters: Filters, *, user: StaffUser, after: int) -> int:
    """How many came to the queue since `newest_id` said `after`; at most the cap."""
    return len(queue(filters, user=user).filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:COUNT_CAP])


def rows_of(handoffs: Sequence[Handoff], *, now: dt.datetime, filters: Filters) -> list[Row]:
    """The queue's lines for these handoffs: four queries, however many there are.

    Their clock is the moment that the queue is sorted by, so that it never looks out of order.
    """
    ids = [h.pk for h in handoffs]
    reasons: dict[int, list[Qualification]] = defaultdict(list)
    for q in (
        Qualification.objects.filter(handoff_id__in=ids)
        .select_related("definition")
        .order_by(F("since_at").desc(nulls_last=True), "-id")
    ):
        if q.handoff_id:
            reasons[q.handoff_id].append(q)
    types = event_type_names(why.event_types_of(q.evidence for qs in reasons.values() for q in qs[:1]))
    sparks = _sparks([h.company_id for h in handoffs], now=now)
    rows = []
    for handoff in handoffs:
        own = reasons.get(handoff.pk, [])
        icon, text = why.headline(own[0].evidence, types) if own else ("sparkles", "No open reason")
        at = handoff.opened_at if filters.sort == "waiting" else handoff.closed_at if filters.tab == "done" else None
        rows.append(
            Row(
                handoff=handoff,
                icon=icon,
                text=text,
                more=max(0, len(own) - 1),
                at=at or handoff.newest_evidence_at,
                spark=sparks.get(handoff.company_id, (0,) * SPARK_DAYS),
                tone=OUTCOME_TONES.get(handoff.status, ""),
            )
        )
    return rows


def detail(handoff: Handoff) -> Detail:
    """One handoff with its reasons told from their frozen evidence, its activity and its audit trail."""
    found = list(
        Qualification.objects.filter(handoff=handoff)
        .select_related("definition", "version", "account")
        .order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id")
    )
    reasons = reasons_of(found)
    trail = AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk)
    return Detail(
        handoff=handoff,
        reasons=reasons,
        activities=tuple(
            HandoffActivity.objects.filter(handoff=handoff).select_related("by").order_by("-at", "-id")[:50]
        ),
        audit=tuple(_audit_line(entry) for entry in trail.order_by("-at", "-id")[:50]),
        evidence_users=frozenset(i for q in found for i in why.people_of(q.evidence)),
    )


def reasons_of(found: Sequence[Qualification]) -> tuple[Reason, ...]:
    """Qualifications told from their evidence; at most four queries for all of them together."""
    conditions = [(q, c) for q in found for c in q.evidence.get("conditions", ()) if why.has_series(c)]
    people = {i for q in found for i in why.people_of(q.evidence)}
    names = person_names(people)
    usage, values = _usage(conditions)
    types = event_type_names(why.event_types_of(q.evidence for q in found))
    return tuple(
        Reason(
            qualification=q,
            signals=why.signals(
                q.evidence,
                names=names,
                usage=[u for u in usage if u.account_id == q.account_id],
                values=[v for v in values if v.account_id == q.account_id],
                of_people=q.definition.level == "user",
            ),
            sentence=why.sentence(q.evidence, event_types=types, names=names),
        )
        for q in found
    )


def person_names(ids: set[int]) -> dict[int, str]:
    """What to call these people: name, else e-mail address, else the id they came with."""
    rows = ProductUser.objects.filter(pk__in=ids).values_list("pk", "name", "email", "external_id") if ids else ()
    return {pk: name or email or external_id for pk, name, email, external_id in rows}


def event_type_names(ids: set[int]) -> dict[int, str]:
    """The names of these event types by id."""
    return dict(EventType.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}


_AUDIT_WORDS = {
    "opened": "opened it",
    "joined": "added a reason",
    "assigned": "assigned it",
    "claimed": "claimed it",
    "unclaimed": "gave it back",
    "touched": "recorded a touch",
    "noted": "wrote a note",
    "won": "closed it as won",
    "lost": "closed it as lost",
    "dismissed": "dismissed it",
    "returned": "returned it to self-serve",
    "withdrawn": "withdrew it",
    "lapsed": "marked it: no reason holds any more",
    "held_again": "took the mark back: a reason holds again",
    "paid": "saw that the account paid",
    "moved": "moved it with its account",
}


def _audit_line(entry: AuditEntry) -> AuditLine:
    verb = entry.action.removeprefix("handoff.")
    detail = entry.detail
    told = [detail.get("kind"), f"to {detail['to']}" if detail.get("to") else "", detail.get("reason")]
    more = ", ".join(str(word).replace("_", " ") for word in told if word)
    return AuditLine(entry.at, entry.actor_label, _AUDIT_WORDS.get(verb, verb.replace("_", " ")), more)


def _tab(tab: str, user: StaffUser) -> QuerySet[Handoff]:
    if tab == "mine":
        return Handoff.objects.filter(owner=user, closed_at=None)
    if tab == "team":
        return Handoff.objects.filter(status__in=["claimed", "contacted"], closed_at=None)
    if tab == "done":
        return Handoff.objects.filter(closed_at__isnull=False).exclude(status=Handoff.Status.WITHDRAWN)
    return Handoff.objects.filter(status=Handoff.Status.UNCLAIMED)


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


def _usage(conditions: Sequence[tuple[Qualification, Mapping[str, Any]]]) -> tuple[list[why.Usage], list[why.Usage]]:
    """The rows behind the conditions' series: of the roll-up, and of the distinct values where one asks for them."""
    usage, values = Q(), Q()
    for q, condition in conditions:
        first, last = why.series_days(condition, int(q.evidence.get("as_of_day") or 0))
        wanted = Q(account_id=q.account_id, day__range=(first, last))
        types = condition.get("event_type_ids")
        if types:
            wanted &= Q(event_type_id__in=types)
        if condition["kind"] == "distinct":
            values |= wanted
        else:
            usage |= wanted
    plain = ("account_id", "user_id", "event_type_id", "day", "count")
    return (
        [why.Usage(*row) for row in UsageDay.objects.filter(usage).values_list(*plain)[:20_000]] if usage else [],
        [why.Usage(*row) for row in UsageValue.objects.filter(values).values_list(*plain, "value")[:20_000]]
        if values
        else [],
    )


def episodes(account: Account) -> dict[str, Any]:
    """An account's episodes for its page: the open ones told, the past ones listed, and its company's handoff."""
    found = list(
        Qualification.objects.filter(account_id=account.pk)
        .select_related("definition", "version", "account")
        .order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id")[:PAST_EPISODES]
    )
    return {
        "reasons": reasons_of([q for q in found if q.closed_at is None]),
        "past": [q for q in found if q.closed_at is not None],
        "handoff": Handoff.objects.filter(company_id=account.company_id)
        .select_related("owner")
        .order_by(F("closed_at").desc(nulls_first=True), "-id")
        .first(),
    }
