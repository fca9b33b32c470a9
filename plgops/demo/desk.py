"""How Fieldnote's sales people have spent the last three weeks."""

from __future__ import annotations

import datetime as dt
import random

from accounts.models import StaffUser
from scoring import handoffs, openings
from scoring.crm import push
from scoring.evaluate import evaluate_due
from scoring.models import Definition, Handoff, Purpose

NOTES = (
    "Head of research wants the whole department on one workspace before the new fiscal year.",
    "They compare us with a spreadsheet. Sent the workflow walkthrough.",
    "Security review first: asked for SSO details and the data processing agreement.",
    "Two teams use it side by side; they did not know of each other.",
    "Budget is with procurement. Champion expects an answer in two weeks.",
)
TOUCHES = (
    ("emailed", "Offered a call about rolling it out to the second team."),
    ("emailed", "Sent the case study on shared coding."),
    ("called", "Spoke for ten minutes; wants a price for 25 seats."),
    ("called", "Left a message."),
    ("met", "Demo with four people, all from the research team."),
)
LOST = ("no_budget", "timing", "no_response", "competitor")
DISQUALIFIED = ("bad_fit", "student", "duplicate")


class Desk:
    """Two reps and what they do between two moments."""

    def __init__(self, staff: dict[str, StaffUser], rng: random.Random, *, small: bool) -> None:
        self.reps = [staff["dana"], staff["theo"]]
        self.admin, self.manager = staff["ada"], staff["mara"]
        self.rng = rng
        self.each_step = 1 if small else 2
        self.largest = 5 if small else 36  # released per definition

    def evaluate(self, *, now: dt.datetime) -> None:
        """Until nothing is due."""
        while evaluate_due(now=now, limit=1_000).claimed:
            pass

    def tick_off(self, *, now: dt.datetime) -> None:
        """No CRM is connected: nobody waits to be told of what happened."""
        while push.push_due(clock=lambda: now).claimed:
            pass

    def release(self, *, now: dt.datetime) -> None:
        """The admin lets the largest of those who qualified at the publication into the inbox."""
        self.evaluate(now=now)
        for definition in Definition.objects.filter(purpose=Purpose.PQL).order_by("slug"):
            openings.release(definition_id=definition.pk, largest=self.largest, by=self.admin, now=now)
        self.evaluate(now=now)

    def work(self, *, since: dt.datetime, now: dt.datetime) -> None:
        """Claim, touch, note and close, at working hours between the two moments."""
        for handoff in self._open(Handoff.Status.CLAIMED, Handoff.Status.WORKING):
            self._further(handoff, since, now)
        fresh = list(
            Handoff.objects.filter(status=Handoff.Status.NEW).order_by("-newest_evidence_at", "pk")[
                : 4 * self.each_step
            ]
        )
        self.rng.shuffle(fresh)
        for rep in self.reps:
            for handoff in [fresh.pop() for _ in range(min(self.each_step, len(fresh)))]:
                at = self._moment(max(since, handoff.opened_at), now)
                if self.rng.random() < 0.12:
                    reason = self.rng.choice(DISQUALIFIED)
                    handoffs.close(
                        handoff_id=handoff.pk, outcome="disqualified", reason=reason, note="", by=rep, now=at
                    )
                    continue
                handoffs.claim(handoff_id=handoff.pk, by=rep, now=at)
                if self.rng.random() < 0.7:
                    self._touch(handoff, rep, self._moment(at, now))

    def _open(self, *statuses: str) -> list[Handoff]:
        return list(Handoff.objects.filter(status__in=statuses).select_related("owner").order_by("pk"))

    def _further(self, handoff: Handoff, since: dt.datetime, now: dt.datetime) -> None:
        """One more step with a company that somebody is working."""
        rng, rep = self.rng, handoff.owner
        if rep is None:
            return
        at = self._moment(since, now)
        if handoff.paid_at:
            if rng.random() < 0.8:
                handoffs.close(
                    handoff_id=handoff.pk, outcome="won", reason="", note="Bought after the demo.", by=rep, now=at
                )
        elif handoff.status == Handoff.Status.CLAIMED or rng.random() < 0.35:
            self._touch(handoff, rep, at)
        elif rng.random() < 0.3:
            handoffs.note(handoff_id=handoff.pk, text=rng.choice(NOTES), by=rep, now=at)
        elif rng.random() < 0.3:
            outcome = rng.choice(("lost", "lost", "returned", "disqualified"))
            reason = {
                "lost": rng.choice(LOST),
                "returned": "too_early",
                "disqualified": rng.choice(DISQUALIFIED),
            }[outcome]
            handoffs.close(handoff_id=handoff.pk, outcome=outcome, reason=reason, note="", by=rep, now=at)

    def _touch(self, handoff: Handoff, rep: StaffUser, at: dt.datetime) -> None:
        kind, text = self.rng.choice(TOUCHES)
        handoffs.touch(handoff_id=handoff.pk, kind=kind, text=text, by=rep, now=at)

    def _moment(self, since: dt.datetime, now: dt.datetime) -> dt.datetime:
        """Some time in between, later than `since`."""
        return since + (now - since) * self.rng.uniform(0.1, 0.95)
