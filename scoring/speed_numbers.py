"""How soon accounts are claimed and touched, per person, in business time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from scoring import speed
from scoring.models import Handoff
from scoring.stats import quantile

DAYS = 90
MOST = 3000  # handoffs; the newest


@dataclass(frozen=True, slots=True)
class Line:
    """One person: handoffs, and the median and the 90th percentile of both times in business seconds; None: none."""

    name: str
    handoffs: int
    claim: tuple[float | None, float | None]
    touch: tuple[float | None, float | None]
    late: int  # touched, or still waiting, after the target


def lines(*, now: dt.datetime, days: int = DAYS) -> list[Line]:
    """Everybody who had a handoff that opened in the last `days` days, by how many. Two queries.

    The time to claim leaves out what went to somebody by itself: nobody clicked.
    """
    rows = Handoff.objects.filter(opened_at__gte=now - dt.timedelta(days=days), owner__isnull=False)
    rows = rows.select_related("owner", "speed__calendar").order_by("-opened_at", "-pk")
    found = list(rows[:MOST])
    pauses = speed.pauses_of([h.pk for h in found])
    names: dict[int, str] = {}
    claims: dict[int, list[int]] = defaultdict(list)
    touches: dict[int, list[int]] = defaultdict(list)
    counts: dict[int, int] = defaultdict(int)
    late: dict[int, int] = defaultdict(int)
    for handoff in found:
        if handoff.owner is None:
            continue
        who = handoff.owner_id or 0
        names[who] = handoff.owner.label
        read = speed.read(handoff, getattr(handoff, "speed", None), pauses[handoff.pk], now=now)
        counts[who] += 1
        if read.to_claim is not None and not handoff.assigned:
            claims[who].append(round(read.to_claim))
        if read.to_touch is not None:
            touches[who].append(round(read.to_touch))
        late[who] += speed.is_late(handoff, read, now=now)
    return [
        Line(names[who], counts[who], _both(claims[who]), _both(touches[who]), late[who])
        for who in sorted(names, key=lambda pk: (-counts[pk], names[pk]))
    ]


def _both(values: list[int]) -> tuple[float | None, float | None]:
    return quantile(values, 0.5), quantile(values, 0.9)
