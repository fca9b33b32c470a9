"""The states of a handoff: which verb leads where, who may, and under which locks it happens.

Who may is decided by `plgops.lib.access` and ownership (`may`); what the state allows by TRANSITIONS. Every
verb locks the company's accounts (in order), then the handoff, reads its state again and writes the audit row in
the same transaction. That order is everybody's: accounts, handoff, definitions, AccountDue. Where two still meet
the wrong way round, the verb is done again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.core.exceptions import PermissionDenied
from django.db.models import Q

from accounts import due, lifecycle
from accounts.models import Account, StaffUser, Stage, StageEntry
from plgops.lib import access
from scoring import plays
from scoring.crm import news
from scoring.models import Handoff, HandoffActivity

Status = Handoff.Status
OUTCOMES = (Status.WON, Status.LOST, Status.DISQUALIFIED, Status.RETURNED)  # what people close one with

_WORKED = {
    "won": Status.WON,
    "lost": Status.LOST,
    "disqualified": Status.DISQUALIFIED,
    "returned": Status.RETURNED,
}
# (status, verb) -> status. What is not here is not possible. Machine verbs: withdraw; wake, when it is due.
TRANSITIONS: dict[tuple[str, str], str] = {
    (Status.NEW, "claim"): Status.CLAIMED,
    (Status.NEW, "assign"): Status.CLAIMED,
    (Status.NEW, "disqualified"): Status.DISQUALIFIED,
    (Status.NEW, "withdraw"): Status.WITHDRAWN,
    (Status.CLAIMED, "unclaim"): Status.NEW,
    (Status.CLAIMED, "assign"): Status.CLAIMED,
    (Status.CLAIMED, "touch"): Status.WORKING,
    (Status.CLAIMED, "note"): Status.CLAIMED,
    (Status.CLAIMED, "snooze"): Status.SNOOZED,
    **{(Status.CLAIMED, verb): status for verb, status in _WORKED.items()},
    (Status.WORKING, "assign"): Status.WORKING,
    (Status.WORKING, "touch"): Status.WORKING,
    (Status.WORKING, "note"): Status.WORKING,
    (Status.WORKING, "snooze"): Status.SNOOZED,
    **{(Status.WORKING, verb): status for verb, status in _WORKED.items()},
    # a touch or a note leaves it asleep; whoever gets it assigned has it awake, and so has who wakes it:
    # working when there was a touch
    (Status.SNOOZED, "assign"): Status.CLAIMED,
    (Status.SNOOZED, "touch"): Status.SNOOZED,
    (Status.SNOOZED, "note"): Status.SNOOZED,
    (Status.SNOOZED, "snooze"): Status.SNOOZED,
    (Status.SNOOZED, "wake"): Status.CLAIMED,
    **{(Status.SNOOZED, verb): status for verb, status in _WORKED.items()},
    # as it was before it was closed: working when there was a touch, new when nobody had it
    **{(status, "reopen"): Status.CLAIMED for status in OUTCOMES},
}


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


# --- who may, and what the state allows ---------------------------------------------------------------------


def next_status(handoff: Handoff, verb: str) -> str:
    """The status that `verb` leads to; NotOpen or Refused where there is none."""
    if (handoff.status, verb) in TRANSITIONS:
        return TRANSITIONS[handoff.status, verb]
    if handoff.closed_at:
        raise NotOpen(handoff)
    raise Refused(f"Not possible while {handoff.company.name} is {handoff.get_status_display().lower()}.")


def may(handoff: Handoff, by: StaffUser) -> bool:
    """Whether `by` may work on it: their own, a manager any, and whoever may claim a new one."""
    if handoff.owner_id is None:
        return access.may(by, "handoffs.claim")
    return access.may(by, "handoffs.manage") or (handoff.owner_id == by.pk and access.may(by, "handoffs.work"))


def may_reopen(handoff: Handoff, by: StaffUser) -> bool:
    """Whether `by` may take the outcome back: their own while they still work handoffs, a manager any."""
    own = handoff.closed_by_id == by.pk and access.may(by, "handoffs.work")
    return own or access.may(by, "handoffs.manage")


def require(by: StaffUser, capability: str) -> None:
    """NotAllowed unless `by` may do `capability`."""
    if not access.may(by, capability):
        raise NotAllowed(access.refusal(capability))


def allowed(handoff: Handoff, by: StaffUser) -> frozenset[str]:
    """The verbs that this user can use on this handoff as it was read: which buttons to show."""
    if handoff.closed_at:
        back = (handoff.status, "reopen") in TRANSITIONS and may_reopen(handoff, by)
        return frozenset({"reopen"} if back else ())
    verbs = {verb for status, verb in TRANSITIONS if status == handoff.status} - {"withdraw"}
    if not access.may(by, "handoffs.manage"):
        verbs.discard("assign")
    if not access.may(by, "handoffs.claim"):
        verbs.discard("claim")
    if not may(handoff, by):
        verbs -= {"touch", "note", "snooze", "wake", *OUTCOMES}
    if not may(handoff, by) or handoff.assigned or handoff.first_touch_at:
        verbs.discard("unclaim")
    return frozenset(verbs)


# --- locks ---------------------------------------------------------------------------------------------------


def lock_company(*company_ids: int) -> list[Account]:
    """Lock the accounts of these companies, roots and children, in order of id; needs a transaction."""
    group = Q(pk__in=company_ids) | Q(parent_id__in=company_ids)
    # No select_related: after a wait PostgreSQL re-reads only the locked row and pairs it with old joined ones.
    # no_key: whoever adds a row about an account (a person's membership, a tier) holds AccountDue when its foreign
    # key is checked at the commit; a full lock would make that wait for us while we wait for AccountDue.
    rows = Account.objects.select_for_update(no_key=True)
    return list(rows.filter(group).order_by("pk"))


def locked(handoff_id: int) -> Handoff:
    """The handoff under its company's lock, read again; Handoff.DoesNotExist."""
    while True:
        company_id = Handoff.objects.values_list("company_id", flat=True).get(pk=handoff_id)
        lock_company(company_id)
        rows = Handoff.objects.select_for_update()
        handoff = rows.get(pk=handoff_id)
        if handoff.company_id == company_id:  # else a merge moved it between the two reads
            return handoff


def locked_for_work(handoff_id: int, by: StaffUser) -> Handoff:
    """`locked`, for its owner or a manager; Refused while nobody has it."""
    handoff = locked(handoff_id)
    if handoff.status == Status.NEW:
        raise Refused("Claim it first.")
    if not may(handoff, by):
        raise NotAllowed("Only its owner or a sales manager can work on it.")
    return handoff


# --- what several verbs write; all need the company's lock -----------------------------------------------------


def awake(handoff: Handoff) -> str:
    """The status of an open handoff that somebody has, were it not asleep: working when there was a touch."""
    return Status.WORKING if handoff.first_touch_at else Status.CLAIMED


def take(handoff: Handoff, *, owner: StaffUser, now: dt.datetime, assigned: bool = False) -> None:
    """Make `owner` the owner of the handoff, the company and its ownerless children; the stage claimed. It is awake."""
    handoff.status, handoff.snoozed_until = awake(handoff), None
    handoff.owner, handoff.claimed_at, handoff.assigned = owner, now, assigned
    handoff.save(update_fields=["status", "owner", "claimed_at", "assigned", "snoozed_until"])
    handoff.tasks.filter(done_at=None).update(owner=owner)  # what is next is theirs too
    company = Q(pk=handoff.company_id)
    Account.objects.filter(company | Q(parent_id=handoff.company_id, owner=None)).update(owner=owner)
    reach(handoff, Stage.CLAIMED, now=now)
    news.look_again([handoff.company_id], now=now)


def let_go(handoff: Handoff) -> None:
    """The handoff's owner no longer owns the company's accounts."""
    if handoff.owner_id:
        group = Q(pk=handoff.company_id) | Q(parent_id=handoff.company_id)
        Account.objects.filter(group, owner_id=handoff.owner_id).update(owner=None)


def owned_before(handoff: Handoff, owner: StaffUser) -> dict[str, int]:
    """Whose the company is, and which of its children are `owner`'s, before they take the handoff: for the audit row,
    from which `give_back` gives that back."""
    company = Q(pk=handoff.company_id, owner__isnull=False)
    rows = Account.objects.filter(company | Q(parent_id=handoff.company_id, owner=owner))
    return {str(pk): had for pk, had in rows.values_list("pk", "owner_id") if had is not None}


def own_again(owners: Mapping[str, int]) -> None:
    """Of these accounts, those that nobody has are theirs again (as `owned_before` tells them)."""
    for pk, owner_id in owners.items():
        Account.objects.filter(pk=int(pk), owner=None).update(owner=owner_id)


def give_back(handoff: Handoff, *, now: dt.datetime, owners: Mapping[str, int] | None = None) -> None:
    """Nobody has it any more: new again, as if it never had been claimed. Needs the company's lock.

    `owners`: whose the company's accounts were before, where that is known.
    """
    let_go(handoff)
    own_again(owners or {})
    handoff.status, handoff.owner, handoff.claimed_at = Status.NEW, None, None
    handoff.assigned, handoff.snoozed_until = False, None
    handoff.save(update_fields=["status", "owner", "claimed_at", "assigned", "snoozed_until"])
    StageEntry.objects.filter(stage=Stage.CLAIMED, reference=reference(handoff)).delete()
    due.mark_changed([handoff.company_id], now=now)
    plays.look_again_at(handoff.company_id, now=now)


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
    """Close the row. Without a cooldown nothing keeps the company from coming back at once.

    Until when it was snoozed stays on the row: an outcome that is taken back gives that back too.
    """
    handoff.status, handoff.closed_at, handoff.closed_by = status, now, by
    handoff.outcome_reason, handoff.outcome_note = reason, note.strip()
    if cooldown_days:
        handoff.cooldown_until = now + dt.timedelta(days=cooldown_days)
        handoff.evidence_watermark = now
    handoff.due_at = None
    handoff.save(update_fields=[*CLOSING, "due_at"])
    plays.look_again_at(handoff.company_id, now=now)
    news.look_again([handoff.company_id], now=now)


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


def reach(handoff: Handoff, stage: str, *, now: dt.datetime, by: HandoffActivity | None = None) -> None:
    """Write into the company's ledger that it reached `stage` by this handoff, or by this touch of it."""
    lifecycle.reach(
        account_id=handoff.company_id, stage=stage, at=now, now=now, cause="handoff", reference=reference(handoff, by)
    )


def reference(handoff: Handoff, by: HandoffActivity | None = None) -> str:
    """How the ledger names this handoff, or one touch of it."""
    return f"handoff:{handoff.pk}:{by.pk}" if by is not None else f"handoff:{handoff.pk}"
