"""Who did what, when: one row, written in the transaction of the change itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import models

from accounts.models import Account, AuditEntry, StaffUser


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
    entry = _entry(action, obj, by, now, account_id, detail)
    entry.save(force_insert=True)
    return entry


def record_of_accounts(
    *, action: str, changes: Iterable[tuple[Account, dict[str, Any]]], by: StaffUser | None, now: dt.datetime
) -> None:
    """`record` for the same action on many accounts, each with its own detail, in one statement."""
    AuditEntry.objects.bulk_create(
        [_entry(action, account, by, now, account.pk, detail) for account, detail in changes], batch_size=500
    )


def _entry(
    action: str,
    obj: models.Model,
    by: StaffUser | None,
    now: dt.datetime,
    account_id: int | None,
    detail: dict[str, Any] | None,
) -> AuditEntry:
    return AuditEntry(
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
