"""Open handoffs whose owner does not work handoffs any more: they go down the ladder again, asleep or not.

Whoever leaves, or is given another role, is found by a sweep: nothing has to be remembered on the day. Where the ladder
leads to nobody, the handoff is new again for everybody to claim.
"""

from __future__ import annotations

import datetime as dt
import logging

from django.db.models import Q

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import in_one_transaction
from scoring import routing, speed
from scoring.handoff_states import give_back, locked
from scoring.models import Assignment, Handoff

logger = logging.getLogger(__name__)

LIMIT = 200  # of a sweep


def gone() -> list[int]:
    """The ids of staff who do not work handoffs: without the role, or not here any more. One query."""
    works = Q(groups__name__in=sorted(routing.WORKERS)) | Q(is_superuser=True)
    working = StaffUser.objects.filter(works, is_active=True)
    return list(StaffUser.objects.exclude(pk__in=working.values("pk")).values_list("pk", flat=True))


def sweep(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Give on what such people still have, the longest theirs first; how many. Any number of sweeps at once."""
    rows = Handoff.objects.filter(owner__in=gone(), closed_at=None).order_by("claimed_at", "pk")
    return sum(_alone(pk, now=now) for pk in list(rows.values_list("pk", flat=True)[:limit]))


def _alone(handoff_id: int, *, now: dt.datetime) -> bool:
    """One handoff in its own transaction; one that fails stops nobody else."""
    try:
        return in_one_transaction(lambda: _give_on(handoff_id, now=now))
    except Exception:
        logger.exception("handoff %s of somebody who left", handoff_id)
        return False


def _give_on(handoff_id: int, *, now: dt.datetime) -> bool:
    handoff = locked(handoff_id)
    owner = StaffUser.objects.filter(pk=handoff.owner_id or 0).first()
    if handoff.closed_at or owner is None or access.may(owner, "handoffs.work"):
        return False  # somebody else was here first
    give_back(handoff, now=now)
    audit.record(
        action="handoff.orphaned",
        obj=handoff,
        by=None,
        now=now,
        account_id=handoff.company_id,
        detail={"of": owner.label},
    )
    routing.route(handoff, handoff.company, now=now, cause=Assignment.Cause.LEFT)
    speed.follow(handoff)
    return True
