"""How much of what its plan allows an account has used this billing month."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from accounts.models import Account, EventType, PlanLimit, UsageDay
from plgops.lib import days

NEAR = 80  # percent from which a limit is near


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit: the sum of what was metered since the first of the month, and what the plan allows of it."""

    metric: str
    used: Decimal
    allowed: Decimal

    @property
    def percent(self) -> int:
        """Of the limit, rounded down: 99.9 is not yet reached."""
        return int(self.used * 100 / self.allowed)

    @property
    def tone(self) -> str:
        """How it is shown: reached, near, or neither."""
        return "bad" if self.percent >= 100 else "warn" if self.percent >= NEAR else ""


def use_of_limits(account: Account, *, today: int) -> list[LimitUse]:
    """The limits of the account's plan in force on a workspace day with their use, the fullest first.

    Limits of a metered event only: those of a trait have no use to add up. Three queries, one where the plan has none.
    """
    in_force: dict[str, int] = {}
    rows = PlanLimit.objects.filter(plan__code=account.plan, from_day__lte=today).order_by("from_day")
    for metric, limit in rows.values_list("metric", "limit"):
        in_force[metric] = limit
    if not in_force:
        return []
    types = dict(EventType.objects.filter(name__in=in_force).exclude(metered_property="").values_list("pk", "name"))
    first = days.day_number(days.date_of(today).replace(day=1))
    sums = (
        UsageDay.objects.filter(account_id=account.pk, event_type_id__in=types, day__gte=first, day__lte=today)
        .values("event_type_id")
        .annotate(used=Sum("sum_value"))
        .order_by()
    )
    used = {types[row["event_type_id"]]: row["used"] for row in sums}
    found = [
        LimitUse(name, Decimal(used.get(name, 0)) / days.MICRO, Decimal(in_force[name]) / days.MICRO)
        for name in types.values()
    ]
    return sorted(found, key=lambda use: (-use.percent, use.metric))
