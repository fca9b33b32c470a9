"""A ladder tried on the past: to whom the openings of the last weeks would have gone, beside what happened.

Replayed in the order in which they came, with the working hours, leave, ramp and caps as they are entered today and
the company as it is today; a handoff stays open as long as it really did. Pools start afresh. Who had nothing but
closed hours in the way is tried again when the first begins, as in real life.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from accounts.models import StaffUser
from accounts.workspace import day_of
from scoring import ladder, routing
from scoring.availability import Load, Person
from scoring.ladder import Company, Pool, Step
from scoring.models import Assignment, Handoff
from scoring.pools import Seat, Turn

DAYS = 90
MOST = 5000  # openings; the newest of them


@dataclass(frozen=True, slots=True)
class Opening:
    """A handoff that opened: the company, when it was closed, and who had it in the end."""

    id: int
    company: int
    facts: Company
    at: dt.datetime
    closed_at: dt.datetime | None
    keeps_owner: bool  # its owner still has the company afterwards
    went_to: int | None


@dataclass(slots=True)
class Outcome:
    """What a replay came to."""

    given: Counter[int] = field(default_factory=Counter)
    by_step: Counter[int] = field(default_factory=Counter)
    queue: int = 0
    waited: int = 0  # given only once working hours had begun
    passed: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(frozen=True, slots=True)
class Line:
    """One person: how many they would have had, and had; for what they were passed over how often."""

    name: str
    simulated: int
    really: int
    passed: tuple[tuple[str, int], ...]

    @property
    def change(self) -> int:
        return self.simulated - self.really


@dataclass(frozen=True, slots=True)
class Simulation:
    """A replay as a page shows it."""

    openings: int
    days: int
    capped: bool
    lines: tuple[Line, ...]
    queue: int
    really_queue: int
    waited: int
    steps: tuple[tuple[str, int], ...]

    @property
    def queue_share(self) -> float:
        return 100 * self.queue / self.openings if self.openings else 0.0


def simulate(steps: Sequence[Step], *, now: dt.datetime, days: int = DAYS) -> Simulation:
    """Replay the openings of the last `days` days through these steps. Reads only; seven queries."""
    openings = _openings(now - dt.timedelta(days=days))
    pools = routing.pools(ladder.pools_of(steps))
    fresh = {pk: Pool(tuple(Seat(s.person, s.share) for s in pool.seats)) for pk, pool in pools.items()}
    seated = {seat.person for pool in fresh.values() for seat in pool.seats}
    owners = {o.facts.owner for o in openings} | {o.facts.last_owner for o in openings}
    people = routing.people(seated | ladder.people_of(steps) | {pk for pk in owners if pk is not None})
    outcome = replay(openings, steps, people=people, pools=fresh)
    really = Counter(o.went_to for o in openings)
    shown = {*outcome.given, *outcome.passed, *seated, *(pk for pk in really if pk is not None)}
    names = {user.pk: user.label for user in StaffUser.objects.filter(pk__in=shown)}
    lines = [
        Line(names.get(pk, "Somebody"), outcome.given[pk], really[pk], tuple(outcome.passed[pk].most_common()))
        for pk in {*outcome.given, *seated, *(pk for pk in really if pk is not None)}
    ]
    return Simulation(
        openings=len(openings),
        days=days,
        capped=len(openings) == MOST,
        lines=tuple(sorted(lines, key=lambda line: (-line.simulated, -line.really, line.name))),
        queue=outcome.queue,
        really_queue=really[None],
        waited=outcome.waited,
        steps=tuple((step.label, outcome.by_step[number]) for number, step in enumerate(steps)),
    )


def replay(
    openings: Iterable[Opening], steps: Sequence[Step], *, people: Mapping[int, Person], pools: Mapping[int, Pool]
) -> Outcome:
    """Walk every opening down the ladder, in order of time. Pure."""
    found, standing = Outcome(), dict(pools)
    today: Counter[tuple[int, int]] = Counter()
    open_now: Counter[int] = Counter()
    ends: list[tuple[dt.datetime, int]] = []
    owner_of: dict[int, int | None] = {}
    coming = [(o.at, number, o) for number, o in enumerate(openings)]
    heapq.heapify(coming)
    while coming:
        at, number, opening = heapq.heappop(coming)
        while ends and ends[0][0] <= at:
            open_now[heapq.heappop(ends)[1]] -= 1
        day = day_of(at)
        facts = opening.facts
        if opening.company in owner_of:
            facts = replace(facts, owner=owner_of[opening.company])
        loads = {pk: Load(today[pk, day], open_now[pk]) for pk in people}
        decision = ladder.decide(steps, facts, people=people, loads=loads, pools=standing, at=at)
        for skip in decision.skipped:
            found.passed[skip.person][skip.why] += 1
        closed = opening.closed_at
        if decision.person is None:
            if decision.retry_at is not None and (closed is None or decision.retry_at < closed):
                heapq.heappush(coming, (decision.retry_at, number, opening))
            else:
                found.queue += 1
            continue
        found.given[decision.person] += 1
        found.by_step[decision.step or 0] += 1
        found.waited += at > opening.at
        today[decision.person, day] += 1
        open_now[decision.person] += 1
        if closed is not None:
            heapq.heappush(ends, (max(closed, at), decision.person))
        owner_of[opening.company] = decision.person if closed is None or opening.keeps_owner else None
        if decision.turn is not None and decision.pool is not None:
            standing[decision.pool] = _after(standing[decision.pool], decision.turn.seat, decision.turn.turn)
    return found


def _after(pool: Pool, seat: Seat, last: Turn) -> Pool:
    """The pool after a turn; the seat keeps its weight, of which the turn's share is only the ramp's part."""
    return Pool(
        tuple(replace(s, level=seat.level, owed=seat.owed) if s.person == seat.person else s for s in pool.seats), last
    )


def _openings(since: dt.datetime) -> list[Opening]:
    rows = Handoff.objects.filter(opened_at__gte=since).select_related("company").order_by("-opened_at", "-pk")
    handoffs = sorted(rows[:MOST], key=lambda h: (h.opened_at, h.pk))
    first: dict[int, tuple[str, int | None]] = {}
    kept = Assignment.objects.filter(handoff__in=[h.pk for h in handoffs]).order_by("pk")
    for handoff_id, kind, person in kept.values_list("handoff_id", "kind", "person"):
        first.setdefault(handoff_id, (kind, person))
    return [_opening(h, first.get(h.pk)) for h in handoffs]


def _opening(handoff: Handoff, first: tuple[str, int | None] | None) -> Opening:
    """Whose the company was when it opened: by its first assignment, else who had it at once without a click."""
    owner = None
    if first is not None:
        owner = first[1] if first[0] == "owner" else None
    elif handoff.assigned and handoff.claimed_at == handoff.opened_at:
        owner = handoff.owner_id
    return Opening(
        id=handoff.pk,
        company=handoff.company_id,
        facts=replace(routing.facts_of(handoff.company, handoff), owner=owner),
        at=handoff.opened_at,
        closed_at=handoff.closed_at,
        keeps_owner=handoff.status in (Handoff.Status.WON, Handoff.Status.LOST),
        went_to=handoff.owner_id,
    )
