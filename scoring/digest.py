"""What publications and releases changed lately, as one line for those who work the inbox, instead of a flood.

A publication leaves its facts where they belong: episodes that it opened or ended, handoffs that no longer have a
reason, audit rows. This reads them together; nothing is written.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accounts.models import AuditEntry, StaffUser
from plgops.lib.paging import Capped
from scoring.models import Definition, Handoff, Qualification

SPAN = dt.timedelta(days=7)
CAP = 1_000  # counts go no further
SCANNED = 5_000  # who left is looked for among so many episodes, the newest first
MOST = 10  # changes told
MOST_AUDITED = 500  # audit rows of definitions read
_TOLD = ("definition.published", "definition.archived", "definition.released")


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one definition in the last days: its newest publication (or archiving), and releases.

    Counts go to CAP. `yours`: open handoffs of the reader that lost a reason by it.
    """

    definition: Definition
    at: dt.datetime
    by: str
    number: int | None  # of the version that was published; None: archived, or only released
    entered: int = 0
    waiting: int = 0
    released: int = 0
    left: int = 0
    yours: int = 0


def lately(*, user: StaffUser, now: dt.datetime, seen: dt.datetime | None = None) -> list[Change]:
    """The changes of the last SPAN, those that took a reason from the reader first, then the newest.

    Those up to `seen` are left out. Three queries, or one.

    A publication by which nobody entered or left, as of a definition that only nests another one, is no news.
    """
    since = max(now - SPAN, seen) if seen else now - SPAN
    published, released = _audited(since)
    ids = published.keys() | released.keys()
    if not ids:
        return []
    definitions = {d.pk: d for d in _counted(ids, since)}
    yours = _yours(user, ids, since)
    found = []
    for pk, definition in definitions.items():
        entry, given = published.get(pk), released.get(pk, (None, 0))
        newest = max((e for e in (entry, given[0]) if e is not None), key=lambda e: e.at)
        change = Change(
            definition=definition,
            at=newest.at,
            by=newest.actor_label,
            number=entry.detail.get("version") if entry else None,
            entered=definition.entered if entry else 0,  # type: ignore[attr-defined]  # annotated
            waiting=definition.waiting if entry else 0,  # type: ignore[attr-defined]
            left=definition.left if entry else 0,  # type: ignore[attr-defined]
            released=given[1],
            yours=yours.get(pk, 0),
        )
        if change.entered or change.left or change.released or change.yours:
            found.append(change)
    return sorted(found, key=lambda change: (change.yours > 0, change.at, change.definition.pk), reverse=True)[:MOST]


def _audited(since: dt.datetime) -> tuple[dict[int, AuditEntry], dict[int, tuple[AuditEntry, int]]]:
    """By definition: its newest publication (or archiving); its newest release, and how many were released."""
    rows = AuditEntry.objects.filter(object_type="definition", action__in=_TOLD, at__gt=since)
    published: dict[int, AuditEntry] = {}
    released: dict[int, tuple[AuditEntry, int]] = {}
    for entry in rows.order_by("-at", "-id")[:MOST_AUDITED]:
        pk = entry.object_id or 0
        if entry.action != "definition.released":
            published.setdefault(pk, entry)
        else:
            newest, number = released.get(pk, (entry, 0))
            released[pk] = (newest, number + int(entry.detail.get("episodes") or 0))
    return published, released


def _counted(ids: Iterable[int], since: dt.datetime) -> QuerySet[Definition]:
    """The definitions with how many entered, wait and left by their newest version, each over an index range."""
    redefined = Qualification.CloseCause.REDEFINED
    entered = Qualification.objects.filter(
        definition=OuterRef("pk"),
        opened_at__gt=since,
        version=OuterRef("live_version_id"),
        cause=Qualification.Cause.PUBLISH,
    )
    waits = entered.filter(release=Qualification.Release.WAITING, closed_at=None)
    newest = Qualification.objects.filter(definition=OuterRef(OuterRef("pk"))).order_by("-opened_at")
    left = Qualification.objects.filter(
        pk__in=Subquery(newest.values("pk")[:SCANNED]), close_cause=redefined, closed_at__gt=since
    )
    return Definition.objects.filter(pk__in=ids).annotate(
        entered=Capped(entered.order_by().values("pk")[:CAP]),
        waiting=Capped(waits.order_by().values("pk")[:CAP]),
        left=Capped(left.order_by().values("pk")[:CAP]),
    )


def _yours(user: StaffUser, ids: Iterable[int], since: dt.datetime) -> dict[int, int]:
    """By definition: the person's open handoffs without any reason left, of which a publication took one."""
    lost = Q(
        reasons__definition__in=list(ids),
        reasons__close_cause=Qualification.CloseCause.REDEFINED,
        reasons__closed_at__gt=since,
    )
    rows = Handoff.objects.filter(lost, owner=user, closed_at=None, rule_lapsed_at__isnull=False)
    found: dict[int, int] = defaultdict(int)
    counted = rows.order_by().values("reasons__definition").annotate(handoffs=Count("pk", distinct=True))
    for definition_id, number in counted.values_list("reasons__definition", "handoffs"):
        found[definition_id] = number
    return found
