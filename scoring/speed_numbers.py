"""How soon accounts are claimed and touched, by person and by play, in business time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accounts.team import calendars
from scoring import speed
from scoring.models import Handoff, Play, PlayRun
from scoring.stats import quantile

DAYS = 90
MOST = 3000  # handoffs; the newest


@dataclass(frozen=True, slots=True)
class Line:
    """A person or play: handoffs, and median and 90th percentile of both times in business seconds; None: none."""

    name: str
    handoffs: int
    claim: tuple[float | None, float | None]
    touch: tuple[float | None, float | None]
    late: int  # touched, or still waiting, after the target


@dataclass(frozen=True, slots=True)
class Measured:
    """The same handoffs by who has them and by the play that opened them, whoever has most first."""

    people: list[Line]
    plays: list[Line]


@dataclass(slots=True)
class _Sum:
    name: str
    handoffs: int = 0
    claims: list[int] = field(default_factory=list)
    touches: list[int] = field(default_factory=list)
    late: int = 0


def measured(*, now: dt.datetime, days: int = DAYS) -> Measured:
    """What opened in the last `days` days, internal and test accounts left out. Four queries.

    The time to claim leaves out what went to somebody by itself: nobody clicked. A handoff without a policy is measured
    in the hours of the first calendar.
    """
    rows = Handoff.objects.filter(opened_at__gte=now - dt.timedelta(days=days), company__is_internal=False)
    rows = rows.exclude(status=Handoff.Status.WITHDRAWN).select_related("owner", "speed__calendar")
    found = list(rows.order_by("-opened_at", "-pk")[:MOST])
    pauses = speed.pauses_of([h.pk for h in found])
    usual = next(iter(calendars.kept().values()), None)
    plays = _plays_of(found)
    people: dict[int, _Sum] = {}
    by_play: dict[int, _Sum] = {}
    for handoff in found:
        read = speed.read(handoff, getattr(handoff, "speed", None), pauses[handoff.pk], now=now, usual=usual)
        sums = [by_play.setdefault(pk, _Sum(name)) for pk, name in plays.get(handoff.pk, ())]
        if handoff.owner is not None:
            sums.append(people.setdefault(handoff.owner.pk, _Sum(handoff.owner.label)))
        for one in sums:
            one.handoffs += 1
            one.late += speed.is_late(handoff, read, now=now)
            if read.to_claim is not None and not handoff.assigned:
                one.claims.append(round(read.to_claim))
            if read.to_touch is not None:
                one.touches.append(round(read.to_touch))
    return Measured(_lines(people), _lines(by_play))


def _plays_of(found: Sequence[Handoff]) -> dict[int, list[tuple[int, str]]]:
    """The plays that handed each of these over."""
    runs = PlayRun.objects.filter(
        qualification__handoff__in=[h.pk for h in found],
        status=PlayRun.Status.FIRED,
        play__action=Play.Action.SALES_HANDOFF,
    )
    plays: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for handoff_id, pk, name in runs.values_list("qualification__handoff_id", "play_id", "play__name").distinct():
        if handoff_id is not None:
            plays[handoff_id].append((pk, name))
    return plays


def _lines(sums: Mapping[int, _Sum]) -> list[Line]:
    lines = [Line(s.name, s.handoffs, _both(s.claims), _both(s.touches), s.late) for s in sums.values()]
    return sorted(lines, key=lambda line: (-line.handoffs, line.name))


def _both(values: list[int]) -> tuple[float | None, float | None]:
    return quantile(values, 0.5), quantile(values, 0.9)
