"""How far an account has come: the ledger that the other floors write facts to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from accounts import due
from accounts.models import Hold, Stage, StageEntry
from accounts.workspace import day_of
from plgops.lib import bulk

SIGNED_UP_BY = "signup"  # the cause of a sign-up's entry

_LEDGER = bulk.Table(
    StageEntry._meta.db_table,
    (
        ("account_id", "bigint"),
        ("origin_id", "bigint"),
        ("stage", "text"),
        ("at", "timestamptz"),
        ("day", "int"),
        ("recorded_at", "timestamptz"),
        ("cause", "text"),
        ("reference", "text"),
        ("definition_version_id", "bigint"),
    ),
)


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage that an account reached, as a verb that knows of several names it."""

    account_id: int
    stage: str
    at: dt.datetime
    reference: str
    definition_version_id: int | None = None


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


def reach_many(entries: Sequence[Reached], *, now: dt.datetime, cause: str, importing: bool = False) -> set[int]:
    """`reach` for many accounts, in one statement and one more that marks them; the accounts with a new entry.

    `importing`: the change counts as an import's.
    """
    rows = [
        (e.account_id, e.account_id, e.stage, e.at, day_of(e.at), now, cause, e.reference, e.definition_version_id)
        for e in entries
    ]
    written = bulk.write_returning(_LEDGER, rows, "ON CONFLICT (origin_id, stage, reference) DO NOTHING", "account_id")
    changed = {account_id for (account_id,) in written}
    due.mark_changed(changed, now=now, importing=importing)
    return changed


def unknown(entries: Sequence[Reached]) -> list[Reached]:
    """Those of them whose account has no entry of the stage at that moment yet, whatever wrote it (one query)."""
    stages, account_ids = {e.stage for e in entries}, {e.account_id for e in entries}
    rows = StageEntry.objects.filter(account_id__in=account_ids, stage__in=stages)
    known = set(rows.values_list("account_id", "stage", "at"))
    return [e for e in entries if (e.account_id, e.stage, e.at) not in known]


def redate(moments: Mapping[str, dt.datetime], *, account_ids: Collection[int], stage: str) -> None:
    """Give these accounts' entries of a stage other times, by reference. Whoever calls marks the accounts changed."""
    rows = list(StageEntry.objects.filter(origin_id__in=account_ids, stage=stage, reference__in=moments))
    for row in rows:
        row.at = moments[row.reference]
        row.day = day_of(row.at)
    StageEntry.objects.bulk_update(rows, ["at", "day"])


def sign_up(signups: Mapping[int, dt.datetime], *, tombs: Collection[int], now: dt.datetime) -> None:
    """Write when these accounts signed up, wherever that was before; `tombs`, which are merged away, never did.

    To be called in the transaction that moves a sign-up, which marks the accounts changed itself.
    """
    if tombs:
        StageEntry.objects.filter(origin_id__in=tombs, cause=SIGNED_UP_BY).delete()
    bulk.write(
        _LEDGER,
        [
            (pk, pk, Stage.SIGNED_UP.value, at, day_of(at), now, SIGNED_UP_BY, "", None)
            for pk, at in sorted(signups.items())
        ],
        "ON CONFLICT (origin_id, stage, reference) DO UPDATE SET at = excluded.at, day = excluded.day"
        f" WHERE {_LEDGER.name}.at <> excluded.at",
    )


def hold(*, account_id: int, kind: str, source: str, now: dt.datetime) -> bool:
    """Say that an account is better left alone (an urgent ticket is open). True if it was not said before."""
    _, created = Hold.objects.get_or_create(
        account_id=account_id, kind=kind, source=source, until=None, defaults={"since": now}
    )
    return created


def lift(*, account_id: int, kind: str, source: str, now: dt.datetime) -> bool:
    """Take a hold back. True if one was open."""
    return bool(Hold.objects.filter(account_id=account_id, kind=kind, source=source, until=None).update(until=now))


def settle(*, account_ids: Collection[int], cause: str, entries: Sequence[Reached], now: dt.datetime) -> bool:
    """Make the ledger's entries of this cause, of these accounts, exactly `entries`.

    For stages that are derived from facts which may be corrected (payments): what is no longer true goes,
    what stands keeps its `recorded_at`. True if anything changed. To be called in the transaction of the
    fact, which marks the accounts changed itself.
    """
    wanted = {(e.account_id, e.stage, e.reference): e for e in entries}
    gone = []
    for row in StageEntry.objects.filter(account_id__in=account_ids, cause=cause):
        entry = wanted.get((row.account_id, row.stage, row.reference))
        if entry is None or row.origin_id != row.account_id or row.at != entry.at:
            gone.append(row.pk)
        else:
            del wanted[row.account_id, row.stage, row.reference]
    StageEntry.objects.filter(pk__in=gone).delete()
    StageEntry.objects.bulk_create(
        [
            StageEntry(
                account_id=e.account_id,
                origin_id=e.account_id,
                stage=e.stage,
                at=e.at,
                day=day_of(e.at),
                recorded_at=now,
                cause=cause,
                reference=e.reference,
            )
            for e in wanted.values()
        ],
        batch_size=500,
    )
    return bool(gone or wanted)
