"""How far an account has come: the ledger that the other floors write facts to."""

from __future__ import annotations

import datetime as dt

from accounts import due
from accounts.models import Hold, StageEntry
from accounts.workspace import day_of


def reach(
    *,
    account_id: int,
    stage: str,
    at: dt.datetime,
    now: dt.datetime,
    cause: str,
    reference: str = "",
    definition_version_id: int | None = None,
) -> bool:
    """Write that the account reached `stage` at `at`; once per (account, stage, reference).

    True if the entry is new. A new entry is a change of the account, so whatever depends on stages is
    evaluated again. To be called in the transaction of the fact.
    """
    _, created = StageEntry.objects.get_or_create(
        origin_id=account_id,
        stage=stage,
        reference=reference,
        defaults={
            "account_id": account_id,
            "at": at,
            "day": day_of(at),
            "recorded_at": now,
            "cause": cause,
            "definition_version_id": definition_version_id,
        },
    )
    if created:
        due.mark_changed([account_id], now=now)
    return created


def hold(*, account_id: int, kind: str, source: str, now: dt.datetime) -> bool:
    """Say that an account is better left alone (an urgent ticket is open). True if it was not said before."""
    _, created = Hold.objects.get_or_create(
        account_id=account_id, kind=kind, source=source, until=None, defaults={"since": now}
    )
    return created


def lift(*, account_id: int, kind: str, source: str, now: dt.datetime) -> bool:
    """Take a hold back. True if one was open."""
    return bool(Hold.objects.filter(account_id=account_id, kind=kind, source=source, until=None).update(until=now))
