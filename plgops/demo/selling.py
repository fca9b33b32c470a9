"""How Fieldnote routes what qualifies, what it promises, and what its sales people have put off and planned."""

from __future__ import annotations

import datetime as dt

from accounts.models import BusinessCalendar, StaffUser
from accounts.workspace import day_of, zone
from plgops.lib.days import date_of
from scoring import next_tasks, routing, routing_desk, snooze
from scoring.models import Handoff, Leave, NextTask, RoutingPool, SpeedPolicy

LARGE, COUNTRIES = 400, ["germany", "switzerland"]  # employees
TASKS = ("Send the quote for 25 seats", "Ask procurement for a date", "Call about the second team", "Share the roadmap")


def set_up(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """A ladder with a pool and a territory, and how soon an account is claimed and touched. Again: nothing."""
    admin, calendar = staff["ada"], BusinessCalendar.objects.order_by("pk").first()
    if RoutingPool.objects.exists():
        return
    weights = {staff["dana"].pk: 2, staff["theo"].pk: 2, staff["mara"].pk: 1}
    pool = routing_desk.save_pool(pool_id=None, name="Large companies", weights=weights, edition=0, by=admin, now=now)
    steps = [
        {"kind": "owner", "last_owner_days": 90},
        {"kind": "rule", "name": "Germany and Switzerland", "countries": COUNTRIES, "person": staff["theo"].pk},
        {"kind": "rule", "name": "From 400 employees", "employees": [LARGE, None], "pool": pool.pk},
    ]
    routing_desk.publish(
        steps=steps, replaces=routing.current().number, reason="Large ones take turns", by=admin, now=now
    )
    if not SpeedPolicy.objects.exists():
        fields = {"is_on": True, "claim_minutes": 240, "touch_minutes": 480, "warn_percent": 80, "calendar": calendar}
        routing_desk.save_policy(policy_id=None, play=None, fields=fields, edition=0, by=admin, now=now)


def play(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """Two accounts sleep, a few have a task, and the manager is away. Again: nothing."""
    if Leave.objects.exists():
        return
    today = date_of(day_of(now))
    routing_desk.add_leave(
        person=staff["mara"], first_day=today, last_day=today + dt.timedelta(days=4), note="", by=staff["mara"], now=now
    )
    worked = Handoff.objects.filter(closed_at=None, status=Handoff.Status.WORKING, paid_at=None).select_related("owner")
    handoffs = list(worked.order_by("-newest_evidence_at", "pk")[: len(TASKS) + 2])
    for days, handoff in enumerate(handoffs[:2], start=3):
        if handoff.owner is not None:
            until = snooze.morning_of(today + dt.timedelta(days=days), zone=zone())
            snooze.snooze(handoff_id=handoff.pk, until=until, by=handoff.owner, now=now)
    for days, (handoff, text) in enumerate(zip(handoffs[2:], TASKS, strict=False)):
        if handoff.owner is not None and not NextTask.objects.filter(handoff=handoff, done_at=None).exists():
            day = today + dt.timedelta(days=days)
            next_tasks.put(handoff_id=handoff.pk, text=text, day=day, by=handoff.owner, now=now)
