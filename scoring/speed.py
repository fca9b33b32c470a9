"""Speed to lead: how soon a handoff must be claimed and touched, and what happens when it is not.

A handoff gets its clock when it opens; the clock keeps the policy as it was. Time counts in the policy's business
hours and stands still while the handoff sleeps. What is to be done next is the clock's indexed `next_at`; a sweep does
what is due, each step in one transaction under the company's lock with a row that can exist once: whoever dies before
the commit has done nothing, whoever comes after it finds it done.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q

from accounts.models import AuditEntry, StaffUser
from accounts.team import audit
from accounts.team.calendars import calendar_of
from plgops.lib import access
from plgops.lib.business_time import BadCalendar, Calendar, due_at, elapsed
from plgops.lib.db import in_one_transaction
from scoring import routing
from scoring.alerts import tell
from scoring.handoff_states import give_back, locked
from scoring.models import AlertFact, Assignment, Handoff, Play, SpeedClock, SpeedPolicy, SpeedStep

logger = logging.getLogger(__name__)

Metric, Kind, Fact = SpeedStep.Metric, SpeedStep.Kind, AlertFact.Kind
LIMIT = 200  # of a sweep
_FACTS = {Kind.WARNED: Fact.SPEED_WARNED, Kind.REROUTED: Fact.SPEED_REROUTED, Kind.ESCALATED: Fact.SPEED_ESCALATED}
COPIED = ("claim_minutes", "touch_minutes", "warn_percent", "reroute_after", "escalate_after")
Pause = tuple[dt.datetime, dt.datetime | None]


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to do when the clock says so."""

    metric: str
    kind: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """A handoff's clock as it is read: business seconds, none where it has not happened or was not promised."""

    claim_due_at: dt.datetime | None
    touch_due_at: dt.datetime | None
    to_claim: float | None  # from the opening to the claim; 0 where it went to its owner by itself
    to_touch: float | None
    waiting: float | None  # so far, while it waits for its claim or its first touch
    is_paused: bool


def start(handoff: Handoff, *, now: dt.datetime, play: Play | None = None) -> None:
    """Give a handoff that has just opened its clock, by the policy of the play that opened it or the default.

    Nothing where no policy is on. Needs the handoff's lock.
    """
    policies = SpeedPolicy.objects.filter(Q(play=None) | Q(play=play) if play else Q(play=None))
    policy = next(iter(sorted(policies, key=lambda p: p.play_id is None)), None)
    if policy is None or not policy.is_on or not (policy.claim_minutes or policy.touch_minutes):
        return
    copied = {name: getattr(policy, name) for name in COPIED}
    clock = SpeedClock(
        handoff=handoff,
        policy=policy,
        calendar=policy.calendar,
        started_at=handoff.opened_at,
        **copied,
    )
    _set(clock, handoff, pauses=(), done=frozenset())
    clock.save(force_insert=True)


def follow(handoff: Handoff) -> None:
    """Something happened to the handoff that may stop its clock or set it going: after the audit row that tells it.

    Needs the handoff's lock.
    """
    clock = SpeedClock.objects.select_for_update().select_related(None).filter(handoff=handoff).first()
    if clock is not None:
        _again(clock, handoff)


def look_again(calendar_id: int, *, now: dt.datetime) -> None:
    """The calendar was changed: the next sweep reckons again what is promised in it and still to come."""
    clocks = SpeedClock.objects.filter(calendar=calendar_id, handoff__closed_at=None, handoff__first_touch_at=None)
    clocks.update(next_at=now)


def sweep(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Do what is due, the longest due first; how many steps. Any number of sweeps at once."""
    waiting = SpeedClock.objects.filter(next_at__lte=now).order_by("next_at", "pk")
    ids = list(waiting.values_list("handoff_id", flat=True)[:limit])
    return sum(_alone(pk, now=now) for pk in ids)


def retry_due(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Try the ladder again for handoffs in the queue for which working hours have begun; how many went to somebody."""
    waiting = Assignment.objects.filter(retry_at__lte=now).order_by("retry_at", "pk")
    ids = list(waiting.values_list("handoff_id", flat=True)[:limit])
    return sum(_retry_alone(pk, now=now) for pk in ids)


def read(
    handoff: Handoff,
    clock: SpeedClock | None,
    pauses: Sequence[Pause],
    *,
    now: dt.datetime,
    usual: Calendar | None = None,
) -> Reading:
    """What the clock of a handoff says; times are measured without a clock too, in the `usual` hours."""
    calendar = calendar_of(clock.calendar) if clock else usual
    plan = {} if clock is None else _targets(clock, handoff, calendar, pauses)
    claimed = elapsed(handoff.opened_at, handoff.claimed_at, calendar, pauses) if handoff.claimed_at else None
    touched = elapsed(handoff.opened_at, handoff.first_touch_at, calendar, pauses) if handoff.first_touch_at else None
    running = handoff.closed_at is None and handoff.first_touch_at is None
    since = handoff.claimed_at or handoff.opened_at
    return Reading(
        claim_due_at=plan.get(Metric.CLAIM),
        touch_due_at=plan.get(Metric.TOUCH),
        to_claim=claimed,
        to_touch=touched,
        waiting=elapsed(since, now, calendar, pauses) if running else None,
        is_paused=handoff.status == Handoff.Status.SNOOZED,
    )


def is_late(handoff: Handoff, reading: Reading, *, now: dt.datetime) -> bool:
    """Whether the first touch came after its target, or has not come although it is past."""
    due = reading.touch_due_at
    return due is not None and (handoff.first_touch_at or handoff.closed_at or now) > due


def pauses_of(handoff_ids: Sequence[int]) -> dict[int, list[Pause]]:
    """When each of these handoffs slept or was closed, from the audit trail; an open end: it still is. One query."""
    found: dict[int, list[Pause]] = {pk: [] for pk in handoff_ids}
    rows = AuditEntry.objects.filter(
        object_type="handoff", object_id__in=handoff_ids, action__in=(*_STANDS_STILL, *_GOES_ON, *_AS_IT_SAYS)
    )
    for pk, action, at, detail in rows.order_by("at", "id").values_list("object_id", "action", "at", "detail"):
        own = found[pk or 0]
        stood = bool(own) and own[-1][1] is None
        stands = action in _STANDS_STILL
        if action in _AS_IT_SAYS:  # rows of earlier releases do not say it
            of = detail.get("of")
            stands = detail.get("stands_still", of == "woken" or (stood and bool(of) and of != "snoozed"))
        if stands and not stood:
            own.append((at, None))
        elif stood and not stands:
            own[-1] = (own[-1][0], at)
    return found


_STANDS_STILL = (
    "handoff.snoozed",
    *(f"handoff.{end}" for end in ("won", "lost", "disqualified", "returned", "withdrawn")),
)
_GOES_ON = ("handoff.woken", "handoff.assigned", "handoff.orphaned")
_AS_IT_SAYS = ("handoff.reopened", "handoff.undone")


def _alone(handoff_id: int, *, now: dt.datetime) -> bool:
    """One clock in its own transaction; one that fails is put off for an hour and stops nobody else."""
    try:
        return in_one_transaction(lambda: _step(handoff_id, now=now))
    except Exception as error:
        logger.exception("speed of handoff %s", handoff_id)
        later = now + dt.timedelta(hours=1)
        SpeedClock.objects.filter(handoff=handoff_id).update(next_at=later, error=repr(error)[:300])
        return False


def _retry_alone(handoff_id: int, *, now: dt.datetime) -> bool:
    try:
        return in_one_transaction(lambda: _retry(handoff_id, now=now))
    except Exception:
        logger.exception("routing handoff %s again", handoff_id)
        later = now + dt.timedelta(hours=1)
        Assignment.objects.filter(handoff=handoff_id, retry_at__isnull=False).update(retry_at=later)
        return False


# --- one clock ---------------------------------------------------------------------------------------------------


def _step(handoff_id: int, *, now: dt.datetime) -> bool:
    """Do the one step of this handoff that is due; False where somebody else has, or nothing is to be done any more."""
    handoff = locked(handoff_id)
    clock = SpeedClock.objects.select_for_update().get(handoff=handoff)
    if clock.next_at is None or clock.next_at > now:
        return False
    pauses = pauses_of([handoff.pk])[handoff.pk]
    done = frozenset(handoff.speed_steps.values_list("metric", "kind"))
    step = _next(clock, handoff, pauses, done)
    if step is None or step.at > now:  # it was claimed, touched, closed or put to sleep meanwhile
        _again(clock, handoff)
        return False
    detail = _do(step, handoff, now=now)
    SpeedStep.objects.create(handoff=handoff, metric=step.metric, kind=step.kind, due_at=step.at, at=now, detail=detail)
    tell(
        _FACTS[Kind(step.kind)],
        handoff=handoff,
        account_id=handoff.company_id,
        now=now,
        detail={"metric": str(step.metric), **detail},
        key=f"{handoff.pk}:{step.metric}",
    )
    audit.record(
        action=f"handoff.speed_{step.kind}",
        obj=handoff,
        by=None,
        now=now,
        account_id=handoff.company_id,
        detail={"metric": str(step.metric), **detail},
    )
    _again(clock, handoff)
    return True


def _do(step: Due, handoff: Handoff, *, now: dt.datetime) -> dict[str, object]:
    """Carry out a step; its detail for the row, the audit and the alert."""
    owner = handoff.owner
    said: dict[str, object] = {"owner": owner.pk if owner else None}
    if step.kind == Kind.ESCALATED:
        return said | {"to": _managers()}
    if step.kind == Kind.WARNED:
        return said | {"to": [owner.pk] if owner else []}
    had = _had(handoff)
    if owner:
        give_back(handoff, now=now)
    given = routing.route(handoff, handoff.company, now=now, cause=Assignment.Cause.REROUTED, without=had)
    return said | {"to": [given.person_id] if given.person_id else [], "from": owner.label if owner else ""}


def _had(handoff: Handoff) -> set[int]:
    """Who has it, was given it before, or let it wait too long."""
    given = handoff.assignments.filter(person__isnull=False).values_list("person", flat=True)
    waited = handoff.speed_steps.filter(kind=Kind.REROUTED).values_list("detail__owner", flat=True)
    return {pk for pk in (*given, *waited, handoff.owner_id) if pk is not None}


def _managers() -> list[int]:
    """Who is told: the sales managers; in a team without one, the admins."""
    staff = StaffUser.objects.filter(is_active=True).order_by("pk")
    for role in sorted(access.CAPABILITIES["handoffs.manage"], key=lambda role: role == access.ADMIN):
        if found := list(staff.filter(groups__name=role).values_list("pk", flat=True)):
            return found
    return []


def _retry(handoff_id: int, *, now: dt.datetime) -> bool:
    handoff = locked(handoff_id)
    last = Assignment.objects.filter(handoff=handoff).order_by("-pk").first()
    if last is None or last.retry_at is None or last.retry_at > now:
        return False
    if handoff.status != Handoff.Status.NEW:
        Assignment.objects.filter(pk=last.pk).update(retry_at=None)
        return False
    given = routing.route(handoff, handoff.company, now=now, cause=Assignment.Cause.RETRIED, without=_had(handoff))
    if given.person_id is not None:
        follow(handoff)
    return given.person_id is not None


def _again(clock: SpeedClock, handoff: Handoff) -> None:
    """Write when the next step of this clock is due, and on the handoff by when it must be claimed or touched."""
    done = frozenset(handoff.speed_steps.values_list("metric", "kind"))
    _set(clock, handoff, pauses=pauses_of([handoff.pk])[handoff.pk], done=done)
    clock.save(update_fields=["next_at", "error"])


def _set(clock: SpeedClock, handoff: Handoff, *, pauses: Sequence[Pause], done: frozenset[tuple[str, str]]) -> None:
    step = _next(clock, handoff, pauses, done)
    clock.next_at, clock.error = step.at if step else None, ""
    asked = None if handoff.status == Handoff.Status.SNOOZED else _asked(handoff)
    due = _targets(clock, handoff, calendar_of(clock.calendar), pauses).get(asked) if asked else None
    if handoff.due_at != due:
        handoff.due_at = due
        handoff.save(update_fields=["due_at"])


def _asked(handoff: Handoff) -> str | None:
    """Which target a handoff is under: nobody has it, or nobody has been in touch; None: neither any more."""
    if handoff.closed_at or handoff.first_touch_at:
        return None
    return Metric.CLAIM if handoff.owner_id is None else Metric.TOUCH


def _next(clock: SpeedClock, handoff: Handoff, pauses: Sequence[Pause], done: frozenset[tuple[str, str]]) -> Due | None:
    """The earliest step that has not been done; None while it sleeps, or when there is nothing left to do."""
    asked = _asked(handoff)
    if asked is None or handoff.status == Handoff.Status.SNOOZED:
        return None
    if (Metric.TOUCH, Kind.REROUTED) in done:  # it was taken from somebody: that the queue is slow is the manager's
        done = done | {(Metric.CLAIM, Kind.WARNED), (Metric.CLAIM, Kind.REROUTED)}
    steps = _steps(clock, handoff, calendar_of(clock.calendar), pauses)
    open_ones = [step for step in steps if step.metric == asked and (step.metric, step.kind) not in done]
    return min(open_ones, key=lambda step: step.at, default=None)


def _steps(clock: SpeedClock, handoff: Handoff, calendar: Calendar | None, pauses: Sequence[Pause]) -> Iterator[Due]:
    for metric, begin, minutes in _metrics(clock, handoff):
        marks = (
            (Kind.WARNED, clock.warn_percent and minutes * clock.warn_percent / 100),
            (Kind.REROUTED, None if clock.reroute_after is None else minutes + clock.reroute_after),
            (Kind.ESCALATED, None if clock.escalate_after is None else minutes + clock.escalate_after),
        )
        for kind, mark in marks:
            if mark is not None and (at := _due(begin, mark, calendar, pauses)) is not None:
                yield Due(metric, kind, at)


def _targets(
    clock: SpeedClock, handoff: Handoff, calendar: Calendar | None, pauses: Sequence[Pause]
) -> dict[str, dt.datetime | None]:
    return {metric: _due(begin, minutes, calendar, pauses) for metric, begin, minutes in _metrics(clock, handoff)}


def _due(begin: dt.datetime, minutes: float, calendar: Calendar | None, pauses: Sequence[Pause]) -> dt.datetime | None:
    """When the time is used up; None: never, also where the hours end before (only single dates were ever open)."""
    try:
        return due_at(begin, minutes, calendar, pauses)
    except BadCalendar:
        return None


def _metrics(clock: SpeedClock, handoff: Handoff) -> Iterator[tuple[str, dt.datetime, int]]:
    """Each target with where it begins: the claim at the opening, the first touch when somebody has it."""
    if clock.claim_minutes:
        yield Metric.CLAIM, clock.started_at, clock.claim_minutes
    if clock.touch_minutes and handoff.claimed_at:
        yield Metric.TOUCH, handoff.claimed_at, clock.touch_minutes
