"""One handoff in full: its reasons, what was done about it, and its audit trail in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from accounts.models import AuditEntry
from scoring import next_tasks, reasons, why
from scoring.models import Handoff, HandoffActivity, NextTask
from scoring.reasons import Reason

OUTCOME_TONES = {"won": "ok", "lost": "bad", "returned": "accent"}
MOST_EARLIER = 10
MOST_LINES = 50  # of touches and notes, and of the audit trail


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An audit row in words."""

    at: dt.datetime
    who: str
    what: str
    more: str


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that one handoff's page says of it and its reasons."""

    handoff: Handoff
    reasons: tuple[Reason, ...]
    activities: tuple[HandoffActivity, ...]
    audit: tuple[AuditLine, ...]
    evidence_users: frozenset[int] = field(default_factory=frozenset)
    left_under: Reason | None = None  # the reason that a publication ended, of a handoff without any other
    task: NextTask | None = None
    earlier: tuple[HandoffActivity, ...] = ()  # notes and touches of the company's handoffs before this one
    woken_by: str = ""  # why it woke by itself last
    before: Handoff | None = None  # the company's handoff before this one, where somebody had it
    assigned_by: str = ""  # the person who gave it to its owner last; empty where plgops did, or nobody


def detail(handoff: Handoff) -> Detail:
    """The handoff with its reasons told from their frozen evidence, its activity and its audit trail."""
    found = reasons.of_handoff(handoff)
    trail = AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk)
    entries = list(trail.order_by("-at", "-id")[:MOST_LINES])
    given = next((entry for entry in entries if entry.action == "handoff.assigned"), None)
    activities = HandoffActivity.objects.filter(handoff=handoff).select_related("by")
    told = reasons.told_of(found)
    return Detail(
        handoff=handoff,
        reasons=told,
        activities=tuple(activities.order_by("-at", "-id")[:MOST_LINES]),
        audit=tuple(_audit_line(entry) for entry in entries),
        evidence_users=frozenset(i for q in found for i in why.people_of(q.evidence)),
        left_under=next((r for r in told if r.left_under), None) if handoff.rule_lapsed_at else None,
        task=next_tasks.open_of([handoff.pk]).get(handoff.pk),
        earlier=_earlier(handoff),
        woken_by=_woken_by(handoff, entries),
        before=_before(handoff),
        assigned_by=given.actor_label if given and given.actor_id else "",
    )


def _earlier(handoff: Handoff) -> tuple[HandoffActivity, ...]:
    rows = HandoffActivity.objects.filter(handoff__company_id=handoff.company_id).exclude(handoff=handoff)
    return tuple(rows.exclude(text="").select_related("by").order_by("-at", "-id")[:MOST_EARLIER])


def _woken_by(handoff: Handoff, entries: list[AuditEntry]) -> str:
    if handoff.woken_at is None:
        return ""
    told = next((e.detail.get("why", "") for e in entries if e.action == "handoff.woken" and not e.actor_id), "")
    return _WOKEN_BY.get(told, "")


def _before(handoff: Handoff) -> Handoff | None:
    if handoff.last_owner_id is None:
        return None
    earlier = Handoff.objects.filter(company_id=handoff.company_id, closed_at=handoff.last_owner_until)
    return earlier.exclude(pk=handoff.pk).order_by("-pk").first()


_AUDIT_WORDS = {
    "opened": "opened it",
    "joined": "added a reason",
    "assigned": "assigned it",
    "claimed": "claimed it",
    "unclaimed": "gave it back",
    "touched": "recorded a touch",
    "noted": "wrote a note",
    "snoozed": "snoozed it",
    "woken": "woke it",
    "task_set": "set the next task",
    "task_done": "did what was next",
    "undone": "took that back",
    "won": "closed it as won",
    "lost": "closed it as lost",
    "disqualified": "disqualified it",
    "dismissed": "disqualified it",  # as it was called at first
    "returned": "returned it to self-serve",
    "reopened": "took the outcome back",
    "orphaned": "took it from its owner, who left",
    "withdrawn": "withdrew it",
    "lapsed": "marked it: no reason holds any more",
    "held_again": "took the mark back: a reason holds again",
    "paid": "saw that the account paid",
    "moved": "moved it with its account",
}
_TOUCHES = {kind: label.lower() for kind, label in HandoffActivity.Kind.choices}


_WOKEN_BY = {
    "date": "its time had come",
    "reason": "another reason joined",
    "held_again": "a reason holds again",
    "paid": "it paid",
}
_UNDONE = {
    "snoozed": "the snooze",
    "woken": "the waking",
    "assigned": "the assignment",
    "touched": "the touch",
    "noted": "the note",
    "task_set": "the task",
    "task_done": "that it was done",
}


def _audit_line(entry: AuditEntry) -> AuditLine:
    verb = entry.action.removeprefix("handoff.")
    detail = entry.detail
    told = [
        _TOUCHES.get(detail.get("kind", "")),
        f"to {detail['to']}" if detail.get("to") else "",
        detail.get("reason"),
        f"“{detail['text']}”" if verb.startswith("task_") else "",
        _WOKEN_BY.get(detail.get("why", "")) if verb == "woken" else "",
        _UNDONE.get(detail.get("of", "")) if verb == "undone" else "",
    ]
    more = ", ".join(str(word).replace("_", " ") for word in told if word)
    return AuditLine(entry.at, entry.actor_label, _AUDIT_WORDS.get(verb, verb.replace("_", " ")), more)
