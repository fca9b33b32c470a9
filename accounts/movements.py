"""The changes of MRR that follow from subscription states, and who gets the credit. Pure: values in, values out."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import Motion, RevenueMovement

DEAL_LASTS = dt.timedelta(days=30)  # how long after a deal was won what the company buys came of it
TOUCH_LASTS = dt.timedelta(days=30)  # how long a touch by sales has a part in what the company buys by itself
ZERO = Decimal(0)
Kind = RevenueMovement.Kind


@dataclass(frozen=True, slots=True)
class Movement:
    """A derived change of MRR, before it is a row; `motion` is empty where no fact names it."""

    at: dt.datetime
    kind: str
    amount: Decimal
    mrr_after: Decimal
    plan: str
    motion: str


@dataclass(frozen=True, slots=True)
class Point:
    """A state as `movements` sees it."""

    subscription: tuple[str, str]
    at: dt.datetime
    plan: str
    mrr: Decimal
    motion: str


def movements(points: Sequence[Point]) -> list[Movement]:
    """The changes of the sum of these subscriptions' MRR, oldest first. Pure.

    A movement's plan is the plan after it: that of the subscription with the highest MRR (ties: the greater
    plan), after a churn that of the state that ended it.
    """
    before: Mapping[tuple[str, str], Point] = {}
    total, ever_paid = ZERO, False
    out: list[Movement] = []
    for at, changed, present in _instants(points):
        moved = {
            p.subscription: p.mrr - (before[p.subscription].mrr if p.subscription in before else ZERO) for p in changed
        }
        before = present
        after = sum((p.mrr for p in present.values()), ZERO)
        amount = after - total
        if amount:
            if not total:
                kind = Kind.REACTIVATION if ever_paid else Kind.NEW
            elif not after:
                kind = Kind.CHURN
            else:
                kind = Kind.EXPANSION if amount > 0 else Kind.CONTRACTION
            spoken = [p for p in changed if p.motion]
            motion = max(spoken, key=lambda p: (abs(moved[p.subscription]), p.subscription)).motion if spoken else ""
            out.append(Movement(at, kind, amount, after, plan_of(present.values()), motion))
        total, ever_paid = after, ever_paid or after > 0
    return out


def history(points: Sequence[Point]) -> list[tuple[dt.datetime, str, Decimal]]:
    """Plan and MRR of all these subscriptions together from each instant on, oldest first. Pure."""
    return [
        (at, plan_of(present.values()), sum((p.mrr for p in present.values()), ZERO))
        for at, _, present in _instants(points)
    ]


def _instants(points: Sequence[Point]) -> Iterator[tuple[dt.datetime, list[Point], dict[tuple[str, str], Point]]]:
    """Each instant with the states that begin then, and all that stand from then on."""
    by_instant: dict[dt.datetime, list[Point]] = defaultdict(list)
    for point in points:
        by_instant[point.at].append(point)
    present: dict[tuple[str, str], Point] = {}
    for at in sorted(by_instant):
        changed = sorted(by_instant[at], key=lambda p: p.subscription)
        present = present | {point.subscription: point for point in changed}
        yield at, changed, present


def plan_of(present: Iterable[Point]) -> str:
    """The plan that counts: the dearest active subscription's, else that of the newest state that names one."""
    rows = list(present)
    active = [p for p in rows if p.mrr > 0]
    if active:
        return max(active, key=lambda p: (p.mrr, p.plan)).plan
    named = [p for p in rows if p.plan]
    return max(named, key=lambda p: (p.at, p.plan)).plan if named else ""


def motion_from(
    touches: Iterable[dt.datetime], at: dt.datetime, won: Iterable[tuple[dt.datetime, dt.datetime]] = ()
) -> str:
    """The motion of what the company buys at `at` where no fact names one. Pure.

    Sales where it bought while one of the deals that the CRM says were `won` (opened, won) was open, or within
    DEAL_LASTS after. Sales-touched within TOUCH_LASTS after one of the `touches`, else self-serve. What people click
    about their handoff (claimed, won, returned) is neither.
    """
    if any(opened <= at <= closed + DEAL_LASTS for opened, closed in won):
        return Motion.SALES
    touched = any(at - TOUCH_LASTS <= moment <= at for moment in touches)
    return Motion.SALES_TOUCHED if touched else Motion.SELF_SERVE
