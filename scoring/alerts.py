"""Tell people that something happened: one row, in the transaction of the change. A sweep turns it into deliveries.

Nothing is sent here and nobody is looked for: whoever changes a handoff holds its company's lock. The kinds
are `AlertFact.Kind`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from accounts.team import forgetting
from plgops.lib.db import after_commit
from plgops.lib.doorbell import ring
from scoring.models import AlertFact, ClaimLinkUse, Handoff

TASK = "scoring.tell_alerts"  # the sweep that finds who wants to hear of it
FORGET_TASK = "scoring.forget_alerts"
AT_ONCE = 500  # rows of a sweep's transaction


def tell(
    kind: str, *, handoff: Handoff | None, account_id: int, now: dt.datetime, detail: dict[str, Any], key: str
) -> None:
    """Note that `kind` (one of AlertFact.Kind) happened to this account at `now`; to be told once per `key`.

    In the caller's transaction: what rolls back is never told, and what commits is never lost. Again with the
    same kind and key: nothing. `detail` is plain JSON.
    """
    tell_many(kind, [Told(account_id, detail, key, handoff)], now=now)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell; as `tell` takes it."""

    account_id: int
    detail: dict[str, Any]
    key: str
    handoff: Handoff | None = None


def tell_many(kind: str, told: Iterable[Told], *, now: dt.datetime) -> None:
    """`tell` for several of a kind, in one statement."""
    if kind not in AlertFact.Kind.values:
        raise ValueError(f"{kind} is no kind of alert")
    facts = [
        AlertFact(kind=kind, key=one.key, account_id=one.account_id, handoff=one.handoff, at=now, detail=one.detail)
        for one in told
    ]
    if facts:
        AlertFact.objects.bulk_create(facts, ignore_conflicts=True)
        after_commit(ring, TASK)


def forget(*, now: dt.datetime) -> int:
    """Delete what was told, and used claim links, of before the days that alerts are kept, AT_ONCE of each; how many.

    Such links ended long ago, so that none can be used again; the forecast looks back less far.
    """
    old = forgetting.before(now)
    if old is None:
        return 0
    told = AlertFact.objects.filter(at__lte=old, told_at__isnull=False).order_by("at", "pk")
    used = ClaimLinkUse.objects.filter(used_at__lte=old).order_by("pk")
    facts, _ = AlertFact.objects.filter(pk__in=list(told.values_list("pk", flat=True)[:AT_ONCE])).delete()
    links, _ = ClaimLinkUse.objects.filter(pk__in=list(used.values_list("pk", flat=True)[:AT_ONCE])).delete()
    return facts + links
