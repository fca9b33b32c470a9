"""A delivery worker that is killed at random, again and again, and what its receiver counted."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from django.db import connections
from django.utils import timezone

from accounts.models import Delivery, OutgoingMessage
from accounts.team import deliveries
from scoring import alert_fan_out
from scoring.alerts import tell
from scoring.models import AlertFact
from tests.receivers import Receiver

LEASE = dt.timedelta(seconds=2)


@dataclass(frozen=True)
class Counted:
    """What came of it. `expected`: pairs of destination and fact."""

    expected: int
    arrived: int  # pairs that arrived, whatever their number of times
    under_two_ids: int  # pairs that arrived as two different messages: to a receiver, doubled
    came_again: int  # requests beyond the first of their id: a receiver that looks leaves them out
    kills: int
    killed_in_flight: int  # kills that left a claimed message behind
    seconds: float


def work(seconds: float | None = None) -> None:
    """What the sweeps do, until killed; or until nothing is left that is due."""
    while True:
        now = timezone.now()
        done = alert_fan_out.fan_out(now=now, limit=7)
        done += deliveries.pack(now=now)
        done += deliveries.send_due(clock=timezone.now, limit=4, lease=LEASE).claimed
        if not done:
            time.sleep(0.02)


def run(
    receivers: dict[int, Receiver], account_id: int, *, facts: int, kills: int, seed: int, longest: float = 0.6
) -> Counted:
    """Tell `facts`, a few between two kills; kill the worker `kills` times, each after at most `longest` seconds; then
    let one finish.

    `receivers`: destination -> who listens there. Each listening destination wants everything.
    """
    chance, began, in_flight = random.Random(seed), time.monotonic(), 0
    told = 0
    for kill in range(kills):
        wanted = min(facts, facts * (kill + 1) * 2 // kills)  # the second half of the kills works off what is left
        while told < wanted:
            told += 1
            detail = {"number": told}
            tell(
                AlertFact.Kind.TASK_CREATED,
                handoff=None,
                account_id=account_id,
                now=timezone.now(),
                detail=detail,
                key=f"kill:{told}",
            )
        child = _start()
        time.sleep(chance.uniform(0.05, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        # nothing fails here, so what was tried and still waits was claimed by the one that was just killed, or before
        claimed = OutgoingMessage.objects.filter(status="waiting", attempts__gt=0, next_at__gt=timezone.now())
        in_flight += claimed.exists()
    child = _start()
    until = time.monotonic() + 600
    while _left() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ids: dict[tuple[int, int], set[str]] = defaultdict(set)
    requests: Counter[str] = Counter()
    for destination_id, receiver in receivers.items():
        for got in receiver.got:
            number = got.json["data"]["detail"]["number"]
            ids[destination_id, number].add(got.headers["webhook-id"])
            requests[got.headers["webhook-id"]] += 1
    return Counted(
        expected=facts * len(receivers),
        arrived=len(ids),
        under_two_ids=sum(len(found) > 1 for found in ids.values()),
        came_again=sum(times - 1 for times in requests.values()),
        kills=kills,
        killed_in_flight=in_flight,
        seconds=time.monotonic() - began,
    )


def _start() -> int:
    connections.close_all()  # a connection belongs to one process
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return child


def _left() -> bool:
    return (
        AlertFact.objects.filter(told_at=None).exists()
        or Delivery.objects.filter(status="waiting").exists()
        or OutgoingMessage.objects.filter(status="waiting").exists()
    )
