"""How a handoff ends by a person: won, lost, disqualified, returned to self-serve; and taking that back.

A closed handoff is quiet for its outcome's cooldown, and after that comes back only for evidence newer than
its closing. Lost and won keep the account's owner: the next one goes straight to them. Disqualified and
returned let the account go; the next handoff remembers who had it (`last_owner`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q

from accounts import due
from accounts.models import Account, StaffUser, Stage, StageEntry
from accounts.team import audit
from plgops.lib.db import retried
from scoring import plays, routing, speed
from scoring.alerts import tell
from scoring.handoff_states import (
    CLOSING,
    NotAllowed,
    Refused,
    end,
    let_go,
    locked,
    may,
    may_reopen,
    next_status,
    reach,
    reference,
)
from scoring.models import AlertFact, Handoff, OutcomeReason

Status = Handoff.Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What closing a handoff this way means."""

    cooldown_days: int  # no new handoff for the company before that
    keeps_owner: bool
    needs_reason: bool = False


# the reasons of each are kept by admins: scoring/outcome_reasons.py
OUTCOMES: dict[str, Outcome] = {
    "won": Outcome(cooldown_days=90, keeps_owner=True),
    "lost": Outcome(cooldown_days=90, keeps_owner=True, needs_reason=True),
    "disqualified": Outcome(cooldown_days=90, keeps_owner=False, needs_reason=True),
    "returned": Outcome(cooldown_days=30, keeps_owner=False),
}


@retried
def close(
    *, handoff_id: int, outcome: str, by: StaffUser, now: dt.datetime, reason: str = "", note: str = ""
) -> Handoff:
    """Close with an outcome of OUTCOMES. `reason` is the code of one that is offered; some need a note.

    A new handoff can only be disqualified, by whoever may claim; the rest is its owner's, or a manager's.
    """
    if outcome not in OUTCOMES:
        raise Refused(f"An outcome is one of {', '.join(OUTCOMES)}.")
    meaning = OUTCOMES[outcome]
    chosen = OutcomeReason.objects.filter(outcome=outcome, code=reason, archived_at=None).first() if reason else None
    if chosen is None and (reason or meaning.needs_reason):
        raise Refused("Choose one of the reasons.")
    if chosen is not None and chosen.needs_note and not note.strip():
        raise Refused(f"Say in the note what is meant by “{chosen.label}”.")
    handoff = locked(handoff_id)
    status = next_status(handoff, outcome)
    if not may(handoff, by):
        raise NotAllowed("Only its owner or a sales manager can close it.")
    owner = handoff.owner
    if not meaning.keeps_owner:
        let_go(handoff)
    end(handoff, status=status, now=now, by=by, reason=reason, note=note, cooldown_days=meaning.cooldown_days)
    if outcome == "returned":
        reach(handoff, Stage.RETURNED, now=now)
        plays.resume(handoff, now=now)
    if chosen is not None and chosen.is_bad_lead:
        routing.credit_back(handoff, now)
    audit.record(
        action=f"handoff.{outcome}",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"reason": reason, "owner": owner.label if owner else "", "owner_id": owner.pk if owner else None},
    )
    if status == Status.RETURNED:
        tell(
            AlertFact.Kind.HANDOFF_RETURNED,
            handoff=handoff,
            account_id=handoff.company_id,
            now=now,
            detail={"reason": reason},
            key=f"{handoff.pk}:{now.isoformat()}",
        )
    return handoff


@retried
def reopen(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take back an outcome that was recorded by mistake: as if it had not been, but for the audit.

    By who recorded it, or a manager; Refused when the company has been handed over again meanwhile. One that was
    asleep sleeps on, if its time has not come.
    """
    handoff = locked(handoff_id)
    next_status(handoff, "reopen")
    if not may_reopen(handoff, by):
        raise NotAllowed("Only who recorded the outcome or a sales manager can take it back.")
    if Handoff.objects.filter(company_id=handoff.company_id, closed_at=None).exists():
        raise Refused(f"{handoff.company.name} has been handed over again meanwhile; work that one.")
    outcome = handoff.status
    handoff.status = _before(handoff, now=now)
    handoff.snoozed_until = handoff.snoozed_until if handoff.status == Status.SNOOZED else None
    handoff.closed_at, handoff.closed_by = None, None
    handoff.outcome_reason, handoff.outcome_note = "", ""
    handoff.cooldown_until, handoff.evidence_watermark = None, None
    handoff.save(update_fields=[*CLOSING, "snoozed_until"])
    if handoff.owner_id:
        group = Q(pk=handoff.company_id) | Q(parent_id=handoff.company_id)
        Account.objects.filter(group, owner=None).update(owner=handoff.owner_id)
    StageEntry.objects.filter(stage=Stage.RETURNED, reference=reference(handoff)).delete()
    routing.credit_again(handoff)
    due.mark_changed([handoff.company_id], now=now)
    audit.record(
        action="handoff.reopened",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"outcome": str(outcome), "stands_still": handoff.status == Status.SNOOZED},
    )
    speed.follow(handoff)
    return handoff


def _before(handoff: Handoff, *, now: dt.datetime) -> str:
    """The status that a closed handoff had."""
    if handoff.owner_id is None:
        return Status.NEW
    if handoff.snoozed_until and handoff.snoozed_until > now:
        return Status.SNOOZED
    return Status.WORKING if handoff.first_touch_at else Status.CLAIMED
