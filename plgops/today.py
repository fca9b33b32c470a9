"""What the home page shows: the first steps while any is open, and today's work for the person's role.

Every figure is read through an index and counted to a cap (the team's load: over the open handoffs), in a fixed
number of queries per role.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Count, Exists, F, Min, Q, QuerySet

from accounts.models import Event, EventType, QuarantinedMessage, Source, StaffUser, Stage, StageEntry, Workspace
from accounts.workspace import day_of
from plgops.cards import Card, Figure, Line, Load, Step
from plgops.health import due_state
from plgops.lib import access, days
from scoring import queue, undecided
from scoring.models import CsTask, Definition, Handoff, NextTask, Qualification
from scoring.next_tasks import days_left
from support.models import Ticket

SHOWN = 5  # rows of a list; one more tells that there are others
PEOPLE = 8  # rows of the team's load
CAP = 99  # counted no further; the page says 99+


def first_steps(user: StaffUser) -> list[Step]:
    """The five first steps, done or not by what the database holds. One query."""
    done: dict[str, Any] = dict(
        Workspace.objects.annotate(
            source=Exists(Source.objects.filter(kind=Source.Kind.HTTP)),
            event=Exists(Event.objects.all()),
            described=Exists(EventType.objects.exclude(meaning="")),
            published=Exists(Definition.objects.filter(live_version__isnull=False)),
            claimed=Exists(Handoff.objects.filter(claimed_at__isnull=False, assigned=False)),
        )
        .values("source", "event", "described", "published", "claimed")
        .get()
    )

    def step(key: str, capability: str, title: str, text: str, href: str, action: str) -> Step:
        return Step(title, text, href, action, bool(done[key]), access.may(user, capability))

    return [
        step(
            "source",
            "sources.manage",
            "Create a source",
            "A source is a write key. Your product, or the tracking tool it already uses, sends events with it.",
            "/sources/",
            "Create a source",
        ),
        step(
            "event",
            "sources.manage",
            "See the first event",
            "Point a Segment, RudderStack or customer.io client here, or bring in history from CSV files.",
            "/imports/",
            "Import history",
        ),
        step(
            "described",
            "event_types.edit",
            "Say what your events mean",
            "Which event is an invite, which one is the core workflow, and which are no sign of activity at all.",
            "/event-types/",
            "Describe event types",
        ),
        step(
            "published",
            "definitions.edit",
            "Publish a definition",
            "A rule that a person can read, such as: invited 3 teammates within 14 days, and not paying yet.",
            "/definitions/new/",
            "Write a definition",
        ),
        step(
            "claimed",
            "handoffs.claim",
            "Claim the first account",
            "What qualifies arrives in the inbox with its reasons. One key claims it.",
            "/inbox/",
            "Open the inbox",
        ),
    ]


def this_week(*, now: dt.datetime) -> list[Figure]:
    """How many accounts reached each stage in the last seven days, today included. One query."""
    today = day_of(now)
    this = Q(day__gt=today - 7)
    shown = (Stage.SIGNED_UP, Stage.ACTIVATED, Stage.PQL, Stage.CLAIMED, Stage.PAID)
    rows = (
        StageEntry.objects.filter(
            stage__in=shown,
            day__gt=today - 14,
            day__lte=today,
            account__is_internal=False,
            account__merged_into__isnull=True,
        )
        .values("stage")
        .annotate(
            now=Count("account_id", filter=this, distinct=True), before=Count("account_id", filter=~this, distinct=True)
        )
        .values_list("stage", "now", "before")
    )
    found = {stage: (current, before) for stage, current, before in rows}
    return [Figure(stage.label, *found.get(stage.value, (0, 0))) for stage in shown]


def cards(user: StaffUser, *, now: dt.datetime) -> list[Card]:
    """What waits for this person: sales, support or the house, as their roles say."""
    found: list[Card] = []
    if access.may(user, "handoffs.claim"):
        found += [*_tasks(user, now=now), *_sales(user, now=now)]
    if access.may(user, "plays.tasks"):
        found += _cs_tasks(user, now=now)
    if access.may(user, "tickets.work"):
        found += _support(user, now=now)
    if access.may(user, "workspace.admin"):
        found.append(_house(now=now))
    return found


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: CAP + 1].count()


def _handoff_line(handoff: Handoff, *, note: str = "", tone: str = "", why: str = "") -> Line:
    return Line(handoff.company.name, f"/inbox/{handoff.pk}/", note, handoff.newest_evidence_at, tone, why)


def _sales(user: StaffUser, *, now: dt.datetime) -> list[Card]:
    unclaimed = Handoff.objects.filter(status=Handoff.Status.NEW)
    newest = list(unclaimed.select_related("company").order_by("-newest_evidence_at", "id")[:SHOWN])
    reasons = {pk: words for pk, (_, words, _) in queue.headlines_of([handoff.pk for handoff in newest]).items()}
    mine = list(
        Handoff.objects.filter(owner=user, closed_at__isnull=True)
        .exclude(status=Handoff.Status.SNOOZED)
        .select_related("company")
        .order_by("-newest_evidence_at", "id")[: CAP + 1]
    )
    # what needs the owner first: an outcome to confirm, a first touch that is due, any other, then the newest evidence
    mine.sort(key=lambda h: (h.paid_at is None, h.first_touch_at is not None, h.due_at is None, h.due_at or now))
    found = [
        Card(
            "Unclaimed",
            "inbox",
            "/inbox/",
            "Open the inbox",
            _counted(unclaimed),
            tuple(_handoff_line(handoff, why=reasons.get(handoff.pk, "")) for handoff in newest),
            "Nothing waits. New accounts appear here as they qualify.",
        ),
        Card(
            "Mine",
            "user-check",
            "/inbox/?tab=mine",
            "All of mine",
            len(mine),
            tuple(_mine_line(handoff, now=now) for handoff in mine[:SHOWN]),
            "You have no open account. Claim one in the inbox.",
            "accent",
        ),
    ]
    if access.may(user, "handoffs.manage"):  # who manages seldom has accounts of their own
        return [found[0], _team(now=now), *(found[1:] if mine else [])]
    return found


def _tasks(user: StaffUser, *, now: dt.datetime) -> list[Card]:
    """What the person planned for today or before; no card where there is nothing. One query."""
    due = NextTask.objects.filter(owner=user, done_at=None, due_at__lte=now).select_related("handoff__company")
    lines = [
        _due_line(
            f"{task.text} · {task.handoff.company.name}", f"/inbox/{task.handoff_id}/", days_left(task, now=now) < 0
        )
        for task in due.order_by("due_at", "pk")[: CAP + 1]
    ]
    return _due_card("Due", "calendar-check", "/inbox/?tab=due", "All that is due", lines)


def _cs_tasks(user: StaffUser, *, now: dt.datetime) -> list[Card]:
    """As `_tasks`, of customer success: the person's own and those that nobody has. One query."""
    today = days.date_of(day_of(now))
    due = CsTask.objects.filter(Q(owner=user) | Q(owner=None), status=CsTask.Status.OPEN, due_on__lte=today)
    lines = [
        _due_line(f"{task.company.name}: {task.title}", f"/cs-tasks/#task-{task.pk}", task.due_on < today)
        for task in due.select_related("company").order_by("due_on", "id")[: CAP + 1]
    ]
    return _due_card("CS tasks due", "list-checks", "/cs-tasks/", "All CS tasks", lines)


def _due_line(text: str, href: str, is_overdue: bool) -> Line:
    return Line(text, href, "Overdue", tone="bad") if is_overdue else Line(text, href, "Today", tone="warn")


def _due_card(title: str, icon: str, href: str, action: str, lines: list[Line]) -> list[Card]:
    return [Card(title, icon, href, action, len(lines), tuple(lines[:SHOWN]), "", "warn")] if lines else []


def _team(*, now: dt.datetime) -> Card:
    """Who has how much to do, and who has let an account wait for its first touch the longest. Two queries."""
    in_hand = Handoff.objects.filter(closed_at__isnull=True, owner__isnull=False)
    untouched = Q(first_touch_at__isnull=True)
    rows = (
        in_hand.values("owner_id")
        .annotate(
            to_contact=Count("pk", filter=untouched),
            contacted=Count("pk", filter=~untouched),
            since=Min("claimed_at", filter=untouched),
        )
        .order_by(F("since").asc(nulls_last=True), "owner_id")
        .values_list(
            *("owner_id", "owner__first_name", "owner__last_name", "owner__username", "owner__is_active"),
            *("to_contact", "contacted", "since"),
        )[:PEOPLE]
    )
    loads = tuple(
        Load(
            name=f"{first} {last}".strip() or username,
            href=f"/inbox/?tab=team&owner={owner_id}",
            is_active=is_active,
            to_contact=to_contact,
            contacted=contacted,
            waits=now - since if since else None,
        )
        for owner_id, first, last, username, is_active, to_contact, contacted, since in rows
    )
    empty = "Nobody works an account. What the team claims shows here."
    return Card("Team", "users", "/inbox/?tab=team", "All of the team's", _counted(in_hand), (), empty, loads=loads)


def _mine_line(handoff: Handoff, *, now: dt.datetime) -> Line:
    if handoff.paid_at:
        return _handoff_line(handoff, note="Paid: confirm the outcome", tone="ok")
    if handoff.rule_lapsed_at:
        return _handoff_line(handoff, note="No longer qualifies", tone="warn")
    if handoff.due_at and handoff.due_at < now:
        return _handoff_line(handoff, note="First touch is late", tone="bad")
    if not handoff.first_touch_at:
        return _handoff_line(handoff, note="Not contacted yet", tone="accent")
    return _handoff_line(handoff, note=handoff.get_status_display())


def _support(user: StaffUser, *, now: dt.datetime) -> list[Card]:
    unsolved = Ticket.objects.exclude(status=Ticket.Status.SOLVED)
    mine = list(unsolved.filter(assignee=user).order_by(F("due_at").asc(nulls_last=True), "id")[: CAP + 1])
    late = unsolved.filter(due_at__lte=now)
    first_late = late.order_by("due_at", "id")[:SHOWN]
    return [
        Card(
            "Past their time",
            "timer",
            "/tickets/",
            "All tickets",
            _counted(late),
            tuple(_ticket_line(ticket, now=now) for ticket in first_late),
            "Every promise is kept so far.",
            "bad",
        ),
        Card(
            "My tickets",
            "life-buoy",
            "/tickets/",
            "All tickets",
            len(mine),
            tuple(_ticket_line(ticket, now=now) for ticket in mine[:SHOWN]),
            "No ticket is assigned to you.",
        ),
    ]


def _ticket_line(ticket: Ticket, *, now: dt.datetime) -> Line:
    late = ticket.due_at is not None and ticket.due_at <= now
    return Line(
        str(ticket),
        f"/tickets/{ticket.pk}/",
        "Late" if late else ticket.get_status_display(),
        ticket.due_at,
        "bad" if late else "",
    )


def _house(*, now: dt.datetime) -> Card:
    """What an administrator should look at: nothing here is normal to have."""
    quarantined = _counted(QuarantinedMessage.objects.filter(replayed_at__isnull=True))
    waiting = _counted(Qualification.objects.filter(release=Qualification.Release.WAITING, closed_at__isnull=True))
    due = due_state(now=now)
    poison = sum(state["poison_accounts"] for state in due.values())
    behind = max((state["oldest_due_seconds"] for state in due.values()), default=0)

    def said(count: int, one: str, many: str) -> str:
        return f"{'99+' if count > CAP else count} {one if count == 1 else many}"

    lines = []
    if quarantined:
        lines.append(
            Line(
                said(quarantined, "message was not understood", "messages were not understood"),
                "/quarantine/",
                tone="warn",
            )
        )
    if waiting:
        lines.append(
            Line(
                said(waiting, "account waits for release", "accounts wait for release"), "/definitions/", tone="accent"
            )
        )
    if poison:
        lines.append(
            Line(
                said(poison, "account cannot be evaluated", "accounts cannot be evaluated"),
                "/admin/accounts/accountdue/?state=poison",
                tone="bad",
            )
        )
    if stuck := undecided.count():
        lines.append(
            Line(
                said(stuck, "play or promise could not be decided", "plays and promises could not be decided"),
                "/data-quality/",
                tone="bad",
            )
        )
    if behind > 60:
        lines.append(Line(f"Evaluation is {behind // 60} minutes behind", "/admin/accounts/accountdue/", tone="bad"))
    return Card(
        "Data and evaluation",
        "activity",
        "/admin/",
        "Operations desk",
        len(lines),
        tuple(lines),
        "Every message was understood and every account is up to date.",
    )
