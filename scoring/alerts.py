"""Tell people that something happened: one row, in the transaction of the change. A sweep turns it into deliveries.

Nothing is sent here and nobody is looked for: whoever changes a handoff holds its company's lock. The kinds
are `AlertFact.Kind`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from plgops.lib.db import after_commit
from plgops.lib.doorbell import ring
from scoring.models import AlertFact, Handoff

TASK = "scoring.tell_alerts"  # the sweep that finds who wants to hear of it


def tell(
    kind: str, *, handoff: Handoff | None, account_id: int, now: dt.datetime, detail: dict[str, Any], key: str
) -> None:
    """Note that `kind` (one of AlertFact.Kind) happened to this account at `now`; to be told once per `key`.

    In the caller's transaction: what rolls back is never told, and what commits is never lost. Again with the
    same kind and key: nothing. `detail` is plain JSON.
    """
    if kind not in AlertFact.Kind.values:
        raise ValueError(f"{kind} is no kind of alert")
    AlertFact.objects.bulk_create(
        [AlertFact(kind=kind, key=key, account_id=account_id, handoff=handoff, at=now, detail=detail)],
        ignore_conflicts=True,
    )
    after_commit(ring, TASK)
