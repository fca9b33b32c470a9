"""Everything that happened to an account on one line of time: what its people did, stages, revenue, and our own desk.

Four tables, each read through its own index from where the page before ended, and laid together: a page costs the same
wherever it is. What another floor did (a handoff, a ticket) is told by its audit row, and by the strands that are
handed in (plgops/urls.py), since this floor cannot read its tables. Signals alone are read from the roll-up, one line
a person, type and day, since in a log of millions they may be far apart.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from accounts import history
from accounts.models import AuditEntry, Event, EventType, ProductUser, RevenueMovement, Stage, StageEntry, UsageDay
from accounts.workspace import zone
from plgops.lib import days
from plgops.lib.paging import BadCursor, Page

SIZE = 40
SIGNAL_DAYS = 90  # how far back signals are looked for
EVENTS, STAGES, REVENUE, DESK, SIGNALS = range(5)
# what may be asked for: the words on the page, and the tables behind them
KINDS = {
    "": ("Everything", (EVENTS, STAGES, REVENUE, DESK)),
    "signals": ("Signals", (SIGNALS,)),
    "milestones": ("Stages and revenue", (STAGES, REVENUE)),
    "desk": ("Sales, support, prompts", (DESK,)),
}
PLAIN = (EventType.Meaning.NONE, EventType.Meaning.ACTIVITY)
_DESK_ICONS = {"handoff": "handshake", "ticket": "life-buoy", "cstask": "list-checks"}

_DESK_WORDS = {  # of audit rows whose noun and verb would not say it
    "account.tier_changed": "moved them to the support tier",
    "cs_task.done": "did the task",
    "cs_task.dismissed": "dismissed the task",
    "cs_task.reopened": "opened the task again",
    "cs_task.taken": "took the task",
    "handoff.assigned": "assigned the company",
    "handoff.claimed": "claimed the company",
    "handoff.disqualified": "disqualified it:",
    "handoff.joined": "found one more reason for sales",
    "handoff.lapsed": "found that no reason holds any more",
    "handoff.lost": "closed it as lost:",
    "handoff.opened": "handed the company to sales",
    "handoff.paid": "saw them pay while sales had it",
    "handoff.reopened": "took the outcome back",
    "handoff.returned": "returned it to self-serve:",
    "handoff.snoozed": "snoozed it",
    "handoff.task_done": "did what was next:",
    "handoff.task_set": "planned what is next:",
    "handoff.undone": "took back:",
    "handoff.unclaimed": "gave it back to the queue",
    "handoff.withdrawn": "withdrew it from the inbox",
    "handoff.woken": "woke it",
    "handoff.won": "closed it as won",
    "ticket.customer_wrote": "heard from the customer on ticket",
    "ticket.opened": "opened ticket",
    "ticket.replied": "replied on ticket",
    "ticket.solved": "solved ticket",
    "ticket.taken": "took ticket",
}
_DESK_DETAILS = (
    "tier",
    "reason",
    "outcome",
    "text",
    "why",
    "of",
)  # of those what is for people; the rest are ids and bookkeeping
_NAMED = ("ticket", "cstask")  # what the row is about has a name of its own

Place = tuple[int, int, int]  # microseconds, table and number of the row, each so that smaller comes first


@dataclass(frozen=True, slots=True)
class Moment:
    """One line, and its place among all of them: newest first; of one instant by table, then the newest row."""

    at: dt.datetime
    place: Place
    icon: str
    who: str
    what: str
    details: str
    stands_out: bool

    @property
    def day(self) -> dt.date:
        """In the workspace's zone."""
        return self.at.astimezone(zone()).date()


@dataclass(frozen=True, slots=True)
class Said:
    """A row of another floor in words."""

    icon: str
    who: str
    what: str
    details: str = ""
    stands_out: bool = False


@dataclass(frozen=True, slots=True)
class Strand:
    """A table of another floor that the timeline tells: its rows about an account, by which moment, in which words.

    The rows should be found by an index. `instead_of`: actions of audit rows that would say the same.
    """

    rows: Callable[[int], QuerySet[Any]]
    column: str
    told: Callable[[Any], Said]
    instead_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    rows: QuerySet[Any]
    column: str
    told: Callable[[Any, Place], Moment]


def page(
    account_id: int,
    *,
    today: int,
    kind: str = "",
    cursor: str = "",
    size: int = SIZE,
    strands: Sequence[Strand] = (),
) -> Page[Moment]:
    """The moments of an account after `cursor`, newest first, of one of KINDS (KeyError).

    At most four queries, and one for each of the strands, which stand beside what the desk did. `today` is the
    workspace day from which signals are looked back for. Raises BadCursor.
    """
    tables = KINDS[kind][1]
    after = _read(cursor) if cursor else None
    if tables == (SIGNALS,):
        found = _signals(account_id, today, after, size)
    else:
        wanted = [(number, _table(number, account_id, strands)) for number in tables]
        if DESK in tables:
            wanted += [(SIGNALS + 1 + at, _strand(strand, account_id)) for at, strand in enumerate(strands)]
        streams = [_moments(number, table, after, size) for number, table in wanted]
        found = list(heapq.merge(*streams, key=lambda moment: moment.place))[: size + 1]
    return Page(found[:size], _write(found[size - 1].place) if len(found) > size else "")


def _strand(strand: Strand, account_id: int) -> _Table:
    def told(row: Any, place: Place) -> Moment:
        said = strand.told(row)
        at = getattr(row, strand.column)
        return Moment(at, place, said.icon, said.who, said.what, said.details, said.stands_out)

    return _Table(strand.rows(account_id), strand.column, told)


def _table(number: int, account_id: int, strands: Sequence[Strand]) -> _Table:
    if number == EVENTS:
        rows = Event.objects.filter(account_id=account_id).select_related("event_type", "user")
        return _Table(rows, "occurred_at", _event)
    if number == STAGES:
        return _Table(StageEntry.objects.filter(account_id=account_id), "at", _stage)
    if number == REVENUE:
        return _Table(RevenueMovement.objects.filter(account_id=account_id), "at", _movement)
    entries = AuditEntry.objects.filter(account_id=account_id)
    doubled = [action for strand in strands for action in strand.instead_of]
    return _Table(entries.exclude(action__in=doubled) if doubled else entries, "at", _change)


def _moments(number: int, table: _Table, after: Place | None, size: int) -> Iterator[Moment]:
    """The moments of one table that come after a place, in order; one more than a page."""
    rows, column = table.rows, table.column
    if after is not None:
        at, its_table, its_id = days.from_micros(-after[0]), after[1], -after[2]
        rows = rows.filter(**{f"{column}__lt" if number < its_table else f"{column}__lte": at})
        if number == its_table:
            rows = rows.filter(Q(**{f"{column}__lt": at}) | Q(pk__lt=its_id))
    for row in rows.order_by(f"-{column}", "-pk")[: size + 1]:
        yield table.told(row, (-days.micros(getattr(row, column)), number, -row.pk))


def _signals(account_id: int, today: int, after: Place | None, size: int) -> list[Moment]:
    """What people did that means something, each day's last time of it; three queries."""
    types = {kind.pk: kind for kind in EventType.objects.exclude(meaning__in=PLAIN)}
    rows = UsageDay.objects.filter(account_id=account_id, day__gt=today - SIGNAL_DAYS, event_type_id__in=types)
    if after is not None:
        rows = rows.filter(last_us__lte=-after[0]).filter(Q(last_us__lt=-after[0]) | Q(pk__lt=-after[2]))
    found = list(rows.order_by("-last_us", "-pk")[: size + 1])
    people = ProductUser.objects.in_bulk({row.user_id for row in found})
    moments = []
    for row in found:
        kind, person = types[row.event_type_id], people.get(row.user_id)
        moments.append(
            Moment(
                at=days.from_micros(row.last_us),
                place=(-row.last_us, SIGNALS, -row.pk),
                icon=history.ICONS[EventType.Meaning(kind.meaning)],
                who=person.name or person.email or person.external_id if person else "Somebody",
                what=kind.name,
                details=f"{row.count:,} times that day" if row.count > 1 else "",
                stands_out=True,
            )
        )
    return moments


def _event(event: Event, place: Place) -> Moment:
    told = history.happened(event)
    return Moment(told.at, place, told.icon, told.who, told.event, told.details, told.meaning not in PLAIN)


def _stage(entry: StageEntry, place: Place) -> Moment:
    stage = Stage(entry.stage)
    return Moment(entry.at, place, history.STAGE_ICONS[stage], stage.label, "", "", True)


def _movement(movement: RevenueMovement, place: Place) -> Moment:
    _, icon = history.MOVEMENT_LOOKS[RevenueMovement.Kind(movement.kind)]
    sign = "+" if movement.amount > 0 else ""
    details = f"{sign}{movement.amount:,.0f} a month, {movement.get_motion_display().lower()}"
    return Moment(movement.at, place, icon, movement.get_kind_display(), "revenue", details, True)


def _change(entry: AuditEntry, place: Place) -> Moment:
    icon = _DESK_ICONS.get(entry.object_type, "user-round-cog")
    words = _DESK_WORDS.get(entry.action)
    if words is None:
        told = history.change(entry)
        return Moment(entry.at, place, icon, told.who, told.what.lower(), told.details, False)
    detail = entry.detail if isinstance(entry.detail, dict) else {}
    details = [entry.object_label] if entry.object_type in _NAMED else []
    details += [str(detail[name]).replace("_", " ") for name in _DESK_DETAILS if detail.get(name)]
    if not details:
        words = words.rstrip(":")
    return Moment(entry.at, place, icon, entry.actor_label, words, " · ".join(details), False)


def _write(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _read(cursor: str) -> Place:
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        micros, table, number = (int(part) for part in told)
        days.from_micros(-micros)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise BadCursor("This page link is damaged.") from error
    return (micros, table, number)
