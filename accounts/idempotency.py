"""A program's write with a key of its own: done at most once, and answered again as it was.

The key is claimed in a small transaction of its own, under a lease. The act, and the answer that is kept, commit
together: whoever dies before that has done nothing, and after the lease the same request may be sent again. Only
answers of acts that were done are kept; what was refused changed nothing, gives its key back, and is judged anew.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import Error, IntegrityError, transaction

from accounts.models import ApiToken, IdempotencyKey
from plgops.lib.db import in_one_transaction

KEPT = dt.timedelta(hours=24)
LEASE = dt.timedelta(seconds=60)  # longer than a request may take
LONGEST = 200
AT_ONCE = 500  # rows of a sweep's transaction
TASK = "accounts.sweep_idempotency"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write is answered: HTTP status and JSON; `replayed`: it was done by an earlier request."""

    status: int
    body: Any
    replayed: bool = False


class AtWork(Exception):
    """The same request is being worked on by somebody else right now."""


class OtherRequest(Exception):
    """The key stands for a request that asked something else."""


def asked(*parts: Any) -> str:
    """What a request asks, as a hash: the same parts, in whatever order their keys stand, give the same one."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def once(
    *, token: ApiToken, key: str, request_hash: str, now: dt.datetime, act: Callable[[], tuple[int, Any]]
) -> Answer:
    """Do `act`, which answers status and JSON, unless it was done under this key: then what it answered.

    `act` runs in one transaction with what is kept of it, and all of it again after a deadlock. Raises AtWork,
    OtherRequest, and what `act` raises: then nothing was done and the key is free.
    """
    row = _claimed(token, key, request_hash, now)
    if row.status is not None:
        return Answer(row.status, row.body, replayed=True)
    try:
        return in_one_transaction(lambda: _acted(row, act))
    except Exception:
        with contextlib.suppress(Error):  # the database is away: the lease ends by itself
            IdempotencyKey.objects.filter(pk=row.pk, lease_until=row.lease_until).delete()
        raise


def _acted(row: IdempotencyKey, act: Callable[[], tuple[int, Any]]) -> Answer:
    """The row stays locked to the commit: if its lease has ended meanwhile, whoever takes it over waits for us."""
    held = IdempotencyKey.objects.select_for_update().filter(pk=row.pk, lease_until=row.lease_until)
    if held.first() is None:
        raise AtWork
    status, body = act()
    IdempotencyKey.objects.filter(pk=row.pk).update(status=status, body=body, lease_until=None)
    return Answer(status, body)


def _claimed(token: ApiToken, key: str, request_hash: str, now: dt.datetime) -> IdempotencyKey:
    """The row of the key: ours to work on (`status` is none), or answered before."""
    rows = IdempotencyKey.objects.filter(token=token, key=key)
    with transaction.atomic():
        row = rows.first()
        if row is not None and row.created_at <= now - KEPT and (row.lease_until is None or row.lease_until <= now):
            row.delete()
            row = None
        if row is None:
            try:
                with transaction.atomic():
                    return IdempotencyKey.objects.create(
                        token=token, key=key, request_hash=request_hash, created_at=now, lease_until=now + LEASE
                    )
            except IntegrityError:  # somebody else was faster
                row = rows.first()
        if row is None:
            raise AtWork
        if row.request_hash != request_hash:
            raise OtherRequest
        if row.status is None:
            ended = row.lease_until is not None and row.lease_until <= now
            taken = ended and rows.filter(lease_until=row.lease_until).update(lease_until=now + LEASE)
            if not taken:
                raise AtWork
            row.lease_until = now + LEASE
        return row


def sweep(*, now: dt.datetime) -> int:
    """Forget what is older than KEPT, AT_ONCE rows; how many there were."""
    old = IdempotencyKey.objects.filter(created_at__lte=now - KEPT).order_by("created_at", "pk")
    gone, _ = IdempotencyKey.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:AT_ONCE])).delete()
    return gone
