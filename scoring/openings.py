"""What evaluation does to handoffs: open or join one, mark, withdraw, move after a merge; and an admin's release.

All but `release` need a transaction and the company's lock (`handoff_states.lock_company`). The database's
constraint is the judge of "one open handoff per company"; whoever comes second joins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q

from accounts import due
from accounts.models import Account, StaffUser, Stage, StageEntry
from accounts.team import audit
from plgops.lib import access
from scoring import plays, routing, snooze, speed
from scoring.alerts import tell
from scoring.handoff_states import NotAllowed, awake, end, take
from scoring.models import AlertFact, Definition, Handoff, HandoffActivity, Play, Qualification

Status = Handoff.Status
Release = Qualification.Release
Kind = AlertFact.Kind
CONVERTED_COOLDOWN_DAYS = 90  # the company bought by itself: quiet like a won one
RELEASE_CHUNK = 500
PAID_STAGES = (Stage.PAID, Stage.EXPANDED)


def open_of(company_id: int) -> Handoff | None:
    """The company's open handoff, locked."""
    rows = Handoff.objects.select_for_update()
    return rows.filter(company_id=company_id, closed_at=None).first()


def open_or_join(
    *,
    qualification: Qualification,
    company: Account,
    newest_at: dt.datetime,
    now: dt.datetime,
    play: Play | None = None,
) -> Handoff | None:
    """Hand the company over for this reason by `play`, or add the reason to the handoff that is open.

    None: a closed one still cools down, or nothing has happened since it was closed (`newest_at`, the newest
    event behind the reason). An owner of the company who works handoffs (and still works here) receives it directly.
    """
    handoff = open_of(company.pk)
    if handoff is None:
        last = last_closed([company.pk]).get(company.pk)
        if _is_quiet(last, newest_at=newest_at, now=now):
            return None
        had = last if last is not None and last.owner_id else None
        try:
            with transaction.atomic():
                handoff = Handoff.objects.create(
                    company=company,
                    opened_at=now,
                    newest_evidence_at=newest_at,
                    last_owner_id=had.owner_id if had else None,
                    last_owner_until=had.closed_at if had else None,
                )
        except IntegrityError:
            handoff = open_of(company.pk)  # the constraint judged: somebody else opened it just now
            if handoff is None:
                raise
        else:
            _attach(qualification, handoff)
            audit.record(
                action="handoff.opened",
                obj=handoff,
                by=None,
                now=now,
                account_id=company.pk,
                detail={"qualification": qualification.pk},
            )
            told = {"qualification": qualification.pk}
            tell(Kind.HANDOFF_OPENED, handoff=handoff, account_id=company.pk, now=now, detail=told, key=f"{handoff.pk}")
            speed.start(handoff, now=now, play=play)
            if routing.route(handoff, company, now=now).person_id is not None:
                speed.follow(handoff)
            return handoff
    _attach(qualification, handoff)
    handoff.newest_evidence_at = max(handoff.newest_evidence_at, newest_at)
    handoff.save(update_fields=["newest_evidence_at"])
    audit.record(
        action="handoff.joined",
        obj=handoff,
        by=None,
        now=now,
        account_id=company.pk,
        detail={"qualification": qualification.pk},
    )
    tell(
        Kind.HANDOFF_JOINED,
        handoff=handoff,
        account_id=company.pk,
        now=now,
        detail={"qualification": qualification.pk},
        key=f"{handoff.pk}:{qualification.pk}",
    )
    snooze.wake_for(handoff, why="reason", now=now)
    return handoff


def review(*, company_id: int, now: dt.datetime) -> None:
    """Bring the company's open handoff in line with its reasons and payments.

    New without an open reason: withdrawn, unless somebody worked it before; with one, it goes to the company's owner,
    if it has one by now who works handoffs. Claimed: never taken away; marked while no reason holds, and once the
    company has paid since it was opened, so that its owner is asked for the outcome.
    """
    handoff = open_of(company_id)
    if handoff is None:
        return
    reasons = list(Qualification.objects.filter(handoff=handoff).order_by("closed_at", "pk"))
    holds = any(reason.closed_at is None for reason in reasons)
    paid_at = _paid_at(handoff)
    if handoff.status == Status.NEW:
        if not holds and handoff.first_touch_at is None:
            cause = "converted" if paid_at else reasons[-1].close_cause if reasons else "lapsed"
            days = CONVERTED_COOLDOWN_DAYS if paid_at else 0
            end(handoff, status=Status.WITHDRAWN, now=now, by=None, reason=cause, cooldown_days=days)
            _note_change(handoff, "withdrawn", now=now, cause=cause)
            return
        if routing.give_to_owner(handoff, handoff.company, now=now) is not None:
            speed.follow(handoff)
        elif handoff.first_touch_at is None:
            return
    if paid_at and handoff.paid_at is None:
        handoff.paid_at = paid_at
        _note_change(handoff, "paid", now=now, at=paid_at.isoformat())
        snooze.wake_for(handoff, why="paid", now=now)
    if holds and handoff.rule_lapsed_at:
        handoff.rule_lapsed_at = None
        _note_change(handoff, "held_again", now=now)
        snooze.wake_for(handoff, why="held_again", now=now)
    elif not holds and handoff.rule_lapsed_at is None:
        handoff.rule_lapsed_at = now
        _note_change(handoff, "lapsed", now=now)
    handoff.save(update_fields=["paid_at", "rule_lapsed_at"])


def rehome(*, old_company_id: int, company: Account, now: dt.datetime) -> None:
    """The account is no company of its own any more (merged, or given a parent): its open handoff moves.

    Where the new company has one already, reasons, activities and what is next join that one, which also takes the
    owner if it had none and they still work handoffs; the old one closes as withdrawn. Needs both companies' locks.
    """
    handoff = open_of(old_company_id)
    if handoff is None:
        return
    other = open_of(company.pk)
    if other is None:
        handoff.company = company
        handoff.save(update_fields=["company"])
        if handoff.owner and company.owner_id is None:
            Account.objects.filter(pk=company.pk).update(owner=handoff.owner)
        _note_change(handoff, "moved", now=now, from_account=old_company_id)
        return
    Qualification.objects.filter(handoff=handoff).update(handoff=other)
    HandoffActivity.objects.filter(handoff=handoff).update(handoff=other)
    if not other.tasks.filter(done_at=None).exists():
        handoff.tasks.filter(done_at=None).update(handoff=other)
    owner = handoff.owner
    end(handoff, status=Status.WITHDRAWN, now=now, by=None, reason="merged")
    _note_change(handoff, "withdrawn", now=now, cause="merged", into=other.pk, owner=owner.label if owner else "")
    other.newest_evidence_at = max(other.newest_evidence_at, handoff.newest_evidence_at)
    touched = [at for at in (other.first_touch_at, handoff.first_touch_at) if at is not None]
    other.first_touch_at = min(touched, default=None)
    if other.status == Status.CLAIMED:
        other.status = awake(other)
    other.save(update_fields=["newest_evidence_at", "first_touch_at", "status"])
    if owner and other.owner_id is None and access.may(owner, "handoffs.work"):
        take(other, owner=owner, now=now, assigned=True)
    speed.follow(other)
    _note_change(other, "moved", now=now, from_account=old_company_id, joined=handoff.pk)


def takers(owner_ids: Collection[int]) -> set[int]:
    """Those of these staff to whom a handoff of an account that they own goes by itself."""
    return {owner.pk for owner in StaffUser.objects.filter(pk__in=owner_ids) if access.may(owner, "handoffs.work")}


def release(*, definition_id: int, largest: int | None, by: StaffUser, now: dt.datetime) -> int:
    """Let waiting episodes become handoffs: all, or the `largest` by seats, then employees, then MRR.

    How many were released. Each is released once, whoever else clicks. In chunks, each marking its accounts
    due in its own transaction: the next sweep opens the handoffs, and after a crash the rest still waits.
    """
    if not access.may(by, "definitions.release"):
        raise NotAllowed(access.refusal("definitions.release"))
    definition = Definition.objects.get(pk=definition_id)
    done, seen = 0, 0
    while largest is None or seen < largest:
        size = RELEASE_CHUNK if largest is None else min(RELEASE_CHUNK, largest - seen)
        with transaction.atomic():
            chunk = list(_waiting(definition_id).values_list("pk", "account_id")[:size])
            if not chunk:
                break
            seen += len(chunk)  # also those that somebody else releases first: the same click, made twice
            due.mark_changed([account_id for _, account_id in chunk], now=now, consumers=["evaluation"])
            released = Qualification.objects.filter(
                pk__in=[pk for pk, _ in chunk], release=Release.WAITING, closed_at=None
            ).update(release=Release.RELEASED, released_at=now)
            if released:
                plays.look_again([pk for pk, _ in chunk], now=now)
                audit.record(
                    action="definition.released",
                    obj=definition,
                    by=by,
                    now=now,
                    detail={"episodes": released, "asked": largest, "accounts": [a for _, a in chunk]},
                )
        done += released
    return done


def waiting(definition_id: int, *, cap: int = 1000) -> int:
    """How many episodes of a definition wait for release; at most `cap`."""
    rows = Qualification.objects.filter(definition_id=definition_id, closed_at=None, release=Release.WAITING)
    return len(rows.values_list("pk", flat=True)[:cap])


def _waiting(definition_id: int) -> models.QuerySet[Qualification]:
    rows = Qualification.objects.filter(definition_id=definition_id, closed_at=None, release=Release.WAITING)
    return rows.order_by(
        F("account__seats").desc(nulls_last=True),
        F("account__employees").desc(nulls_last=True),
        "-account__mrr",
        "pk",
    )


def _is_quiet(last: Handoff | None, *, newest_at: dt.datetime, now: dt.datetime) -> bool:
    if last is None:
        return False
    if last.cooldown_until and last.cooldown_until > now:
        return True
    return bool(last.evidence_watermark and newest_at <= last.evidence_watermark)


def last_closed(company_ids: Iterable[int]) -> dict[int, Handoff]:
    """The handoff of each of these companies that was closed last: its cooldown and watermark are in force.

    One that was withdrawn as if it had not been leaves in force what was closed before it.
    """
    rows = Handoff.objects.filter(company_id__in=company_ids, closed_at__isnull=False).order_by("closed_at", "pk")
    rows = rows.exclude(status=Status.WITHDRAWN, cooldown_until=None)
    return {handoff.company_id: handoff for handoff in rows}


def _attach(qualification: Qualification, handoff: Handoff) -> None:
    qualification.handoff = handoff
    qualification.save(update_fields=["handoff"])


def _paid_at(handoff: Handoff) -> dt.datetime | None:
    """When the company first paid, or paid more, after this was opened (or as one of its reasons found)."""
    paid = StageEntry.objects.filter(
        Q(account_id=handoff.company_id) | Q(account__parent_id=handoff.company_id), stage__in=PAID_STAGES
    )
    later = paid.filter(at__gte=handoff.opened_at).order_by("at").values_list("at", flat=True).first()
    if later is None and handoff.reasons.filter(close_cause=Qualification.CloseCause.CONVERTED).exists():
        later = paid.order_by("-at").values_list("at", flat=True).first()
    return later


def _note_change(handoff: Handoff, what: str, *, now: dt.datetime, **detail: object) -> None:
    audit.record(action=f"handoff.{what}", obj=handoff, by=None, now=now, account_id=handoff.company_id, detail=detail)
