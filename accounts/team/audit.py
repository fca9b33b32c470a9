"""Who did what, when: one row, written in the transaction of the change itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models

from accounts.models import AuditEntry, StaffUser


def record(
    *,
    action: str,
    obj: models.Model,
    by: StaffUser | None,
    now: dt.datetime,
    account_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write one audit row. `action` is `noun.verb`; `by` None means plgops itself; `detail` must be plain JSON."""
    return AuditEntry.objects.create(
        at=now,
        actor_id=by.pk if by else None,
        actor_label=by.label if by else "plgops",
        action=action,
        object_type=obj._meta.model_name or "",
        object_id=obj.pk,
        object_label=str(obj)[:300],
        account_id=account_id,
        detail=detail or {},
    )
