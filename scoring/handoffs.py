"""What people do with a handoff: claim it, work it, close it. What the machine does is in scoring/openings.py.

Who may is decided by `plgops.lib.access` and ownership (`_may`); what the state allows by TRANSITIONS.
Every verb locks the company's accounts (in order), then the handoff, reads its state again and writes the
audit row in the same transaction. That order is everybody's: accounts, handoff, definitions, AccountDue. Where
two still meet the wrong way round, the verb is done again.

A closed handoff is quiet for its outcome's cooldown, and after that comes back only for evidence newer than
its closing. Lost and won keep the account's owner: the next one goes straight to them. Disqualified and
returned let the account go; the audit row remembers who had it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.core.exceptions import PermissionDenied
from django.db.models import Q

from accounts import billing, due, lifecycle
from accounts.models import Account, StaffUser, Stage, StageEntry
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import retried
from scoring.models import Handoff, HandoffActivity

Status = Handoff.Status
Kind = HandoffActivity.Kind
TOUCHES = (Kind.EMAILED, Kind.CALLED, Kind.MET)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What closing a handoff this way means."""

    cooldown_days: int  # no new handoff for the company before that
    keeps_owner: bool
    reasons: dict[str, str] = field(default_factory=dict)
    needs_reason: bool = False


OUTCOMES: dict[str, Outcome] = {
    "won": Outcome(cooldown_days=90, keeps_owner=True),
    "lost": Outcome(
        cooldown_days=90,
        keeps_owner=True,
        needs_reason=True,
        reasons={
            "no_budget": "No budget",
            "timing": "Bad timing",
            "no_need": "No need",
            "competitor": "Chose a competitor",
            "no_response": "Never answered",
            "other": "Other",
        },
    ),
    "disqualified": Outcome(
        cooldown_days=90,
        keeps_owner=False,
        needs_reason=True,
        reasons={
            "bad_fit": "Not a fit",
            "student": "Student or hobby",
            "competitor": "A competitor looking around",
            "duplicate": "Duplicate of another account",
            "test_account": "Test account",
            "already_customer": "Already a customer",
            "other": "Other",
        },
    ),
    "returned": Outcome(
        cooldown_days=30,
        keeps_owner=False,
        reasons={
            "too_early": "Too early",
            "prefers_self_serve": "Prefers to help themselves",
            "too_small": "Too small for a person",
            "other": "Other",
        },
    ),
}
REASONS = {name: outcome.reasons for name, outcome in OUTCOMES.items()}

# (status, verb) -> status. What is not here is not possible. Machine verbs: assign_owner, withdraw.
TRANSITIONS: dict[tuple[str, str], str] = {
    (Status.NEW, "claim"): Status.CLAIMED,
    (Status.NEW, "assign"): Status.CLAIMED,
    (Status.NEW, "disqualified"): Status.DISQUALIFIED,
    (Status.NEW, "withdraw"): Status.WITHDRAWN,
    (Status.CLAIMED, "unclaim"): Status.NEW,
    (Status.CLAIMED, "assign"): Status.CLAIMED,
    (Status.CLAIMED, "touch"): Status.WORKING,
    (Status.CLAIMED, "note"): Status.CLAIMED,
    (Status.CLAIMED, "won"): Status.WON,
    (Status.CLAIMED, "lost"): Status.LOST,
    (Status.CLAIMED, "disqualified"): Status.DISQUALIFIED,
    (Status.CLAIMED, "returned"): Status.RETURNED,
    (Status.WORKING, "assign"): Status.WORKING,
    (Status.WORKING, "touch"): Status.WORKING,
    (Status.WORKING, "note"): Status.WORKING,
    (Status.WORKING, "won"): Status.WON,
    (Status.WORKING, "lost"): Status.LOST,
    (Status.WORKING, "disqualified"): Status.DISQUALIFIED,
    (Status.WORKING, "returned"): Status.RETURNED,
    (Status.SNOOZED, "assign"): Status.CLAIMED,
    (Status.SNOOZED, "touch"): Status.WORKING,
    (Status.SNOOZED, "note"): Status.SNOOZED,
    (Status.SNOOZED, "won"): Status.WON,
    (Status.SNOOZED, "lost"): Status.LOST,
    (Status.SNOOZED, "disqualified"): Status.DISQUALIFIED,
    (Status.SNOOZED, "returned"): Status.RETURNED,
    # as it was before it was closed: working when there was a touch, new when nobody had it
    (Status.WON, "reopen"): Status.CLAIMED,
    (Status.LOST, "reopen"): Status.CLAIMED,
    (Status.DISQUALIFIED, "reopen"): Status.CLAIMED,
    (Status.RETURNED, "reopen"): Status.CLAIMED,
}

# the columns that closing writes, and taking an outcome back clears
CLOSING = (
    "status",
    "closed_at",
    "closed_by",
    "outcome_reason",
    "outcome_note",
    "cooldown_until",
    "evidence_watermark",
)


class HandoffError(Exception):
    """Something a person asked for that cannot be done; `message` is for them."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AlreadyClaimed(HandoffError):
    """Somebody else was faster; `owner` is who has it now."""

    def __init__(self, handoff: Handoff) -> None:
        self.handoff, self.owner = handoff, handoff.owner
        name = handoff.owner.label if handoff.owner else "Somebody"
        super().__init__(f"{name} claimed {handoff.company.name} first.")


class NotOpen(HandoffError):
    """It has been closed meanwhile."""

    def __init__(self, handoff: Handoff) -> None:
        self.handoff = handoff
        super().__init__(f"{handoff.company.name} was closed meanwhile: {handoff.get_status_display().lower()}.")


class NotAllowed(HandoffError, PermissionDenied):
    """The user may not do this to this handoff."""


class Refused(HandoffError):
    """The state or the input does not allow it; `message` says why."""


@retried
def claim(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take a new handoff: exactly one of several gets it, the others AlreadyClaimed. Again by its owner: no-op.

    Sets the owner of the company and of its children that have none, and the stage claimed.
    """
    _require(by, "handoffs.claim")
    handoff = _locked(handoff_id)
    if handoff.owner_id == by.pk and handoff.closed_at is None:
        return handoff
    if handoff.owner_id and handoff.closed_at is None:
        raise AlreadyClaimed(handoff)
    _next(handoff, "claim")
    take(handoff, owner=by, now=now)
    audit.record(action="handoff.claimed", obj=handoff, by=by, now=now, account_id=handoff.company_id)
    return handoff


@retried
def unclaim(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take back one's own claim (a manager: anybody's) while nothing else was done: as if it had not been clicked,
    but for the audit."""
    handoff = _locked(handoff_id)
    if handoff.owner_id and not _may(handoff, by):
        raise NotAllowed("Only who claimed it or a sales manager can take the claim back.")
    _next(handoff, "unclaim")
    if handoff.assigned or handoff.activities.exists():
        raise Refused("It has been worked on; return it to self-serve instead.")
    _let_go(handoff)
    handoff.status, handoff.owner, handoff.claimed_at = Status.NEW, None, None
    handoff.save(update_fields=["status", "owner", "claimed_at"])
    StageEntry.objects.filter(stage=Stage.CLAIMED, reference=_reference(handoff)).delete()
    due.mark_changed([handoff.company_id], now=now)
    billing.set_motion(company_id=handoff.company_id, now=now)
    audit.record(action="handoff.unclaimed", obj=handoff, by=by, now=now, account_id=handoff.company_id)
    return handoff


@retried
def assign(*, handoff_id: int, owner: StaffUser, by: StaffUser, now: dt.datetime) -> Handoff:
    """Give a handoff to somebody, whoever has it now."""
    _require(by, "handoffs.manage")
    if not (owner.is_active and access.may(owner, "handoffs.work")):
        raise Refused(f"{owner.label} does not work handoffs.")
    handoff = _locked(handoff_id)
    _next(handoff, "assign")
    before = handoff.owner
    if before != owner:
        _let_go(handoff)
        take(handoff, owner=owner, now=now, assigned=True)
        audit.record(
            action="handoff.assigned",
            obj=handoff,
            by=by,
            now=now,
            account_id=handoff.company_id,
            detail={"to": owner.label, "from": before.label if before else ""},
        )
    return handoff


@retried
def touch(*, handoff_id: int, kind: str, by: StaffUser, now: dt.datetime, text: str = "") -> HandoffActivity:
    """Record that the owner e-mailed, called or met the account; the first one is the stage contacted."""
    if kind not in TOUCHES:
        raise Refused(f"A touch is one of {', '.join(TOUCHES)}.")
    handoff = _locked_for_work(handoff_id, by)
    handoff.status = _next(handoff, "touch")
    activity = HandoffActivity.objects.create(handoff=handoff, kind=kind, at=now, by=by, text=text.strip())
    if handoff.first_touch_at is None:
        handoff.first_touch_at = now
        _reach(handoff, Stage.CONTACTED, now=now)
    handoff.save(update_fields=["status", "first_touch_at"])
    audit.record(
        action="handoff.touched",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"kind": str(kind)},
    )
    return activity


@retried
def note(*, handoff_id: int, text: str, by: StaffUser, now: dt.datetime) -> HandoffActivity:
    """Write a note. An empty one is Refused."""
    if not text.strip():
        raise Refused("A note needs some text.")
    handoff = _locked_for_work(handoff_id, by)
    _next(handoff, "note")
    activity = HandoffActivity.objects.create(handoff=handoff, kind=Kind.NOTE, at=now, by=by, text=text.strip())
    audit.record(action="handoff.noted", obj=handoff, by=by, now=now, account_id=handoff.company_id)
    return activity


@retried
def close(
    *, handoff_id: int, outcome: str, by: StaffUser, now: dt.datetime, reason: str = "", note: str = ""
) -> Handoff:
    """Close with an outcome of OUTCOMES. `reason` is a code of its table; “other” needs a note.

    A new handoff can only be disqualified, by whoever may claim; the rest is its owner's, or a manager's.
    """
    if outcome not in OUTCOMES:
        raise Refused(f"An outcome is one of {', '.join(OUTCOMES)}.")
    meaning = OUTCOMES[outcome]
    if (reason or meaning.needs_reason) and reason not in meaning.reasons:
        raise Refused("Choose one of the reasons.")
    if reason == "other" and not note.strip():
        raise Refused("Say in the note what the other reason is.")
    handoff = _locked(handoff_id)
    status = _next(handoff, outcome)
    if not _may(handoff, by):
        raise NotAllowed("Only its owner or a sales manager can close it.")
    owner = handoff.owner
    if not meaning.keeps_owner:
        _let_go(handoff)
    end(handoff, status=status, now=now, by=by, reason=reason, note=note, cooldown_days=meaning.cooldown_days)
    if outcome == "returned":
        _reach(handoff, Stage.RETURNED, now=now)
    audit.record(
        action=f"handoff.{outcome}",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"reason": reason, "owner": owner.label if owner else "", "owner_id": owner.pk if owner else None},
    )
    return handoff


@retried
def reopen(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> Handoff:
    """Take back an outcome that was recorded by mistake: as if it had not been, but for the audit.

    By who recorded it, or a manager; Refused when the company has been handed over again meanwhile.
    """
    handoff = _locked(handoff_id)
    status = _next(handoff, "reopen")
    if not _may_reopen(handoff, by):
        raise NotAllowed("Only who recorded the outcome or a sales manager can take it back.")
    if Handoff.objects.filter(company_id=handoff.company_id, closed_at=None).exists():
        raise Refused(f"{handoff.company.name} has been handed over again meanwhile; work that one.")
    outcome = handoff.status
    if handoff.owner_id is None:
        status = Status.NEW
    elif handoff.first_touch_at:
        status = Status.WORKING
    handoff.status, handoff.closed_at, handoff.closed_by = status, None, None
    handoff.outcome_reason, handoff.outcome_note = "", ""
    handoff.cooldown_until, handoff.evidence_watermark = None, None
    handoff.save(update_fields=CLOSING)
    if handoff.owner_id:
        group = Q(pk=handoff.company_id) | Q(parent_id=handoff.company_id)
        Account.objects.filter(group, owner=None).update(owner=handoff.owner_id)
    StageEntry.objects.filter(stage=Stage.RETURNED, reference=_reference(handoff)).delete()
    due.mark_changed([handoff.company_id], now=now)
    billing.set_motion(company_id=handoff.company_id, now=now)
    audit.record(
        action="handoff.reopened",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"outcome": str(outcome)},
    )
    return handoff


def allowed(handoff: Handoff, by: StaffUser) -> frozenset[str]:
    """The verbs that this user can use on this handoff as it was read: which buttons to show."""
    if handoff.closed_at:
        back = (handoff.status, "reopen") in TRANSITIONS and _may_reopen(handoff, by)
        return frozenset({"reopen"} if back else ())
    verbs = {verb for status, verb in TRANSITIONS if status == handoff.status} - {"withdraw"}
    if not access.may(by, "handoffs.manage"):
        verbs.discard("assign")
    if not access.may(by, "handoffs.claim"):
        verbs.discard("claim")
    if not _may(handoff, by):
        verbs -= {"touch", "note", *OUTCOMES}
    if not _may(handoff, by) or handoff.assigned or handoff.first_touch_at:
        verbs.discard("unclaim")
    return frozenset(verbs)


# --- the parts that scoring/openings.py shares; all need the company's lock --------------------------------


def lock_company(*company_ids: int) -> list[Account]:
    """Lock the accounts of these companies, roots and children, in order of id; needs a transaction."""
    group = Q(pk__in=company_ids) | Q(parent_id__in=company_ids)
    # No select_related: after a wait PostgreSQL re-reads only the locked row and pairs it with old joined ones.
    # no_key: whoever adds a row about an account (a person's membership, a tier) holds AccountDue when its foreign
    # key is checked at the commit; a full lock would make that wait for us while we wait for AccountDue.
    rows = Account.objects.select_for_update(no_key=True)
    return list(rows.filter(group).order_by("pk"))


def take(handoff: Handoff, *, owner: StaffUser, now: dt.datetime, assigned: bool = False) -> None:
    """Make `owner` the owner of the handoff, the company and its ownerless children; the stage claimed."""
    if handoff.status == Status.NEW:
        handoff.status = Status.CLAIMED
    handoff.owner, handoff.claimed_at, handoff.assigned = owner, now, assigned
    handoff.save(update_fields=["status", "owner", "claimed_at", "assigned"])
    company = Q(pk=handoff.company_id)
    Account.objects.filter(company | Q(parent_id=handoff.company_id, owner=None)).update(owner=owner)
    _reach(handoff, Stage.CLAIMED, now=now)


def end(
    handoff: Handoff,
    *,
    status: str,
    now: dt.datetime,
    by: StaffUser | None,
    reason: str = "",
    note: str = "",
    cooldown_days: int = 0,
) -> None:
    """Close the row. Without a cooldown nothing keeps the company from coming back at once."""
    handoff.status, handoff.closed_at, handoff.closed_by = status, now, by
    handoff.outcome_reason, handoff.outcome_note = reason, note.strip()
    if cooldown_days:
        handoff.cooldown_until = now + dt.timedelta(days=cooldown_days)
        handoff.evidence_watermark = now
    handoff.save(update_fields=CLOSING)


def _locked(handoff_id: int) -> Handoff:
    """The handoff under its company's lock, read again; Handoff.DoesNotExist."""
    while True:
        company_id = Handoff.objects.values_list("company_id", flat=True).get(pk=handoff_id)
        lock_company(company_id)
        rows = Handoff.objects.select_for_update()
        handoff = rows.get(pk=handoff_id)
        if handoff.company_id == company_id:  # else a merge moved it between the two reads
            return handoff


def _locked_for_work(handoff_id: int, by: StaffUser) -> Handoff:
    handoff = _locked(handoff_id)
    if handoff.status == Status.NEW:
        raise Refused("Claim it first.")
    if not _may(handoff, by):
        raise NotAllowed("Only its owner or a sales manager can work on it.")
    return handoff


def _next(handoff: Handoff, verb: str) -> str:
    """The status that `verb` leads to; NotOpen or Refused where there is none."""
    if (handoff.status, verb) in TRANSITIONS:
        return TRANSITIONS[handoff.status, verb]
    if handoff.closed_at:
        raise NotOpen(handoff)
    raise Refused(f"Not possible while it is {handoff.get_status_display().lower()}.")


def _may(handoff: Handoff, by: StaffUser) -> bool:
    """Whether `by` may work on it: their own, a manager any, and whoever may claim a new one."""
    if handoff.owner_id is None:
        return access.may(by, "handoffs.claim")
    return access.may(by, "handoffs.manage") or (handoff.owner_id == by.pk and access.may(by, "handoffs.work"))


def _may_reopen(handoff: Handoff, by: StaffUser) -> bool:
    """Whether `by` may take the outcome back: their own while they still work handoffs, a manager any."""
    own = handoff.closed_by_id == by.pk and access.may(by, "handoffs.work")
    return own or access.may(by, "handoffs.manage")


def _require(by: StaffUser, capability: str) -> None:
    if not access.may(by, capability):
        raise NotAllowed(access.refusal(capability))


def _let_go(handoff: Handoff) -> None:
    """The handoff's owner no longer owns the company's accounts."""
    if handoff.owner_id:
        group = Q(pk=handoff.company_id) | Q(parent_id=handoff.company_id)
        Account.objects.filter(group, owner_id=handoff.owner_id).update(owner=None)


def _reach(handoff: Handoff, stage: str, *, now: dt.datetime) -> None:
    lifecycle.reach(
        account_id=handoff.company_id, stage=stage, at=now, now=now, cause="handoff", reference=_reference(handoff)
    )
    billing.set_motion(company_id=handoff.company_id, now=now)


def _reference(handoff: Handoff) -> str:
    return f"handoff:{handoff.pk}"
