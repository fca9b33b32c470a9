"""A sales floor: sellers with what they can take, pools, and a ladder that leads to them."""

from __future__ import annotations

import datetime as dt
import itertools

from accounts.models import Account, BusinessCalendar, StaffUser
from plgops.lib import access
from plgops.lib.db import in_one_transaction
from scoring import handoff_states, routing
from scoring.models import Assignment, Handoff, PoolMember, RoutingLadder, RoutingPool
from tests.conftest import NOW, make_staff
from tests.factories.scoring import make_account

OFFICE = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
_number = itertools.count(1)


def sellers(*names: str) -> list[StaffUser]:
    """Sales reps of these first names."""
    return [make_staff(name.lower(), access.SALES_REP, first_name=name) for name in names]


def office(name: str = "Office", zone: str = "UTC") -> BusinessCalendar:
    """Monday to Friday, nine to five."""
    return BusinessCalendar.objects.create(name=name, time_zone=zone, hours=OFFICE)


def pool_of(*people: StaffUser, name: str = "Everybody") -> RoutingPool:
    """A pool in which everybody has the same weight."""
    pool = RoutingPool.objects.create(name=name)
    PoolMember.objects.bulk_create([PoolMember(pool=pool, person=person) for person in people])
    return pool


def ladder_of(*steps: dict) -> RoutingLadder:
    """The ladder in force from now on."""
    last = RoutingLadder.objects.order_by("-number").values_list("number", flat=True).first() or 0
    return RoutingLadder.objects.create(number=last + 1, steps=list(steps), published_at=NOW)


def waiting(company: Account | None = None, *, at: dt.datetime = NOW, **values) -> Handoff:
    """A handoff that nobody has."""
    company = company or make_account(f"Company {next(_number)}", **values)
    return Handoff.objects.create(company=company, opened_at=at, newest_evidence_at=at)


def go(handoff: Handoff, *, now: dt.datetime = NOW, **more) -> Assignment:
    """Route it as an opening does: under its locks, in one transaction."""

    def call() -> Assignment:
        found = handoff_states.locked(handoff.pk)
        return routing.route(found, found.company, now=now, **more)

    return in_one_transaction(call)
