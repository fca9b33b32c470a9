"""Take the last thing back that one did with a handoff, for a few minutes: as if it had not been, but for the audit.

What was done is read from the audit row of the deed itself, so an undo takes back that and nothing else. Once
anybody has done something more with the handoff, or plgops gave it to somebody else, it is Refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Max, Min, Q

from accounts import billing, due
from accounts.models import AuditEntry, StaffUser, Stage, StageEntry
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import retried
from scoring import handoffs, next_tasks, speed
from scoring.handoff_states import (
    OUTCOMES,
    NotAllowed,
    Refused,
    awake,
    give_back,
    let_go,
    locked,
    own_again,
    reference,
    take,
)
from scoring.models import Handoff

Status = Handoff.Status
WITHIN = dt.timedelta(minutes=10)
TAKEN_BACK = "handoff.undone"


@retried
def undo(*, entry_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take back what this audit row tells. Only who did it, as their last deed, within a few minutes.

    AuditEntry.DoesNotExist; Refused and NotAllowed say why not.
    """
    entry = AuditEntry.objects.get(pk=entry_id, object_type="handoff", object_id__isnull=False)
    if entry.actor_id != by.pk:
        raise NotAllowed("Only who did it can undo it.")
    if now - entry.at > WITHIN:
        raise Refused("That is too long ago to undo.")
    handoff = locked(entry.object_id or 0)
    since = AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk, pk__gt=entry.pk)
    if since.filter(Q(actor_id__isnull=False) | Q(action__in=_MOVES)).exists():
        raise Refused(f"Something else was done with {handoff.company.name} since.")
    verb = entry.action.removeprefix("handoff.")
    if verb == "claimed":
        return handoffs.unclaim(handoff_id=handoff.pk, by=by, now=now)
    if verb in OUTCOMES:
        return handoffs.reopen(handoff_id=handoff.pk, by=by, now=now)
    if verb not in _BACK:
        raise Refused("That cannot be undone.")
    if handoff.closed_at and not verb.startswith("task_"):
        raise Refused(f"{handoff.company.name} was closed meanwhile.")
    _BACK[verb](handoff, entry.detail, now)
    stands = handoff.closed_at is not None or handoff.status == Status.SNOOZED
    audit.record(
        action=TAKEN_BACK,
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"of": verb, "stands_still": stands},
    )
    speed.follow(handoff)
    return handoff


def entries_of(handoff_ids: Iterable[int], *, by: StaffUser, at: dt.datetime) -> list[int]:
    """The audit rows of what `by` did with each of these handoffs at that very moment: what an undo names."""
    rows = AuditEntry.objects.filter(object_type="handoff", object_id__in=list(handoff_ids), actor_id=by.pk, at=at)
    newest = rows.values("object_id").annotate(newest=Max("pk")).values_list("newest", flat=True)
    return sorted(newest)


def _sleep_as_before(handoff: Handoff, detail: dict[str, Any], now: dt.datetime) -> None:
    """Of a snooze: awake again, or until the moment that it had; of waking: asleep again."""
    told = detail.get("was") or {}
    until = _moment(told.get("until"))
    handoff.status = Status.SNOOZED if until and until > now else awake(handoff)
    handoff.snoozed_until = until if handoff.status == Status.SNOOZED else None
    handoff.wakes_on_evidence = bool(told.get("on_evidence", True))
    handoff.save(update_fields=["status", "snoozed_until", "wakes_on_evidence"])


def _owner_as_before(handoff: Handoff, detail: dict[str, Any], now: dt.datetime) -> None:
    told = detail.get("was") or {}
    before = StaffUser.objects.filter(pk=told.get("owner_id") or 0).first()
    if before is None:
        give_back(handoff, now=now, owners=told.get("had"))
        return
    if not access.may(before, "handoffs.work"):
        raise Refused(f"{before.label} does not work handoffs any more.")
    let_go(handoff)
    own_again(told.get("had") or {})
    take(handoff, owner=before, now=_moment(told.get("claimed_at")) or now, assigned=bool(told.get("assigned")))
    _sleep_as_before(
        handoff, {"was": {"until": told.get("snoozed_until"), "on_evidence": handoff.wakes_on_evidence}}, now
    )


def _without_activity(handoff: Handoff, detail: dict[str, Any], now: dt.datetime) -> None:
    """The touch or note goes; without any touch left nobody has been in contact."""
    activity = handoff.activities.filter(pk=detail["activity"]).first()
    if activity is None:
        return
    StageEntry.objects.filter(stage=Stage.CONTACTED, reference=reference(handoff, activity)).delete()
    activity.delete()
    first = handoff.activities.filter(kind__in=handoffs.TOUCHES).aggregate(first=Min("at"))["first"]
    handoff.first_touch_at = first
    if first is None:
        handoff.status = Status.CLAIMED if handoff.status == Status.WORKING else handoff.status
    handoff.save(update_fields=["first_touch_at", "status"])
    due.mark_changed([handoff.company_id], now=now)
    billing.set_motion(company_id=handoff.company_id, now=now)


# what plgops does by itself after which it is somebody else's
_MOVES = ("handoff.assigned", "handoff.orphaned", "handoff.speed_rerouted")
_BACK: dict[str, Callable[[Handoff, dict[str, Any], dt.datetime], None]] = {
    "snoozed": _sleep_as_before,
    "woken": _sleep_as_before,
    "assigned": _owner_as_before,
    "touched": _without_activity,
    "noted": _without_activity,
    "task_set": next_tasks.set_as_before,
    "task_done": next_tasks.open_again,
}


def _moment(text: object) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if isinstance(text, str) and text else None
