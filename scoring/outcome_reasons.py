"""The reasons that admins keep for outcomes: read for the menus, counted by version, and changed.

At most MOST of an outcome are offered at a time: more than that nobody reads, and the menus' digits end there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count
from django.utils.text import slugify

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib.db import retried
from scoring.handoff_states import OUTCOMES, Refused, require
from scoring.models import Definition, Handoff, OutcomeReason, Qualification

CAPABILITY = "handoffs.reasons"
MOST = 9


def offered() -> dict[str, list[OutcomeReason]]:
    """What can be chosen now, by outcome, in its order. One query."""
    found: dict[str, list[OutcomeReason]] = {outcome: [] for outcome in OUTCOMES}
    for reason in OutcomeReason.objects.filter(archived_at=None).order_by("position", "pk"):
        found[reason.outcome].append(reason)
    return found


def labels(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What these (outcome, code) are called, archived ones too; what was never one is named by its code. One query."""
    known = {
        (outcome, code): label
        for outcome, code, label in OutcomeReason.objects.filter(code__in={code for _, code in pairs}).values_list(
            "outcome", "code", "label"
        )
    }
    return {pair: known.get(pair, pair[1].replace("_", " ").capitalize()) for pair in pairs}


def label_of(handoff: Handoff) -> str:
    """Why a closed handoff ended as it did, in words; empty without a reason."""
    if not handoff.outcome_reason:
        return ""
    pair = (handoff.status, handoff.outcome_reason)
    return labels([pair])[pair]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of a version's handoffs ended with an outcome for a reason."""

    outcome: str
    reason: str  # empty: no reason was given
    label: str
    number: int
    share: float  # of the version's handoffs that a person closed


@dataclass(frozen=True, slots=True)
class OfVersion:
    """What came of the handoffs that a version of a definition was a reason of."""

    version: int
    closed: int
    rows: tuple[Counted, ...]


def by_version(definition: Definition) -> list[OfVersion]:
    """Outcomes and their reasons, by the version that the handoff was opened under, the newest version first.

    A handoff counts once for each version that was one of its reasons. Those that the machine withdrew do not count.
    Two queries.
    """
    rows = list(
        Qualification.objects.filter(definition=definition, handoff__status__in=OUTCOMES)
        .values_list("version__number", "handoff__status", "handoff__outcome_reason")
        .annotate(number=Count("handoff_id", distinct=True))
        .order_by("-version__number", "-number", "handoff__status", "handoff__outcome_reason")
    )
    names = labels([(status, reason) for _, status, reason, _ in rows if status and reason])
    totals: dict[int, int] = {}
    for version, _, _, number in rows:
        totals[version] = totals.get(version, 0) + number
    return [_of_version(version, total, rows, names) for version, total in totals.items()]


def _of_version(
    version: int,
    total: int,
    rows: Sequence[tuple[int, str | None, str | None, int]],
    names: Mapping[tuple[str, str], str],
) -> OfVersion:
    told = tuple(
        Counted(
            outcome=status or "",
            reason=reason or "",
            label=names.get((status or "", reason or ""), ""),
            number=number,
            share=number / total,
        )
        for of, status, reason, number in rows
        if of == version
    )
    return OfVersion(version=version, closed=total, rows=told)


# --- what admins do with the list ----------------------------------------------------------------------------


@retried
def add(
    *, outcome: str, label: str, needs_note: bool = False, is_bad_lead: bool = False, by: StaffUser, now: dt.datetime
) -> OutcomeReason:
    """Offer another reason, the last of its outcome. One of the same name that was archived comes back."""
    require(by, CAPABILITY)
    label = label.strip()
    code = slugify(label).replace("-", "_")[:40]
    if outcome not in OUTCOMES or not code or len(label) > 80:
        raise Refused("A reason needs an outcome and a name of letters or digits, 80 at most.")
    others = list(OutcomeReason.objects.select_for_update().filter(outcome=outcome).order_by("pk"))
    if sum(one.archived_at is None for one in others) >= MOST:
        raise Refused(f"{MOST} reasons are the most; archive one first.")
    reason = next((one for one in others if one.code == code), None)
    if reason is not None and reason.archived_at is None:
        raise Refused(f"“{reason.label}” is there already.")
    if reason is None:
        reason = OutcomeReason(outcome=outcome, code=code)
    reason.label, reason.needs_note, reason.archived_at = label, needs_note, None
    reason.is_bad_lead = is_bad_lead and outcome == "disqualified"
    reason.position = 1 + max((one.position for one in others), default=0)
    reason.save()
    _note(reason, "added", by=by, now=now)
    return reason


@retried
def change(
    *, reason_id: int, label: str, needs_note: bool, is_bad_lead: bool = False, by: StaffUser, now: dt.datetime
) -> OutcomeReason:
    """Call a reason something else; handoffs that were closed with it show the new name."""
    reason = _locked(reason_id, by)
    label = label.strip()
    if not label or len(label) > 80:
        raise Refused("A reason needs a name, 80 letters at most.")
    was, reason.label, reason.needs_note = reason.label, label, needs_note
    reason.is_bad_lead = is_bad_lead and reason.outcome == "disqualified"
    reason.save(update_fields=["label", "needs_note", "is_bad_lead"])
    _note(reason, "changed", by=by, now=now, was=was)
    return reason


@retried
def archive(*, reason_id: int, by: StaffUser, now: dt.datetime) -> OutcomeReason:
    """Offer it no more. What was closed with it keeps it. Refused for the last one of an outcome that needs one."""
    reason = _locked(reason_id, by)
    if reason.archived_at is None:
        left = OutcomeReason.objects.filter(outcome=reason.outcome, archived_at=None).exclude(pk=reason.pk)
        if not left.exists():
            raise Refused("It is the last one; add another first.")
        reason.archived_at = now
        reason.save(update_fields=["archived_at"])
        _note(reason, "archived", by=by, now=now)
    return reason


@retried
def move_up(*, reason_id: int, by: StaffUser, now: dt.datetime) -> OutcomeReason:
    """One place further up in its menu; the first one stays."""
    reason = _locked(reason_id, by)
    shown = list(OutcomeReason.objects.filter(outcome=reason.outcome, archived_at=None).order_by("position", "pk"))
    ids = [one.pk for one in shown]
    at = ids.index(reason.pk) if reason.pk in ids else 0
    if at:
        shown[at - 1], shown[at] = shown[at], shown[at - 1]
        for place, one in enumerate(shown, start=1):
            one.position = place
        OutcomeReason.objects.bulk_update(shown, ["position"])
        _note(reason, "moved", by=by, now=now)
    return reason


def _locked(reason_id: int, by: StaffUser) -> OutcomeReason:
    """The reason with its outcome's others locked; OutcomeReason.DoesNotExist."""
    require(by, CAPABILITY)
    outcome = OutcomeReason.objects.values_list("outcome", flat=True).get(pk=reason_id)
    rows = OutcomeReason.objects.select_for_update().filter(outcome=outcome).order_by("pk")
    return next(one for one in rows if one.pk == reason_id)


def _note(reason: OutcomeReason, what: str, *, by: StaffUser, now: dt.datetime, **detail: str) -> None:
    audit.record(action=f"outcome_reason.{what}", obj=reason, by=by, now=now, detail={"label": reason.label, **detail})
