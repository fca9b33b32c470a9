"""Who is given a handoff: the ladder in force, applied under locks; every walk down it keeps its reasons.

`route` and its like need a transaction, the company's lock and the handoff's. They lock the ladder's pools, then the
rows of the people with limits, each in order of id: two that give at once see each other's turns and counts.
Verbs for admins are in scoring/routing_desk.py; the arithmetic is in ladder, pools and availability (pure).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from django.db.models import Count, F, Q

from accounts.models import Account, StaffUser
from accounts.team import audit
from accounts.team.calendars import calendar_of
from accounts.workspace import day_of, zone
from plgops.lib import access, days
from scoring import handoff_states, ladder
from scoring.alerts import tell
from scoring.availability import Load, Person
from scoring.ladder import Company, Decision, Pool, Step
from scoring.models import (
    AlertFact,
    Assignment,
    Handoff,
    Leave,
    PoolMember,
    RoutingLadder,
    RoutingPool,
    Seller,
)
from scoring.pools import Seat, Turn

Cause = Assignment.Cause
FIRST_STEPS = [{"kind": "owner", "last_owner_days": 0}]
WORKERS = access.CAPABILITIES["handoffs.work"]


def current() -> RoutingLadder:
    """The ladder in force: the highest version."""
    found = RoutingLadder.objects.order_by("-number").first()
    if found is None:  # emptied by hand: as it was in the beginning
        found, _ = RoutingLadder.objects.get_or_create(
            number=1, defaults={"steps": FIRST_STEPS, "published_at": days.EPOCH_AT, "reason": "As it was"}
        )
    return found


def route(
    handoff: Handoff, company: Account, *, now: dt.datetime, cause: str = Cause.OPENED, without: Collection[int] = ()
) -> Assignment:
    """Give a new handoff to whom the ladder leads, or leave it in the queue; the assignment says why.

    `without`: ids of people who must not be given it.
    """
    version = current()
    steps = ladder.read(version.steps)
    decision = _decide(steps, facts_of(company, handoff), now=now, without=without)
    return _apply(handoff, company, version, steps, decision, now=now, cause=cause)


def give_to_owner(handoff: Handoff, company: Account, *, now: dt.datetime) -> Assignment | None:
    """A new handoff whose company has an owner by now goes to them, where the ladder has such a step; else None."""
    version = current()
    steps = ladder.read(version.steps)
    if company.owner_id is None:
        return None
    only = [step if step.kind == "owner" else None for step in steps]
    decision = _decide(only, facts_of(company), now=now, without=())
    if decision.person is None:
        return None
    return _apply(handoff, company, version, steps, decision, now=now, cause=Cause.OWNED)


def credit_back(handoff: Handoff, now: dt.datetime) -> bool:
    """The handoff was a bad lead: whoever's turn it took is owed another. Whether anybody is; once per handoff.

    Needs a transaction and the handoff's lock.
    """
    given = handoff.assignments.filter(pool__isnull=False, given_back_at=None).order_by("-pk").first()
    if given is None or given.pool_id is None:
        return False
    RoutingPool.objects.select_for_update(no_key=True).get(pk=given.pool_id)
    member = PoolMember.objects.filter(pool=given.pool_id, person=given.person_id).first()
    if member is None:
        return False
    member.owed += 1
    member.save(update_fields=["owed"])
    given.given_back_at = now
    given.save(update_fields=["given_back_at"])
    return True


def credit_again(handoff: Handoff) -> None:
    """The outcome was taken back: so is the turn that was given back, unless it was taken already."""
    given = handoff.assignments.filter(given_back_at__isnull=False).order_by("-pk").first()
    if given is None or given.pool_id is None:
        return
    RoutingPool.objects.select_for_update(no_key=True).get(pk=given.pool_id)
    PoolMember.objects.filter(pool=given.pool_id, person=given.person_id, owed__gt=0).update(owed=F("owed") - 1)
    given.given_back_at = None
    given.save(update_fields=["given_back_at"])


# --- what the ladder asks, read from the tables ------------------------------------------------------------------


def facts_of(company: Account, handoff: Handoff | None = None) -> Company:
    """What the steps ask about a company; who had it last stands on its handoff."""
    return Company(
        external_id=company.external_id,
        domain=company.domain,
        plan=company.plan,
        country=str(company.traits.get("country") or ""),
        employees=company.employees,
        mrr=company.mrr,
        owner=company.owner_id,
        last_owner=handoff.last_owner_id if handoff else None,
        last_owned_at=handoff.last_owner_until if handoff else None,
    )


def people(ids: Iterable[int], *, lock: bool = False) -> dict[int, Person]:
    """These people with what they can take: four queries. `lock`: the rows of those with limits, in order of id."""
    ids = set(ids)
    if not ids:
        return {}
    works = Q(groups__name__in=sorted(WORKERS)) | Q(is_superuser=True)
    working = set(StaffUser.objects.filter(works, pk__in=ids).values_list("pk", flat=True))
    active = set(StaffUser.objects.filter(pk__in=ids, is_active=True).values_list("pk", flat=True))
    rows = Seller.objects.select_related("calendar").filter(person__in=ids).order_by("pk")
    sellers = {s.person_id: s for s in (rows.select_for_update(of=("self",), no_key=True) if lock else rows)}
    away = defaultdict(list)
    for person, first, last in Leave.objects.filter(person__in=ids).values_list("person", "first_day", "last_day"):
        away[person].append((first, last))
    return {
        pk: person_of(sellers.get(pk), pk=pk, is_active=pk in active, works=pk in working, leaves=tuple(away[pk]))
        for pk in ids
    }


def person_of(
    seller: Seller | None, *, pk: int, is_active: bool, works: bool, leaves: tuple[tuple[dt.date, dt.date], ...]
) -> Person:
    """One person as the ladder sees them."""
    if seller is None:
        return Person(pk, is_active, works, zone(), leaves=leaves)
    calendar = calendar_of(seller.calendar)
    return Person(
        pk,
        is_active,
        works,
        calendar.zone if calendar else zone(),
        calendar,
        seller.daily_cap,
        seller.open_cap,
        leaves,
        seller.ramp_from,
        tuple(seller.ramp),
    )


def loads(found: Iterable[Person], *, now: dt.datetime) -> dict[int, Load]:
    """What those with caps have; nobody else is counted."""
    return all_loads([p.id for p in found if p.daily_cap is not None or p.open_cap is not None], now=now)


def all_loads(ids: Iterable[int], *, now: dt.datetime) -> dict[int, Load]:
    """What these people have: given to them this workspace day (given-back turns not counted), and open."""
    capped = list(ids)
    if not capped:
        return {}
    midnight = days.start_of(day_of(now), zone())
    given = Assignment.objects.filter(person__in=capped, at__gte=midnight, given_back_at=None)
    today = dict(given.values_list("person").annotate(n=Count("pk")).order_by())
    owned = Handoff.objects.filter(owner__in=capped, closed_at=None).exclude(status=Handoff.Status.SNOOZED)
    opened = dict(owned.values_list("owner").annotate(n=Count("pk")).order_by())
    return {pk: Load(today.get(pk, 0), opened.get(pk, 0)) for pk in capped}


def pools(ids: Iterable[int], *, lock: bool = False) -> dict[int, Pool]:
    """These pools with their members; retired ones are empty. `lock`: in order of id, until the transaction ends."""
    rows = RoutingPool.objects.filter(pk__in=set(ids)).order_by("pk")
    found = list(rows.select_for_update(no_key=True) if lock else rows)
    seats = defaultdict(list)
    for member in PoolMember.objects.filter(pool__in=found).order_by("person"):
        seats[member.pool_id].append(Seat(member.person_id, member.weight, member.level, member.owed))
    return {
        pool.pk: Pool(() if pool.retired_at else tuple(seats[pool.pk]), Turn(pool.turn_level, pool.turn_person))
        for pool in found
    }


# --- one walk ----------------------------------------------------------------------------------------------------


def _decide(steps: Sequence[Step | None], company: Company, *, now: dt.datetime, without: Collection[int]) -> Decision:
    asked = [step or _NOBODY for step in steps]
    found = pools(wanted, lock=True) if (wanted := ladder.pools_of(asked)) else {}
    seated = {seat.person for pool in found.values() for seat in pool.seats}
    who = people(seated | ladder.candidates(asked, company, at=now), lock=True)
    return ladder.decide(
        asked, company, people=who, loads=loads(who.values(), now=now), pools=found, at=now, without=without
    )


_NOBODY = Step("named")  # leads to nobody: stands for a step that is not asked, so that the others keep their place


def _apply(
    handoff: Handoff,
    company: Account,
    version: RoutingLadder,
    steps: Sequence[Step],
    decision: Decision,
    *,
    now: dt.datetime,
    cause: str,
) -> Assignment:
    Assignment.objects.filter(handoff=handoff, retry_at__isnull=False).update(retry_at=None)
    step = None if decision.step is None else steps[decision.step]
    place = {}
    if decision.turn:
        seat, last = decision.turn.seat, decision.turn.turn
        assert decision.pool is not None
        PoolMember.objects.filter(pool=decision.pool, person=seat.person).update(level=seat.level, owed=seat.owed)
        RoutingPool.objects.filter(pk=decision.pool).update(turn_level=last.level, turn_person=last.person)
        place = {"order": list(decision.turn.order), "owed": decision.turn.was_owed}
    given = Assignment.objects.create(
        handoff=handoff,
        at=now,
        cause=cause,
        ladder=version,
        step=decision.step,
        kind=step.kind if step else "",
        rule=step.label if step else "",
        person_id=decision.person,
        pool_id=decision.pool,
        place=place,
        skipped=[{"id": skip.person, "why": skip.why, "step": skip.step} for skip in decision.skipped],
        retry_at=decision.retry_at,
    )
    if decision.person is not None and step is not None:
        owner = StaffUser.objects.get(pk=decision.person)
        owned = step.kind == "owner" and company.owner_id == owner.pk
        why = "owns the account" if owned else step.label
        handoff_states.take(handoff, owner=owner, now=now, assigned=True)
        detail = {"to": owner.label, "why": why}
        audit.record(
            action="handoff.assigned", obj=handoff, by=None, now=now, account_id=handoff.company_id, detail=detail
        )
        tell(
            AlertFact.Kind.HANDOFF_ASSIGNED,
            handoff=handoff,
            account_id=handoff.company_id,
            now=now,
            detail={"to": owner.pk, "why": why},
            key=f"{handoff.pk}:{owner.pk}:{now.isoformat()}",
        )
    return given
