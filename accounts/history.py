"""What happened to an account: events, stages, revenue, and who changed what. Newest first, bounded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Min

from accounts.charts import Pin, short_date
from accounts.models import AuditEntry, Event, EventType, RevenueMovement, Stage, StageEntry, TraitValue
from accounts.workspace import zone
from plgops.lib import days, paging
from plgops.lib.paging import Page

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
    return Page([happened(event) for event in page.items], page.next_cursor)


def happened(event: Event) -> Happened:
    """An event of the log in words; its type and person should be at hand."""
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


# the way that an account goes, in order; what follows payment or ends is told in the list of entries
PATH = (Stage.SIGNED_UP, Stage.ACTIVATED, Stage.PQL, Stage.CLAIMED, Stage.CONTACTED, Stage.PAID, Stage.EXPANDED)


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the way and when the account first reached it; None: not yet."""

    stage: Stage
    at: dt.datetime | None

    @property
    def label(self) -> str:
        return self.stage.label


def stage_path(account_ids: Collection[int]) -> list[Step]:
    """The stages of PATH with the first time each was reached. One query."""
    rows = StageEntry.objects.filter(account_id__in=list(account_ids), stage__in=PATH)
    first = dict(rows.values("stage").annotate(first=Min("at")).order_by().values_list("stage", "first"))
    return [Step(stage, first.get(stage.value)) for stage in PATH]


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
    return Page([change(entry) for entry in page.items], page.next_cursor)


def change(entry: AuditEntry) -> Change:
    """An audit entry in words."""
    noun, _, verb = entry.action.partition(".")
    what = f"{noun} {verb}".replace("_", " ").strip().capitalize()
    detail = entry.detail if isinstance(entry.detail, dict) else {}
    plain = [f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if value not in ("", None, [], {})]
    return Change(entry.at, entry.actor_label, what, " · ".join(plain)[:300])


def trait_changes(account_id: int, limit: int = MOST_ENTRIES) -> list[TraitValue]:
    """The account's trait values that replaced another one, newest first."""
    return list(TraitValue.objects.filter(account_id=account_id).order_by("-valid_from", "-pk")[:limit])
