"""What the pages of this floor read: plain values, bounded, in a number of queries that never grows with the rows.

Every function that takes `account_ids` reads them together: a company is its root account and its children.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, Sum

from accounts.charts import Pin as Pin
from accounts.charts import UsageChart as UsageChart
from accounts.charts import short_date
from accounts.charts import usage_chart as usage_chart
from accounts.models import (
    Account,
    AccountMerge,
    AuditEntry,
    Event,
    EventType,
    Membership,
    Plan,
    ProductUser,
    RevenueMovement,
    Stage,
    StageEntry,
    TraitValue,
    UsageDay,
)
from accounts.workspace import zone
from plgops.lib import days, paging
from plgops.lib.paging import Page

# --- the list ---------------------------------------------------------------------------------------------

# what the list can be ordered by: parameter value -> column; every one has an index with the id behind it
SORTS = {
    "seen": "-last_seen_at",
    "signup": "-signed_up_at",
    "mrr": "-mrr",
    "seats": "-seats",
    "name": "name",
    "plan": "plan",
}
SEARCH_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which accounts of the list; empty values mean all of them."""

    text: str = ""
    plan: str = ""
    owner: str = ""  # "me", "none"
    stage: str = ""
    kind: str = ""  # "paying", "free", "provisional", "internal"
    sort: str = "seen"

    @property
    def is_plain(self) -> bool:
        """Whether nothing is filtered, so that an empty list means an empty workspace."""
        return not (self.text or self.plan or self.owner or self.stage or self.kind)


def account_list(chosen: Filter, *, me: int, cursor: str = "", size: int = paging.SIZE) -> Page[Account]:
    """A page of accounts; owners come along. Merged ones never, internal ones only when asked for."""
    rows = Account.objects.filter(merged_into__isnull=True).select_related("owner")
    rows = rows.filter(is_internal=chosen.kind == "internal")
    if chosen.kind == "paying":
        rows = rows.filter(mrr__gt=0)
    elif chosen.kind == "free":
        rows = rows.filter(mrr=0)
    elif chosen.kind == "provisional":
        rows = rows.filter(is_provisional=True)
    if chosen.plan:
        rows = rows.filter(plan=chosen.plan)
    if chosen.owner == "me":
        rows = rows.filter(owner_id=me)
    elif chosen.owner == "none":
        rows = rows.filter(owner__isnull=True)
    if chosen.stage in Stage.values:
        rows = rows.filter(Exists(StageEntry.objects.filter(account=OuterRef("pk"), stage=chosen.stage)))
    if chosen.text:
        rows = rows.filter(pk__in=search(chosen.text))
    return paging.keyset(rows, by=SORTS.get(chosen.sort, "-last_seen_at"), cursor=cursor, size=size)


def search(text: str, *, limit: int = SEARCH_LIMIT) -> list[int]:
    """Ids of at most `limit` accounts whose name, domain or external id starts with `text`, else whose name holds it.

    The prefixes are three index ranges, so the cost is that of what is found. Only when
    they find nothing are the names read through, which costs about 50 ms for 100,000 accounts.
    """
    wanted = text.strip()
    if not wanted:
        return []
    live = Account.objects.filter(merged_into__isnull=True).order_by().values_list("pk", flat=True)
    domain = wanted.lower().removeprefix("https://").removeprefix("http://").removeprefix("www.").split("/")[0]
    prefixes = [live.filter(name__istartswith=wanted)[:limit], live.filter(external_id__startswith=wanted)[:limit]]
    if domain:
        prefixes.append(live.filter(domain__startswith=domain)[:limit])
    found: set[int] = set()
    for prefix in prefixes:
        found.update(prefix)
    if not found and len(wanted) >= 2:
        found.update(live.filter(name__icontains=wanted)[:limit])
    return sorted(found)[:limit]


def find(text: str, *, limit: int = 6) -> list[Account]:
    """The first accounts for the command palette, most recently seen first."""
    found = Account.objects.filter(pk__in=search(text, limit=50), is_internal=False)
    return list(found.order_by("-last_seen_at", "pk")[:limit])


def plans() -> list[str]:
    """The plans that accounts are on, by hopping through the index from one to the next: no scan."""
    table = Account._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE hop(plan) AS (SELECT MIN(plan) FROM {table}"
            f" UNION ALL SELECT (SELECT MIN(plan) FROM {table} WHERE plan > hop.plan)"
            " FROM hop WHERE hop.plan IS NOT NULL)"
            " SELECT plan FROM hop WHERE plan IS NOT NULL AND plan <> '' LIMIT 50"
        )
        return [row[0] for row in cursor.fetchall()]


def activity(account_ids: Collection[int], *, today: int, span: int = 28) -> dict[int, list[int]]:
    """How many people were active on each of the last `span` days, for many accounts in one query."""
    first = today - span + 1
    series = {account_id: [0] * span for account_id in account_ids}
    rows = (
        UsageDay.objects.filter(account_id__in=list(account_ids), day__gte=first, day__lte=today)
        .values("account_id", "day")
        .annotate(people=Count("user_id", distinct=True))
        .order_by()
    )
    for row in rows:
        series[row["account_id"]][row["day"] - first] = row["people"]
    return series


# --- one account ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TraitFact:
    """One trait as it stands today, and since when; `since` None: from the start."""

    name: str
    text: str
    since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known about an account, for a list of facts beside whatever is done with it."""

    account: Account
    plan: str
    owner: str
    seats_used: int | None
    traits: list[TraitFact]

    @property
    def seats_percent(self) -> float:
        return self.seats_used * 100 / self.account.seats if self.account.seats and self.seats_used else 0


SHOWN_AS_FACTS = frozenset(
    {"plan", "mrr", "seats", "employees", "name", "domain", "website", "createdAt", "created_at"}
)
MOST_TRAITS = 40


def facts(account: Account) -> AccountFacts:
    """Facts of an account, with its traits and since when they stand. `account.owner` should be at hand."""
    rows = TraitValue.objects.filter(account_id=account.pk, to_day=days.FOREVER).order_by("name", "-valid_from")
    traits = [
        TraitFact(row.name, row.text, row.valid_from if row.valid_from > account.signed_up_at else None)
        for row in rows[:MOST_TRAITS]
        if row.name not in SHOWN_AS_FACTS
    ]
    plan = Plan.objects.filter(code=account.plan).values_list("name", flat=True).first() if account.plan else ""
    used = account.traits.get("seats_used") if isinstance(account.traits, dict) else None
    return AccountFacts(
        account=account,
        plan=plan or account.plan,
        owner=account.owner.label if account.owner else "",
        seats_used=used if isinstance(used, int) else None,
        traits=traits,
    )


# --- people -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contact:
    """A person of an account: who they are and how much they did in the last 28 days."""

    id: int
    external_id: str
    name: str  # the e-mail address or the id when no name is known
    email: str
    title: str
    role: str
    is_known: bool
    is_member: bool  # False: was one, and left
    signed_up_at: dt.datetime
    last_seen_at: dt.datetime | None
    events: int
    active_days: int
    per_day: list[int]


CONTACT_SPAN = 28


def contacts(account_ids: Collection[int], limit: int, *, today: int) -> list[Contact]:
    """The people of these accounts, most recently seen first; at most `limit`. Three queries."""
    return people(account_ids, today=today, size=limit).items


def people(account_ids: Collection[int], *, today: int, cursor: str = "", size: int = paging.SIZE) -> Page[Contact]:
    """A page of the people of these accounts, most recently seen first. Members of today before nobody else."""
    ids = list(account_ids)
    belongs = Membership.objects.filter(user=OuterRef("pk"), account_id__in=ids)
    page = paging.keyset(
        ProductUser.objects.filter(Exists(belongs), merged_into__isnull=True),
        by="-last_seen_at",
        cursor=cursor,
        size=size,
    )
    user_ids = [user.pk for user in page.items]
    memberships: dict[int, Membership] = {}
    for membership in Membership.objects.filter(account_id__in=ids, user_id__in=user_ids).order_by("valid_from", "pk"):
        memberships[membership.user_id] = membership  # the newest one stands
    first = today - CONTACT_SPAN + 1
    per_day: dict[int, list[int]] = {user_id: [0] * CONTACT_SPAN for user_id in user_ids}
    rows = (
        UsageDay.objects.filter(account_id__in=ids, user_id__in=user_ids, day__gte=first, day__lte=today)
        .values("user_id", "day")
        .annotate(events=Sum("count"))
        .order_by()
    )
    for row in rows:
        per_day[row["user_id"]][row["day"] - first] = row["events"]
    found = []
    for user in page.items:
        membership = memberships[user.pk]
        found.append(
            Contact(
                id=user.pk,
                external_id=user.external_id,
                name=user.name or user.email or user.external_id,
                email=user.email,
                title=user.title,
                role=membership.role,
                is_known=user.is_known,
                is_member=membership.valid_to is None,
                signed_up_at=user.signed_up_at,
                last_seen_at=user.last_seen_at,
                events=sum(per_day[user.pk]),
                active_days=sum(1 for count in per_day[user.pk] if count),
                per_day=per_day[user.pk],
            )
        )
    return Page(found, page.next_cursor)


# --- what happened ----------------------------------------------------------------------------------------

ICONS = {
    EventType.Meaning.SIGNUP: "log-in",
    EventType.Meaning.INVITE: "user-plus",
    EventType.Meaning.CORE: "zap",
    EventType.Meaning.PREMIUM: "sparkles",
    EventType.Meaning.BILLING: "credit-card",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the log, in words."""

    id: int
    at: dt.datetime
    day: dt.date  # in the workspace's zone
    event: str
    meaning: str
    icon: str
    who: str
    details: str  # up to three properties as `name value`


def timeline(account_ids: Collection[int], limit: int = 20, *, cursor: str = "") -> Page[Happened]:
    """The newest events of these accounts. One query, through the index that the log has for it."""
    rows = Event.objects.filter(account_id__in=list(account_ids)).select_related("event_type", "user")
    page = paging.keyset(rows, by="-occurred_at", tie="-id", cursor=cursor, size=limit)
    return Page([_happened(event) for event in page.items], page.next_cursor)


def _happened(event: Event) -> Happened:
    properties: Mapping[str, Any] = event.properties if isinstance(event.properties, dict) else {}
    plain = [(name, value) for name, value in properties.items() if isinstance(value, str | int | float | bool)]
    return Happened(
        id=event.pk,
        at=event.occurred_at,
        day=event.occurred_at.astimezone(zone()).date(),
        event=event.event_type.name,
        meaning=event.event_type.meaning,
        icon=ICONS.get(EventType.Meaning(event.event_type.meaning), "activity"),
        who=event.user.name or event.user.email or event.user.external_id,
        details=" · ".join(f"{name} {str(value)[:60]}" for name, value in plain[:3]),
    )


# --- how far, how much, who changed what --------------------------------------------------------------------

MOST_ENTRIES = 50


STAGE_ICONS = {
    Stage.SIGNED_UP: "log-in",
    Stage.ACTIVATED: "zap",
    Stage.PQL: "target",
    Stage.CLAIMED: "hand",
    Stage.CONTACTED: "mail",
    Stage.PAID: "credit-card",
    Stage.EXPANDED: "trending-up",
    Stage.CHURNED: "trending-down",
    Stage.RETURNED: "undo-2",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """An entry of the ledger."""

    stage: Stage
    at: dt.datetime
    day: int
    cause: str

    @property
    def label(self) -> str:
        return self.stage.label

    @property
    def icon(self) -> str:
        return STAGE_ICONS[self.stage]


def stages(account_ids: Collection[int], limit: int = MOST_ENTRIES) -> list[Reached]:
    """The ledger of these accounts, newest first."""
    rows = StageEntry.objects.filter(account_id__in=list(account_ids)).order_by("-at", "-pk")[:limit]
    return [Reached(Stage(row.stage), row.at, row.day, row.cause.replace("_", " ")) for row in rows]


def stage_pins(entries: Collection[Reached]) -> list[Pin]:
    """The ledger's moments as pins of the usage chart: one a day, the furthest stage of that day."""
    order = list(Stage)
    pins: dict[int, Reached] = {}
    for entry in entries:
        kept = pins.get(entry.day)
        if entry.stage != Stage.SIGNED_UP and (kept is None or order.index(entry.stage) > order.index(kept.stage)):
            pins[entry.day] = entry
    return [Pin(day, f"{short_date(days.date_of(day))}: {entry.label}") for day, entry in sorted(pins.items())]


MOVEMENT_LOOKS = {
    RevenueMovement.Kind.NEW: ("ok", "sparkles"),
    RevenueMovement.Kind.EXPANSION: ("ok", "trending-up"),
    RevenueMovement.Kind.CONTRACTION: ("warn", "trending-down"),
    RevenueMovement.Kind.CHURN: ("bad", "circle-x"),
    RevenueMovement.Kind.REACTIVATION: ("ok", "rotate-ccw"),
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A revenue movement and how it is shown."""

    movement: RevenueMovement
    tone: str
    icon: str


def movements(account_id: int, limit: int = MOST_ENTRIES) -> list[Moved]:
    """The account's revenue movements, newest first."""
    rows = RevenueMovement.objects.filter(account_id=account_id).order_by("-at", "-pk")[:limit]
    return [Moved(row, *MOVEMENT_LOOKS[RevenueMovement.Kind(row.kind)]) for row in rows]


@dataclass(frozen=True, slots=True)
class Change:
    """An audit entry in words."""

    at: dt.datetime
    who: str
    what: str
    details: str


def audit_trail(account_id: int, *, cursor: str = "", size: int = 30) -> Page[Change]:
    """Who changed what about the account, newest first."""
    rows = AuditEntry.objects.filter(account_id=account_id)
    page = paging.keyset(rows, by="-at", tie="-id", cursor=cursor, size=size)
    return Page([_change(entry) for entry in page.items], page.next_cursor)


def _change(entry: AuditEntry) -> Change:
    noun, _, verb = entry.action.partition(".")
    what = f"{noun} {verb}".replace("_", " ").strip().capitalize()
    detail = entry.detail if isinstance(entry.detail, dict) else {}
    plain = [f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if value not in ("", None, [], {})]
    return Change(entry.at, entry.actor_label, what, " · ".join(plain)[:300])


def trait_changes(account_id: int, limit: int = MOST_ENTRIES) -> list[TraitValue]:
    """The account's trait values that replaced another one, newest first."""
    return list(TraitValue.objects.filter(account_id=account_id).order_by("-valid_from", "-pk")[:limit])


@dataclass(frozen=True, slots=True)
class Family:
    """Where the account stands among others: its company, and what was merged into it."""

    parent: Account | None
    children: list[Account]
    merges: list[AccountMerge]

    @property
    def exists(self) -> bool:
        return bool(self.parent or self.children or self.merges)


def family(account: Account) -> Family:
    """Parent (should be at hand), children and standing merges. Two queries."""
    children = Account.objects.filter(parent=account, merged_into__isnull=True).order_by("name", "pk")[:20]
    merges = (
        AccountMerge.objects.filter(winner=account, undone_at__isnull=True)
        .select_related("loser", "merged_by")
        .order_by("-merged_at", "-pk")[:20]
    )
    return Family(account.parent, list(children), list(merges))


def company_ids(root_id: int) -> list[int]:
    """The ids of a company's live accounts: its root and the root's children."""
    together = Account.objects.filter(Q(pk=root_id) | Q(parent_id=root_id), merged_into__isnull=True)
    return list(together.order_by("pk").values_list("pk", flat=True))


def winner_of(account: Account) -> Account:
    """Where a merged account's links lead: the last winner of the chain (the account itself if not merged)."""
    seen = {account.pk}
    while account.merged_into_id is not None and account.merged_into_id not in seen:
        seen.add(account.merged_into_id)
        account = Account.objects.get(pk=account.merged_into_id)
    return account


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures above the page."""

    people: int
    active_7: int
    events_28: int
    newest_day: int | None


def totals(account_ids: Collection[int], *, today: int) -> Totals:
    """People and events of the last four weeks. One query, through the index of the days."""
    recent = UsageDay.objects.filter(account_id__in=list(account_ids), day__gt=today - 28, day__lte=today)
    found = recent.aggregate(
        people=Count("user_id", distinct=True),
        active_7=Count("user_id", distinct=True, filter=Q(day__gt=today - 7)),
        events=Sum("count"),
        newest=Max("day"),
    )
    return Totals(found["people"], found["active_7"], found["events"] or 0, found["newest"])
