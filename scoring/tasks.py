"""Background work of scoring: thin, named, and only a doorbell. What is due stands in the database."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from django.utils import timezone

from plgops.lib.doorbell import ring
from scoring import (
    alert_fan_out,
    alerts,
    discover,
    evaluate,
    firing,
    follow,
    leavers,
    nearly,
    nudge_mail,
    snooze,
    speed,
)
from scoring.crm import connections, pull, push

BUDGET = 20.0  # seconds; what is left then is found by the next sweep


@shared_task(name="scoring.evaluate_due")
def evaluate_due(**kwargs: Any) -> None:
    """Sweep until nothing is due or the time is up; several of these share the work through leases."""
    until = time.monotonic() + BUDGET
    while evaluate.evaluate_due(now=timezone.now()).claimed and time.monotonic() < until:
        pass


@shared_task(name=alerts.TASK)
def tell_alerts(**kwargs: Any) -> None:
    """Turn what there is to tell into deliveries, until nothing is left."""
    while alert_fan_out.fan_out(now=timezone.now()) == alert_fan_out.LIMIT:
        pass


@shared_task(name=alerts.FORGET_TASK)
def forget_alerts(**kwargs: Any) -> None:
    """Forget what was told long ago."""
    until = time.monotonic() + BUDGET
    while time.monotonic() < until and alerts.forget(now=timezone.now()):
        pass


@shared_task(name="scoring.follow", time_limit=3600)
def follow_many(**kwargs: Any) -> None:
    """Where very many accounts wait, finish those about which nothing changes; sweeps take the others meanwhile."""
    follow.follow(now=timezone.now())


@shared_task(name="scoring.wake")
def wake(**kwargs: Any) -> None:
    """Wake the snoozed handoffs whose moment has come."""
    while snooze.wake_due(now=timezone.now()) == snooze.LIMIT:
        pass


@shared_task(name="scoring.speed")
def keep_speed(**kwargs: Any) -> None:
    """Warn about, re-route and escalate what waits too long, and try the ladder again where working hours began
    or an owner left."""
    while speed.sweep(now=timezone.now()) == speed.LIMIT:
        pass
    speed.retry_due(now=timezone.now())
    leavers.sweep(now=timezone.now())


@shared_task(name=discover.TASK, time_limit=3600)
def answer_discoveries(**kwargs: Any) -> None:
    """Answer one question to history, if any waits; then ring for the next, behind what waits for the worker."""
    if discover.run_next(clock=timezone.now) is not None:
        ring(discover.TASK)


@shared_task(name="scoring.decide_plays")
def decide_plays(**kwargs: Any) -> None:
    """Decide what plays do until nothing is due or the time is up; take out of the product what is over."""
    until = time.monotonic() + BUDGET
    while firing.decide_due(now=timezone.now()).total and time.monotonic() < until:
        pass
    while nudge_mail.write_due(now=timezone.now()) and time.monotonic() < until:
        pass
    firing.end_shown(now=timezone.now())


@shared_task(name=connections.PUSH)
def crm_push(**kwargs: Any) -> None:
    """Tell the CRM what changed, until nothing is due or the time is up."""
    until = time.monotonic() + BUDGET
    while push.push_due(clock=timezone.now).claimed and time.monotonic() < until:
        pass


@shared_task(name=connections.PULL)
def crm_pull(**kwargs: Any) -> None:
    """Ask the CRM what changed there, if it is time."""
    pull.pull_due(clock=timezone.now)


@shared_task(name="scoring.near_plays", time_limit=3600)
def ask_near_misses(**kwargs: Any) -> None:
    """Ask for the near misses of every play that is due."""
    while nearly.ask_next(now=timezone.now()) is not None:
        pass
