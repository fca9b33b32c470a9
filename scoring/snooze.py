"""A handoff that sleeps: until a moment its owner chose or, where they want that, until stronger evidence comes.

Stronger evidence is another reason that joins, one that holds again after it had lapsed, or a payment. That a
reason which stands goes on being true is none: an account that is worth snoozing is used every day.

Waking is a row's own due column (`snoozed_until`) and a sweep. It happens once, whoever comes first: a sweep, a
second one, the evidence or the owner. The state is read again under the company's lock.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib.business_time import BadCalendar, Calendar, next_open
from plgops.lib.db import in_one_transaction, retried
from scoring import speed
from scoring.alerts import tell
from scoring.crm import news
from scoring.handoff_states import Refused, awake, locked, locked_for_work, next_status
from scoring.models import AlertFact, Handoff

logger = logging.getLogger(__name__)

Status = Handoff.Status
LONGEST = dt.timedelta(days=366)
MORNING = dt.time(9, 0)
LATER = dt.timedelta(hours=3)
EVENING = 18  # no "later today" that would end after this hour
LIMIT = 200  # of a sweep


@dataclass(frozen=True, slots=True)
class Preset:
    """A moment that one key chooses."""

    code: str
    label: str
    until: dt.datetime


def presets(*, now: dt.datetime, zone: ZoneInfo, calendar: Calendar | None) -> list[Preset]:
    """Later today, tomorrow morning, Monday morning: in `zone`, at the calendar's next open moment. Pure.

    “Later today” is left out where it would be evening, or closed. Those that come to the same moment are one.
    """
    local = now.astimezone(zone)
    today = local.date()
    later = (local + LATER).replace(minute=0, second=0, microsecond=0)
    offered = []
    if later.date() == today and later.hour <= EVENING and _opens(later, calendar) == later:
        offered.append(Preset("later", "Later today", later.astimezone(dt.UTC)))
    for code, label, ahead in (("tomorrow", "Tomorrow", 1), ("monday", "Next week", 7 - today.weekday())):
        morning = dt.datetime.combine(today + dt.timedelta(days=ahead), MORNING, tzinfo=zone)
        offered.append(Preset(code, label, _opens(morning, calendar)))
    return [one for i, one in enumerate(offered) if one.until not in {other.until for other in offered[:i]}]


def _opens(at: dt.datetime, calendar: Calendar | None) -> dt.datetime:
    """The calendar's next open moment, UTC; the moment itself where the calendar has ended."""
    try:
        return next_open(at, calendar)
    except BadCalendar:
        return at.astimezone(dt.UTC)


def morning_of(day: dt.date, *, zone: ZoneInfo) -> dt.datetime:
    """When a handoff wakes that is snoozed until a day: that morning, UTC."""
    return dt.datetime.combine(day, MORNING, tzinfo=zone).astimezone(dt.UTC)


@retried
def snooze(
    *, handoff_id: int, until: dt.datetime, by: StaffUser, now: dt.datetime, or_evidence: bool = True
) -> Handoff:
    """Let it sleep until `until`, or until stronger evidence comes if that is wanted. Again: another moment.

    By its owner or a manager; Refused for a moment that is past or more than a year away.
    """
    if until <= now:
        raise Refused("Choose a moment that is still to come.")
    if until > now + LONGEST:
        raise Refused("A year is the longest; return it to self-serve instead.")
    handoff = locked_for_work(handoff_id, by)
    status, before = next_status(handoff, "snooze"), handoff.snoozed_until
    was = {"until": before.isoformat() if before else "", "on_evidence": handoff.wakes_on_evidence}
    handoff.status, handoff.snoozed_until, handoff.wakes_on_evidence = status, until, or_evidence
    handoff.woken_at = None
    handoff.save(update_fields=["status", "snoozed_until", "wakes_on_evidence", "woken_at"])
    audit.record(
        action="handoff.snoozed",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"until": until.isoformat(), "on_evidence": or_evidence, "was": was},
    )
    speed.follow(handoff)
    news.look_again([handoff.company_id], now=now)
    return handoff


@retried
def wake(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Wake it by hand: claimed or working, as it was."""
    handoff = locked_for_work(handoff_id, by)
    next_status(handoff, "wake")
    was = {"until": _iso(handoff.snoozed_until), "on_evidence": handoff.wakes_on_evidence}
    handoff.status, handoff.snoozed_until = awake(handoff), None
    handoff.save(update_fields=["status", "snoozed_until"])
    audit.record(
        action="handoff.woken", obj=handoff, by=by, now=now, account_id=handoff.company_id, detail={"was": was}
    )
    speed.follow(handoff)
    news.look_again([handoff.company_id], now=now)
    return handoff


def wake_for(handoff: Handoff, *, why: str, now: dt.datetime) -> bool:
    """Stronger evidence has come: wake it if it sleeps and its owner wanted that; whether it did. Needs the lock.

    `why`, for the audit and the alert: reason, held_again, paid.
    """
    if handoff.status != Status.SNOOZED or not handoff.wakes_on_evidence:
        return False
    _wake(handoff, why=why, now=now)
    return True


def wake_due(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Wake what is due, the longest due first, one transaction each; how many. Any number of sweeps at once."""
    due = Handoff.objects.filter(status=Status.SNOOZED, snoozed_until__lte=now)
    ids = list(due.order_by("snoozed_until", "pk").values_list("pk", flat=True)[:limit])
    return sum(_alone(pk, now=now) for pk in ids)


def _alone(handoff_id: int, *, now: dt.datetime) -> bool:
    """One in its own transaction; one that fails stops nobody else."""
    try:
        return in_one_transaction(lambda: _wake_one(handoff_id, now=now))
    except Exception:
        logger.exception("waking handoff %s", handoff_id)
        return False


def _wake_one(handoff_id: int, *, now: dt.datetime) -> bool:
    handoff = locked(handoff_id)
    if handoff.status != Status.SNOOZED or handoff.snoozed_until is None or handoff.snoozed_until > now:
        return False  # somebody else was here first
    _wake(handoff, why="date", now=now)
    return True


def _wake(handoff: Handoff, *, why: str, now: dt.datetime) -> None:
    until = _iso(handoff.snoozed_until)
    handoff.status, handoff.snoozed_until, handoff.woken_at = awake(handoff), None, now
    handoff.save(update_fields=["status", "snoozed_until", "woken_at"])
    detail = {"why": why, "until": until}
    audit.record(action="handoff.woken", obj=handoff, by=None, now=now, account_id=handoff.company_id, detail=detail)
    speed.follow(handoff)
    news.look_again([handoff.company_id], now=now)
    tell(
        AlertFact.Kind.HANDOFF_WOKEN,
        handoff=handoff,
        account_id=handoff.company_id,
        now=now,
        detail=detail,
        key=f"{handoff.pk}:{now.isoformat()}",
    )


def _iso(at: dt.datetime | None) -> str:
    return at.isoformat() if at else ""
