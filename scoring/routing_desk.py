"""What admins and managers decide about routing: the ladder, its pools, what people can take, leave, speed policies.

Every verb says which edition it edited and is refused when somebody else was faster (Stale): nobody overwrites what
they have not seen. Each leaves an audit row in its transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib import access
from scoring import ladder, routing
from scoring.handoff_states import NotAllowed, Refused
from scoring.ladder import BadLadder, Step
from scoring.models import (
    Leave,
    Play,
    PoolMember,
    RoutingLadder,
    RoutingPool,
    Seller,
    SpeedPolicy,
)

M = TypeVar("M", bound=models.Model)
LONGEST_RAMP = 26  # weeks
MOST_MEMBERS = 200


class Stale(Exception):
    """Somebody else changed it since it was opened."""


def may_plan(user: Any, person_id: int) -> bool:
    """Whether `user` may say when this person is away and what they take: a manager anybody's, a seller their own."""
    return access.may(user, "routing.people") or (user.pk == person_id and access.may(user, "handoffs.work"))


def publish(
    *, steps: list[dict[str, Any]], replaces: int, reason: str, by: StaffUser, now: dt.datetime
) -> RoutingLadder:
    """Make this the ladder in force, over version `replaces`. BadLadder, or Stale when another one came before."""
    _require(by, "routing.edit")
    read = ladder.read(steps)
    if routing.current().number != replaces:
        raise Stale
    try:
        with transaction.atomic():
            _check(read)
            made = RoutingLadder.objects.create(
                number=replaces + 1, steps=ladder.write(read), reason=reason.strip(), published_at=now, published_by=by
            )
            audit.record(
                action="routing.published",
                obj=made,
                by=by,
                now=now,
                detail={"number": made.number, "reason": made.reason, "steps": [step.label for step in read]},
            )
    except IntegrityError as error:  # the number is taken: two published at once
        raise Stale from error
    return made


def _check(steps: tuple[Step, ...]) -> None:
    """Pools that are there and people who work handoffs; BadLadder names the first that is not.

    The pools are locked: none is retired before the ladder that leads to it is in force.
    """
    found = RoutingPool.objects.select_for_update(no_key=True).filter(pk__in=ladder.pools_of(steps)).order_by("pk")
    pools = {p.pk: p for p in found}
    for step in steps:
        if step.pool is not None and (step.pool not in pools or pools[step.pool].retired_at):
            raise BadLadder(f"{step.label}: choose a pool that is in use.")
    people = routing.people(ladder.people_of(steps))
    labels = {u.pk: u.label for u in StaffUser.objects.filter(pk__in=people)}
    for step in steps:
        for pk in sorted(ladder.people_of([step])):
            if not people[pk].is_active or not people[pk].works:
                raise BadLadder(f"{step.label}: {labels.get(pk, 'somebody')} does not work handoffs.")


@transaction.atomic
def save_pool(
    *, pool_id: int | None, name: str, weights: Mapping[int, int], edition: int, by: StaffUser, now: dt.datetime
) -> RoutingPool:
    """Make a pool, or change its name and who is in it with which weight. A newcomer starts where the round is.

    Refused: no name, a name that is taken, somebody who does not work handoffs, a weight outside 1 to 100.
    """
    _require(by, "routing.edit")
    name = name.strip()[:80]
    if not name:
        raise Refused("A pool needs a name.")
    if len(weights) > MOST_MEMBERS or any(not 1 <= weight <= 100 for weight in weights.values()):
        raise Refused(f"A weight is from 1 to 100, and at most {MOST_MEMBERS} people are in a pool.")
    if RoutingPool.objects.filter(name__iexact=name).exclude(pk=pool_id or 0).exists():
        raise Refused(f"There is a pool called {name} already.")
    pool = _locked(RoutingPool, pool_id, edition) if pool_id else RoutingPool(name=name)
    before = dict(PoolMember.objects.filter(pool=pool_id).values_list("person", "weight")) if pool_id else {}
    for person in routing.people(weights.keys() - before.keys()).values():
        if not (person.is_active and person.works):
            raise Refused("Only people who work handoffs can be in a pool.")
    pool.name = name
    pool.save()
    PoolMember.objects.filter(pool=pool).exclude(person__in=weights).delete()
    for person_id, weight in weights.items():
        PoolMember.objects.update_or_create(pool=pool, person_id=person_id, defaults={"weight": weight})
    detail = {"name": name, "weights": {str(k): v for k, v in weights.items()}, "before": _texts(before)}
    audit.record(action="routing.pool_saved", obj=pool, by=by, now=now, detail=detail)
    return pool


@transaction.atomic
def retire_pool(*, pool_id: int, by: StaffUser, now: dt.datetime) -> RoutingPool:
    """Take a pool out of use. Refused while the ladder in force leads to it."""
    _require(by, "routing.edit")
    pool = RoutingPool.objects.select_for_update(no_key=True).get(pk=pool_id)
    if pool.pk in ladder.pools_of(ladder.read(routing.current().steps)):
        raise Refused("The ladder leads to this pool; take that step out first.")
    if pool.retired_at is None:
        pool.retired_at = now
        pool.save(update_fields=["retired_at"])
        audit.record(action="routing.pool_retired", obj=pool, by=by, now=now, detail={"name": pool.name})
    return pool


@transaction.atomic
def save_seller(
    *, person: StaffUser, fields: Mapping[str, Any], edition: int, by: StaffUser, now: dt.datetime
) -> Seller:
    """Write what somebody can take: calendar, caps, first day and ramp. `edition` 0: they had no limits."""
    _require(by, "routing.people")
    ramp = list(fields.get("ramp") or ())
    if len(ramp) > LONGEST_RAMP or any(not isinstance(p, int) or not 1 <= p <= 100 for p in ramp):
        raise Refused(f"A ramp is at most {LONGEST_RAMP} weeks, each from 1 to 100 percent.")
    seller = Seller.objects.select_for_update(of=("self",), no_key=True).filter(person=person).first()
    if (seller.edition if seller else 0) != edition:
        raise Stale
    if seller is None:
        seller = Seller(person=person, edition=0)
    for name in ("calendar", "daily_cap", "open_cap", "ramp_from"):
        setattr(seller, name, fields.get(name))
    seller.ramp = ramp if seller.ramp_from else []
    seller.edition += 1
    try:
        with transaction.atomic():
            seller.save()
    except IntegrityError as error:  # two wrote the first one
        raise Stale from error
    audit.record(
        action="routing.person_saved", obj=seller, by=by, now=now, detail=_texts(fields) | {"of": person.label}
    )
    return seller


@transaction.atomic
def add_leave(
    *, person: StaffUser, first_day: dt.date, last_day: dt.date, note: str, by: StaffUser, now: dt.datetime
) -> Leave:
    """Note days on which somebody is away, both included: nothing is given to them then."""
    if not may_plan(by, person.pk):
        raise NotAllowed("Only they themselves or a sales manager can say when somebody is away.")
    if last_day < first_day:
        raise Refused("The last day is before the first.")
    leave = Leave.objects.create(person=person, first_day=first_day, last_day=last_day, note=note.strip()[:100])
    days = {"of": person.label, "first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    audit.record(action="routing.leave_added", obj=leave, by=by, now=now, detail=days)
    return leave


@transaction.atomic
def remove_leave(*, leave_id: int, by: StaffUser, now: dt.datetime) -> Leave:
    """Take days of leave back."""
    leave = Leave.objects.select_related("person").get(pk=leave_id)
    if not may_plan(by, leave.person_id):
        raise NotAllowed("Only they themselves or a sales manager can say when somebody is away.")
    days = {"of": leave.person.label, "first_day": str(leave.first_day), "last_day": str(leave.last_day)}
    audit.record(action="routing.leave_removed", obj=leave, by=by, now=now, detail=days)
    leave.delete()
    return leave


@transaction.atomic
def save_policy(
    *,
    policy_id: int | None,
    play: Play | None,
    fields: Mapping[str, Any],
    edition: int,
    by: StaffUser,
    now: dt.datetime,
) -> SpeedPolicy:
    """Make or change a speed policy. Handoffs that are open keep what was promised for them."""
    _require(by, "routing.edit")
    if not (fields.get("claim_minutes") or fields.get("touch_minutes")):
        raise Refused("Give at least one target.")
    policy = _locked(SpeedPolicy, policy_id, edition) if policy_id else SpeedPolicy(play=play)
    if not policy_id and SpeedPolicy.objects.filter(play=play).exists():
        raise Refused("It has a policy already; change that one.")
    names = ("is_on", "claim_minutes", "touch_minutes", "warn_percent", "reroute_after", "escalate_after", "calendar")
    for name in names:
        setattr(policy, name, fields.get(name))
    policy.is_on = bool(policy.is_on)
    policy.save()
    audit.record(action="routing.speed_saved", obj=policy, by=by, now=now, detail=_texts(fields))
    return policy


def _locked(model: type[M], pk: int, edition: int) -> M:
    """The row, locked, one edition further; Stale unless it is still at `edition`."""
    row = model._default_manager.select_for_update(of=("self",), no_key=True).get(pk=pk)
    if row.edition != edition:  # type: ignore[attr-defined]
        raise Stale
    row.edition += 1  # type: ignore[attr-defined]
    return row


def _require(by: StaffUser, capability: str) -> None:
    if not access.may(by, capability):
        raise NotAllowed(access.refusal(capability))


def _texts(values: Mapping[Any, Any]) -> dict[str, Any]:
    """As plain JSON, for the audit row."""
    return {str(k): v if isinstance(v, int | list | type(None)) else str(v) for k, v in values.items()}
