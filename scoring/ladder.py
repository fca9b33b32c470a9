"""The ladder that says who is given an account: its steps as they are stored, and where an account ends. Pure.

The steps are tried from the top; the first that finds somebody who can be given it, gives it to them. An account for
which none does stays in the queue, where everybody may claim it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scoring.availability import Load, Person, back_at, obstacle, share
from scoring.pools import Next, Seat, Turn, next_turn

KINDS = {
    "owner": "Existing owner",
    "named": "Named accounts",
    "rule": "Territory or segment",
    "pool": "Pool",
}
MOST_STEPS = 30
MOST_NAMED = 2000


class BadLadder(ValueError):
    """A ladder that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung. Ranges are inclusive with open ends; an empty list is no condition."""

    kind: str
    name: str = ""
    last_owner_days: int = 0  # owner: also who had the company last, so many days after they let go of it
    accounts: Mapping[str, int] = field(default_factory=dict)  # named: domain or account id to a person
    plans: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    employees: tuple[int | None, int | None] = (None, None)
    mrr: tuple[Decimal | None, Decimal | None] = (None, None)
    person: int | None = None
    pool: int | None = None

    @property
    def label(self) -> str:
        return self.name or KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Company:
    """What the steps ask about a company."""

    external_id: str = ""
    domain: str = ""
    plan: str = ""
    country: str = ""
    employees: int | None = None
    mrr: Decimal = Decimal(0)
    owner: int | None = None
    last_owner: int | None = None  # who had its last handoff
    last_owned_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as it stands: its members' seats by weight, and the last turn. Retired: nobody is in it."""

    seats: tuple[Seat, ...] = ()  # `share` is the weight; the ramp is applied when a turn is looked for
    last: Turn = Turn()


@dataclass(frozen=True, slots=True)
class Skip:
    """Somebody who was passed over, on which step and why (a key of OBSTACLES)."""

    person: int
    why: str
    step: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an account goes: to `person` by `step` (counted from 0), or to the queue."""

    person: int | None
    step: int | None
    skipped: tuple[Skip, ...]
    turn: Next | None = None  # of a pool
    pool: int | None = None
    retry_at: dt.datetime | None = None  # queue: when the first who was only out of hours works again


def read(stored: Any) -> tuple[Step, ...]:
    """The steps of a stored ladder; BadLadder."""
    if not isinstance(stored, list) or len(stored) > MOST_STEPS:
        raise BadLadder(f"A ladder is a list of at most {MOST_STEPS} steps.")
    return tuple(_step(item) for item in stored)


def write(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The stored form, which `read` reads back; what is not set is left out."""
    return [_stored(step) for step in steps]


def pools_of(steps: Iterable[Step]) -> set[int]:
    """The pools that a ladder leads to."""
    return {step.pool for step in steps if step.pool is not None}


def people_of(steps: Iterable[Step]) -> set[int]:
    """The people whom a ladder names, those in its pools not counted."""
    return {p for step in steps for p in (step.person, *step.accounts.values()) if p is not None}


def candidates(steps: Sequence[Step], company: Company, *, at: dt.datetime) -> set[int]:
    """The people to whom a step itself leads for this company, those in its pools not counted."""
    return {p for step in steps if (p := _person_of(step, company, at=at)) is not None}


def decide(
    steps: Sequence[Step],
    company: Company,
    *,
    people: Mapping[int, Person],
    loads: Mapping[int, Load],
    pools: Mapping[int, Pool],
    at: dt.datetime,
    without: Collection[int] = (),
) -> Decision:
    """Walk down the ladder. `without`: people who must not be given it (they had it). Unknown people are gone.

    Working hours count in pools only: an account that has its person waits for them.
    """
    skipped: list[Skip] = []
    opens: list[dt.datetime] = []

    def can(person_id: int, number: int, in_hours: bool) -> bool:
        person = people.get(person_id, Person(person_id, is_active=False))
        why = "had_it" if person_id in without else None
        why = why or obstacle(person, loads.get(person_id, Load()), at=at, in_hours=in_hours)
        if why:
            skipped.append(Skip(person_id, why, number))
        if why == "out_of_hours" and (back := back_at(person, at=at)) is not None:
            opens.append(back)
        return why is None

    for number, step in enumerate(steps):
        if step.pool is not None:
            if not _fits(step, company):
                continue
            pool = pools.get(step.pool, Pool())
            seats = [
                Seat(seat.person, share(people[seat.person], seat.share, at=at), seat.level, seat.owed)
                for seat in pool.seats
                if can(seat.person, number, in_hours=True)
            ]
            turn = next_turn(seats, pool.last)
            if turn is not None:
                return Decision(turn.seat.person, number, tuple(skipped), turn, step.pool)
            continue
        person = _person_of(step, company, at=at)
        if person is not None and can(person, number, in_hours=False):
            return Decision(person, number, tuple(skipped))
    return Decision(None, None, tuple(skipped), retry_at=min(opens, default=None))


def _person_of(step: Step, company: Company, *, at: dt.datetime) -> int | None:
    """The person to whom a step leads by itself: owner, named, or the rule's."""
    if step.kind == "owner":
        if company.owner is not None:
            return company.owner
        until = dt.timedelta(days=step.last_owner_days)
        return company.last_owner if company.last_owned_at and company.last_owned_at + until > at else None
    if step.kind == "named":
        found = step.accounts.get(company.external_id.casefold()) if company.external_id else None
        return found or (step.accounts.get(company.domain.casefold()) if company.domain else None)
    return step.person if _fits(step, company) else None


def _fits(step: Step, company: Company) -> bool:
    if step.plans and company.plan.casefold() not in step.plans:
        return False
    if step.countries and company.country.casefold() not in step.countries:
        return False
    return _within(company.employees, step.employees) and _within(company.mrr, step.mrr)


def _within(value: int | Decimal | None, between: tuple[Any, Any]) -> bool:
    low, high = between
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)


def _step(item: Any) -> Step:
    if not isinstance(item, dict) or item.get("kind") not in KINDS:
        raise BadLadder("A step is one of " + ", ".join(KINDS) + ".")
    kind, name = item["kind"], str(item.get("name", ""))[:80]
    if kind == "owner":
        return Step(kind, name, last_owner_days=_whole(item.get("last_owner_days", 0)))
    if kind == "named":
        accounts = item.get("accounts") or {}
        if not isinstance(accounts, dict) or len(accounts) > MOST_NAMED:
            raise BadLadder(f"Named accounts are at most {MOST_NAMED}, each with its person.")
        return Step(kind, name, accounts={str(k).casefold(): _whole(v) for k, v in accounts.items()})
    person, pool = item.get("person"), item.get("pool")
    if (person is None) == (pool is None) or (kind == "pool" and pool is None):
        raise BadLadder("A step leads to one person or to one pool.")
    to_person, to_pool = (None if value is None else _whole(value) for value in (person, pool))
    if kind == "pool":
        return Step(kind, name, pool=to_pool)
    low, high = ([*item.get("employees", ()), None, None])[:2]
    least, most = ([*item.get("mrr", ()), None, None])[:2]
    step = Step(
        kind,
        name,
        plans=frozenset(str(plan).casefold() for plan in item.get("plans", ())),
        countries=frozenset(str(country).casefold() for country in item.get("countries", ())),
        employees=(None if low is None else _whole(low), None if high is None else _whole(high)),
        mrr=(None if least is None else Decimal(str(least)), None if most is None else Decimal(str(most))),
        person=to_person,
        pool=to_pool,
    )
    if not (step.plans or step.countries or any(b is not None for b in (*step.employees, *step.mrr))):
        raise BadLadder("A territory or segment has at least one condition.")
    for lower, upper in (step.employees, step.mrr):
        if lower is not None and upper is not None and lower > upper:
            raise BadLadder("A range ends before it begins.")
    return step


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadLadder("Expected a whole number.")
    return value


def _stored(step: Step) -> dict[str, Any]:
    stored: dict[str, Any] = {"kind": step.kind}
    if step.name:
        stored["name"] = step.name
    if step.kind == "owner":
        stored["last_owner_days"] = step.last_owner_days
    if step.kind == "named":
        stored["accounts"] = dict(sorted(step.accounts.items()))
    if step.kind == "rule":
        stored |= {"plans": sorted(step.plans), "countries": sorted(step.countries)}
        stored |= {"employees": list(step.employees), "mrr": [None if b is None else str(b) for b in step.mrr]}
    if step.person is not None:
        stored["person"] = step.person
    if step.pool is not None:
        stored["pool"] = step.pool
    return stored
