"""How fairly pools gave accounts away: everybody's turns beside what their weight says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count

from scoring.models import Assignment, PoolMember


@dataclass(frozen=True, slots=True)
class Turns:
    """How often a pool gave an account to one of its people in the period, and what their weight says of it."""

    key: str  # of `team_numbers.rows_of` by pool
    pool: str
    person: str
    weight: int
    given: int
    given_back: int
    expected: float  # their weight's share of all turns of the pool's present members

    @property
    def off(self) -> float:
        """More (or fewer) than their weight says."""
        return self.given - self.given_back - self.expected


def turns(since: dt.datetime) -> list[Turns]:
    """The turns of each pool since then, by pool and name. Two queries.

    Somebody who joined meanwhile, was away or at their cap had fewer; why is with each assignment.
    """
    gave = Assignment.objects.filter(at__gte=since, pool__isnull=False).order_by().values_list("pool_id", "person_id")
    counts = {
        (pool, person): (given, back)
        for pool, person, given, back in gave.annotate(Count("pk"), Count("given_back_at"))
    }
    members = list(
        PoolMember.objects.filter(pool__retired_at=None).select_related("pool", "person").order_by("pool__name", "pk")
    )
    standing: dict[int, tuple[int, int]] = {}  # by pool: the weights, and the turns that stand
    for member in members:
        given, back = counts.get((member.pool_id, member.person_id), (0, 0))
        weights, stand = standing.get(member.pool_id, (0, 0))
        standing[member.pool_id] = (weights + member.weight, stand + given - back)
    found = []
    for member in members:
        given, back = counts.get((member.pool_id, member.person_id), (0, 0))
        weights, stand = standing[member.pool_id]
        expected = stand * member.weight / weights
        key = f"{member.pool_id}:{member.person_id}"
        found.append(Turns(key, member.pool.name, member.person.label, member.weight, given, back, expected))
    return sorted(found, key=lambda one: (one.pool, one.person))
