"""What people do with a handoff while it is open: claim it, give it back, assign it, record touches and notes.

Closing it is in scoring/outcomes.py, putting it to sleep in scoring/snooze.py, taking things back in
scoring/undo.py, and what the machine does in scoring/openings.py. The states and the locks of all of them are in
scoring/handoff_states.py.
"""

from __future__ import annotations

import datetime as dt

from accounts import billing
from accounts.models import AuditEntry, StaffUser, Stage
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import retried
from scoring import speed
from scoring.alerts import tell
from scoring.handoff_states import (
    TRANSITIONS,
    AlreadyClaimed,
    HandoffError,
    NotAllowed,
    NotOpen,
    Refused,
    allowed,
    give_back,
    let_go,
    lock_company,
    locked,
    locked_for_work,
    may,
    next_status,
    owned_before,
    reach,
    require,
    take,
)
from scoring.models import AlertFact, Handoff, HandoffActivity
from scoring.outcomes import OUTCOMES, close, reopen

__all__ = [
    "OUTCOMES",
    "TOUCHES",
    "TRANSITIONS",
    "AlreadyClaimed",
    "HandoffError",
    "NotAllowed",
    "NotOpen",
    "Refused",
    "allowed",
    "assign",
    "claim",
    "close",
    "lock_company",
    "note",
    "reopen",
    "touch",
    "unclaim",
]

Status = Handoff.Status
Kind = HandoffActivity.Kind
TOUCHES = (Kind.EMAILED, Kind.CALLED, Kind.MET)


@retried
def claim(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take a new handoff: exactly one of several gets it, the others AlreadyClaimed. Again by its owner: no-op.

    Sets the owner of the company and of its children that have none, and the stage claimed.
    """
    require(by, "handoffs.claim")
    handoff = locked(handoff_id)
    if handoff.owner_id == by.pk and handoff.closed_at is None:
        return handoff
    if handoff.owner_id and handoff.closed_at is None:
        raise AlreadyClaimed(handoff)
    next_status(handoff, "claim")
    had = owned_before(handoff, by)
    take(handoff, owner=by, now=now)
    audit.record(
        action="handoff.claimed", obj=handoff, by=by, now=now, account_id=handoff.company_id, detail={"had": had}
    )
    speed.follow(handoff)
    return handoff


@retried
def unclaim(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take back one's own claim (a manager: anybody's) while nothing else was done: as if it had not been clicked,
    but for the audit."""
    handoff = locked(handoff_id)
    if handoff.owner_id and not may(handoff, by):
        raise NotAllowed("Only who claimed it or a sales manager can take the claim back.")
    next_status(handoff, "unclaim")
    if handoff.assigned or handoff.activities.exists() or handoff.tasks.exists():
        raise Refused("It has been worked on; return it to self-serve instead.")
    claims = AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk, action="handoff.claimed")
    last = claims.order_by("-pk").first()
    give_back(handoff, now=now, owners=last.detail.get("had") if last else None)
    audit.record(action="handoff.unclaimed", obj=handoff, by=by, now=now, account_id=handoff.company_id)
    speed.follow(handoff)
    return handoff


@retried
def assign(*, handoff_id: int, owner: StaffUser, by: StaffUser | None, now: dt.datetime) -> Handoff:
    """Give a handoff to somebody, whoever has it now. A snoozed one wakes up. `by` None: the CRM says so."""
    if by is not None:
        require(by, "handoffs.manage")
    if not (owner.is_active and access.may(owner, "handoffs.work")):
        raise Refused(f"{owner.label} does not work handoffs.")
    handoff = locked(handoff_id)
    next_status(handoff, "assign")
    before = handoff.owner
    if before != owner:
        was = {
            "owner_id": before.pk if before else None,
            "claimed_at": handoff.claimed_at.isoformat() if handoff.claimed_at else "",
            "assigned": handoff.assigned,
            "snoozed_until": handoff.snoozed_until.isoformat() if handoff.snoozed_until else "",
            "had": owned_before(handoff, owner),
        }
        let_go(handoff)
        take(handoff, owner=owner, now=now, assigned=True)
        audit.record(
            action="handoff.assigned",
            obj=handoff,
            by=by,
            now=now,
            account_id=handoff.company_id,
            detail={"to": owner.label, "from": before.label if before else "", "was": was},
        )
        speed.follow(handoff)
        tell(
            AlertFact.Kind.HANDOFF_ASSIGNED,
            handoff=handoff,
            account_id=handoff.company_id,
            now=now,
            detail={"to": owner.pk, "why": f"assigned by {by.label}" if by else "its owner in the CRM"},
            key=f"{handoff.pk}:{owner.pk}:{now.isoformat()}",
        )
    return handoff


@retried
def touch(*, handoff_id: int, kind: str, by: StaffUser, now: dt.datetime, text: str = "") -> HandoffActivity:
    """Record that the owner e-mailed, called or met the account: the stage contacted, a part in what it buys soon."""
    if kind not in TOUCHES:
        raise Refused(f"A touch is one of {', '.join(TOUCHES)}.")
    handoff = locked_for_work(handoff_id, by)
    handoff.status = next_status(handoff, "touch")
    activity = HandoffActivity.objects.create(handoff=handoff, kind=kind, at=now, by=by, text=text.strip())
    handoff.first_touch_at = handoff.first_touch_at or now
    reach(handoff, Stage.CONTACTED, now=now, by=activity)
    billing.set_motion(company_id=handoff.company_id, now=now)
    handoff.woken_at = None
    handoff.save(update_fields=["status", "first_touch_at", "woken_at"])
    audit.record(
        action="handoff.touched",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"kind": str(kind), "activity": activity.pk},
    )
    speed.follow(handoff)
    return activity


@retried
def note(*, handoff_id: int, text: str, by: StaffUser, now: dt.datetime) -> HandoffActivity:
    """Write a note. An empty one is Refused."""
    if not text.strip():
        raise Refused("A note needs some text.")
    handoff = locked_for_work(handoff_id, by)
    next_status(handoff, "note")
    activity = HandoffActivity.objects.create(handoff=handoff, kind=Kind.NOTE, at=now, by=by, text=text.strip())
    audit.record(
        action="handoff.noted",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"activity": activity.pk},
    )
    return activity
