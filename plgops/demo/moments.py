"""Fieldnote's plays: what meets people inside the product, and what customer success was asked to do."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any

from accounts import lake
from accounts.models import StaffUser, UserKey
from scoring import cs_tasks, firing, nearly, playbook, prompts
from scoring.models import CsTask, Definition, Play, PlayRun

Action, Trigger = Play.Action, Play.Trigger
PRICING = "https://fieldnote.example/pricing"
MOST_PEOPLE = 3  # of an account who meet what it is shown
OUTCOMES = ("helped", "helped", "call_booked", "no_answer", "not_needed")
NOTES = {"helped": "Shared the import template; they are going.", "call_booked": "Half an hour on Thursday."}


@dataclass(frozen=True, slots=True)
class Told:
    """One play of Fieldnote's; a draft is not started."""

    name: str
    definition: str
    action: str
    content: dict[str, Any]
    trigger: str = Trigger.QUALIFIES
    is_draft: bool = False
    values: dict[str, Any] = field(default_factory=dict)


PLAYS = (
    Told(
        "Room for the whole team",
        "power-users",
        Action.PROMPT,
        {
            "headline": "Your team is here every week",
            "body": "On Team you share codebooks and see who worked on what.",
            "button": "Compare plans",
            "url": PRICING,
            "style": "banner",
        },
        values={"holdout_percent": 20, "cooldown_days": 30, "audience": "plan is free, trial", "priority": 60},
    ),
    Told(
        "Row limit reached",
        "limit-pressure",
        Action.PROMPT,
        {
            "headline": "You have reached your plan’s limit",
            "body": "Everything that is there stays as it is. A larger plan lets your team go on.",
            "button": "See plans",
            "url": PRICING,
            "style": "modal",
        },
        values={"moment": "limit_reached", "promotional": False},
    ),
    Told(
        "One step from activation",
        "activated-team",
        Action.NUDGE,
        {
            "headline": "You are nearly there",
            "body": "All that is missing: {needs}.",
            "button": "Show me",
            "url": "/getting-started",
            "style": "banner",
        },
        trigger=Trigger.NEAR_MISS,
        values={"audience": "employees at most 49"},
    ),
    Told(
        "Help them over the last step",
        "activated-team",
        Action.CS_TASK,
        {"headline": "Help them to activate", "body": "Ask what they came for; offer the import.", "due_days": 3},
        trigger=Trigger.NEAR_MISS,
        values={"audience": "employees at least 50"},
    ),
    Told(
        "Welcome a team of some size",
        "activated-team",
        Action.CS_TASK,
        {"headline": "Welcome them", "body": "Offer half an hour on shared codebooks.", "due_days": 2},
        values={"audience": "employees at least 20", "cooldown_days": 90},
    ),
    Told(
        "One step from activation, by e-mail",
        "activated-team",
        Action.EMAIL_NUDGE,
        {
            "headline": "One step to go in Fieldnote",
            "body": "Your workspace is nearly set up.\n\nAll that is missing: {needs}.",
            "button": "Finish the set-up",
            "url": "https://fieldnote.example/getting-started",
            "people": 1,
        },
        trigger=Trigger.NEAR_MISS,
        is_draft=True,
        values={"cooldown_days": 60},
    ),
)


def set_up(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """Make the plays and start them. Again: nothing."""
    definitions = {one.slug: one for one in Definition.objects.all()}
    for told in PLAYS:
        if Play.objects.filter(name=told.name).exists() or told.definition not in definitions:
            continue
        values = {"content": told.content, **told.values}
        wanted = playbook.Wanted(told.name, definitions[told.definition], told.action, told.trigger, values)
        play = playbook.create(wanted, by=staff["ada"], now=now)
        if not told.is_draft:
            playbook.move(play_id=play.pk, verb="start", by=staff["ada"], now=now)


def decide(*, now: dt.datetime) -> None:
    """Until nothing is due."""
    while firing.decide_due(now=now).total:
        pass


def meet(rng: random.Random, *, since: dt.datetime, now: dt.datetime) -> None:
    """Some people of the accounts meet what fired since then: most look, some click, some close it."""
    runs = PlayRun.objects.filter(play__action__in=Play.IN_PRODUCT, status=PlayRun.Status.FIRED)
    for run in runs.filter(decided_at__gt=since, decided_at__lte=now).order_by("pk"):
        people = UserKey.objects.filter(
            key__startswith="u:", user__memberships__account=run.account_id, user__memberships__valid_to=None
        )
        for key in people.order_by("key").values_list("key", flat=True).distinct()[:MOST_PEOPLE]:
            if rng.random() < 0.3:
                continue
            at = now - (now - since) * rng.uniform(0, 0.4)
            event = rng.choices(("seen", "clicked", "dismissed"), (40, 25, 35))[0]
            prompts.record(key.removeprefix("u:"), run.pk, event, now=at)


def guide(staff: dict[str, StaffUser], rng: random.Random, *, now: dt.datetime) -> None:
    """Customer success takes what is due first and closes some of it."""
    for task in CsTask.objects.filter(status=CsTask.Status.OPEN, created_at__lt=now).order_by("due_on", "pk")[:6]:
        if rng.random() < 0.4:
            continue
        cs_tasks.take(task_id=task.pk, by=staff["cleo"], now=now)
        if rng.random() < 0.7:
            outcome = rng.choice(OUTCOMES)
            status = "dismissed" if outcome == "not_needed" else "done"
            note = NOTES.get(outcome, "")
            cs_tasks.close(task_id=task.pk, status=status, outcome=outcome, note=note, by=staff["cleo"], now=now)


def nearly_there(*, now: dt.datetime) -> None:
    """The near misses of today, for which the usage lake is asked."""
    lake.refresh(now=now)
    while nearly.ask_next(now=now) is not None:
        pass
    decide(now=now)
