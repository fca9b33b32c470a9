"""What is behind: raise, claim, finish and push back AccountDue rows.

Ingest raises `changed_seq` in the transaction of the change. A consumer claims rows under a lease, reads
`changed_seq` before anything else, computes without a lock, and in one transaction writes its verdict and
`finish()`es with the sequence it had read. If the account changed meanwhile the row simply stays behind.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When

from accounts.models import AccountDue, StaffUser
from accounts.team import audit
from plgops.lib import bulk
from plgops.lib.db import after_commit, is_postgres, lock_free_rows
from plgops.lib.doorbell import ring

MAX_BACKOFF = dt.timedelta(hours=1)
DEATHS_TOGETHER = 2  # workers that may die over some accounts before each of these is claimed by itself
# Rows of a publication in a sweep that has changed ones too: what has just changed must not wait for them. Measured on
# PostgreSQL with four definitions, on a busy machine with two cores: a sweep of 500 takes 0.6 to 0.9 s where a few
# dozen of them qualify and 1.4 to 1.8 s where all do, so it stays whole when nothing else is there; 100 add 0.3 s.
PUBLICATION_SHARE = 100
WORKER_DIED = "The worker died, or took longer than its lease, while it evaluated this account (or others with it)."

_DUE = bulk.Table(
    AccountDue._meta.db_table,
    (
        ("account_id", "bigint"),
        ("consumer", "text"),
        ("changed_seq", "bigint"),
        ("done_seq", "bigint"),
        ("import_seq", "bigint"),
        ("changed_at", "timestamptz"),
        ("lease_token", "text"),
        ("attempts", "int"),
        ("last_error", "text"),
    ),
)
# An import's change that finds a live one waiting takes its place before that one: which of the two came first says
# nothing about the account, and a live one that stood before an import's would be taken for a part of it.
_RAISE = (
    "ON CONFLICT (account_id, consumer) DO UPDATE SET"
    " changed_seq = accounts_accountdue.changed_seq + CASE WHEN excluded.import_seq > 0"
    " AND accounts_accountdue.changed_seq > accounts_accountdue.done_seq"
    " AND accounts_accountdue.changed_seq > accounts_accountdue.import_seq THEN 2 ELSE 1 END,"
    " import_seq = CASE WHEN excluded.import_seq > 0 THEN accounts_accountdue.changed_seq + 1"
    " ELSE accounts_accountdue.import_seq END,"
    " changed_at = CASE WHEN accounts_accountdue.changed_seq > accounts_accountdue.done_seq"
    " THEN accounts_accountdue.changed_at ELSE excluded.changed_at END"
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One account in a consumer's hands until its lease ends."""

    account_id: int
    seq: int  # changed_seq as read at the claim: what the verdict will have seen
    changed: bool  # False: only time has passed
    importing: bool  # an import, or a backfill, is among the changes
    changed_at: dt.datetime | None
    token: str
    followed_version: int | None = None  # newest rule version applied so far; None: never evaluated
    mixed: bool = False  # an import is among the changes, and so is something else


def mark_changed(
    account_ids: Iterable[int],
    *,
    now: dt.datetime,
    importing: bool = False,
    quiet: Collection[int] = (),
    consumers: Collection[str] | None = None,
    active: Iterable[int] = (),
) -> None:
    """Raise `changed_seq` of these accounts for each consumer; one statement, keys in sorted order.

    `importing`: it is an import's change; `quiet`: those of the accounts for which it counts as one anyway. `active`:
    more accounts, of which only events are new: raised for DUE_ON_EVENTS alone.
    To be called in the transaction of the change; the consumers' doorbells ring after the commit.
    """
    names = settings.DUE_CONSUMERS if consumers is None else consumers
    marked = {(pk, name) for pk in account_ids if pk for name in names}
    marked |= {(pk, name) for pk in active if pk for name in settings.DUE_ON_EVENTS}
    rows = [(*key, 1, 0, int(importing or key[0] in quiet), now, "", 0, "") for key in sorted(marked)]
    bulk.write(_DUE, rows, _RAISE)
    for name in sorted({name for _, name in marked}):
        after_commit(ring, settings.DUE_CONSUMERS[name])


def mark_everybody(*, consumer: str, now: dt.datetime, importing: bool = False) -> int:
    """Raise `changed_seq` of every account for one consumer: what it decides by has changed. Rows touched: all.

    The rows are locked in order of account first, as everybody who marks them does.
    """
    with transaction.atomic():
        if is_postgres():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT COUNT(*) FROM (SELECT 1 FROM accounts_accountdue WHERE consumer = %s"
                    " ORDER BY account_id FOR UPDATE) AS held",
                    [consumer],
                )
        quiet = {"import_seq": F("changed_seq") + 1} if importing else {}
        live = Q(changed_seq__gt=F("done_seq")) & Q(changed_seq__gt=F("import_seq"))  # as in `_RAISE`
        after = Case(When(live, then=F("changed_seq") + 2), default=F("changed_seq") + 1)
        touched = AccountDue.objects.filter(consumer=consumer).update(
            changed_seq=after if importing else F("changed_seq") + 1,
            changed_at=Case(When(changed_seq__gt=F("done_seq"), then=F("changed_at")), default=Value(now)),
            **quiet,
        )
        after_commit(ring, settings.DUE_CONSUMERS[consumer])
    return touched


def claim(
    *, consumer: str, now: dt.datetime, today: int, limit: int, lease: dt.timedelta, version: int | None = None
) -> list[Claimed]:
    """Lease up to `limit` accounts that are behind: changed ones (oldest change first), then time-due ones.

    With `version`, the newest rule version that is live, accounts that have not been judged by it come last:
    a publication needs no row of its own and goes on after a crash where it stopped. Beside changed accounts they
    are PUBLICATION_SHARE at most.

    A row whose lease ended belongs to a worker that died. The first time it is simply claimed again; see
    `_after_deaths` for what follows. So fewer rows may come than there are.
    """
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    ready = Q(retry_at__isnull=True) | Q(retry_at__lte=now)
    token = secrets.token_hex(8)
    with transaction.atomic():
        mine = AccountDue.objects.filter(free, ready, consumer=consumer)
        rows = list(lock_free_rows(mine.filter(is_behind=True).order_by("changed_at", "account_id"))[:limit])
        share = PUBLICATION_SHARE if rows else limit
        if len(rows) < limit:
            by_time = mine.filter(due_day__lte=today, changed_seq=F("done_seq")).order_by("due_day", "account_id")
            rows += list(lock_free_rows(by_time)[: limit - len(rows)])
        if version is not None:
            # two ranges of one index, in its order: a large publication is taken from its end, never sorted
            for older in (Q(followed_version__isnull=True), Q(followed_version__lt=version)):
                left = min(share, limit - len(rows))
                if left > 0:
                    by_version = mine.filter(older).exclude(pk__in=[row.pk for row in rows])
                    found = list(lock_free_rows(by_version.order_by("followed_version"))[:left])
                    share -= len(found)
                    rows += found
        rows = _after_deaths(rows, now=now)
        AccountDue.objects.filter(pk__in=[row.pk for row in rows]).update(lease_until=now + lease, lease_token=token)
    return [
        Claimed(
            account_id=row.account_id,
            seq=row.changed_seq,
            changed=row.changed_seq > row.done_seq,
            importing=row.import_seq > row.done_seq,
            changed_at=row.changed_at,
            token=token,
            followed_version=row.followed_version,
            mixed=row.changed_seq > row.import_seq > row.done_seq,
        )
        for row in rows
    ]


def _after_deaths(rows: list[AccountDue], *, now: dt.datetime) -> list[AccountDue]:
    """Count the workers that died with these locked rows in their hands, and say which rows to claim now.

    An account that kills its worker (it takes all the memory, say) takes all that were claimed with it along.
    After the second death each of them comes alone: the innocent ones are finished one by one and are as they
    were, and the one that kills again is known by that, and is pushed back as `fail` does.
    """
    dead = [row for row in rows if row.lease_until is not None]
    if dead:
        AccountDue.objects.filter(pk__in=[row.pk for row in dead]).update(
            attempts=F("attempts") + 1, last_error=WORKER_DIED, lease_until=None, lease_token=""
        )
    for row in dead:
        if _comes_alone(row):
            row.retry_at = now + _backoff(row.attempts)
            AccountDue.objects.filter(pk=row.pk).update(retry_at=row.retry_at)
        row.attempts, row.last_error = row.attempts + 1, WORKER_DIED
    ready = [row for row in rows if row.retry_at is None or row.retry_at <= now]
    alone = next((row for row in ready if _comes_alone(row)), None)
    return ready if alone is None else [alone]


def _comes_alone(row: AccountDue) -> bool:
    return row.attempts >= DEATHS_TOGETHER and row.last_error == WORKER_DIED


def _backoff(attempts: int) -> dt.timedelta:
    """How long to leave an account alone that had failed this often before."""
    return min(dt.timedelta(seconds=10 * 2 ** min(attempts, 10)), MAX_BACKOFF)


def finish(
    claimed: Claimed, *, consumer: str, now: dt.datetime, due_day: int | None, version: int | None = None
) -> bool:
    """Write `done_seq` and the next due day, if the lease is still ours. False: somebody else has it, roll back.

    `version` is the newest rule version that the verdict was made by; None leaves what stands.

    To be called in the transaction that writes the verdict. What changed since the claim stays due.
    """
    followed = {} if version is None else {"followed_version": version}
    return bool(
        AccountDue.objects.filter(
            account_id=claimed.account_id, consumer=consumer, lease_token=claimed.token, done_seq__lte=claimed.seq
        ).update(
            **followed,
            done_seq=claimed.seq,
            due_day=due_day,
            changed_at=now,
            lease_until=None,
            lease_token="",
            retry_at=None,
            attempts=0,
            last_error="",
        )
    )


def finish_many(
    done: Sequence[tuple[Claimed, int | None]], *, consumer: str, now: dt.datetime, version: int | None = None
) -> set[int]:
    """`finish` for many accounts, each with its next due day, in two statements: the ids whose lease was still ours.

    Needs a transaction. The rows are locked in order of account first, as everybody who marks them does.
    """
    if not done:
        return set()
    ids = [claimed.account_id for claimed, _ in done]
    rows = AccountDue.objects.filter(account_id__in=ids, consumer=consumer)
    list(rows.select_for_update().order_by("account_id").values_list("pk"))
    casts = "(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS varchar(32)), CAST(%s AS integer))"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_accountdue AS d SET done_seq = v.column2, due_day = v.column4,"
            " followed_version = COALESCE(%s, d.followed_version), changed_at = %s, lease_until = NULL,"
            " lease_token = '', retry_at = NULL, attempts = 0, last_error = ''"
            f" FROM (VALUES {', '.join([casts] * len(done))}) AS v"
            " WHERE d.account_id = v.column1 AND d.consumer = %s AND d.lease_token = v.column3"
            " AND d.done_seq <= v.column2 RETURNING account_id",
            [
                version,
                now,
                *(value for one, due_day in done for value in (one.account_id, one.seq, one.token, due_day)),
                consumer,
            ],
        )
        return {account_id for (account_id,) in cursor.fetchall()}


def give_back(claimed: Claimed, *, consumer: str) -> None:
    """End the lease without a verdict: what it was made from no longer stands. The account stays behind."""
    AccountDue.objects.filter(account_id=claimed.account_id, consumer=consumer, lease_token=claimed.token).update(
        lease_until=None, lease_token=""
    )


def fail(claimed: Claimed, *, consumer: str, now: dt.datetime, error: str) -> None:
    """Push a poison account back, doubling up to an hour, with the error kept to be shown."""
    row = AccountDue.objects.filter(account_id=claimed.account_id, consumer=consumer, lease_token=claimed.token).first()
    if row is None:
        return
    AccountDue.objects.filter(pk=row.pk, lease_token=claimed.token).update(
        lease_until=None,
        lease_token="",
        retry_at=now + _backoff(row.attempts),
        attempts=F("attempts") + 1,
        last_error=error[:2000],
    )


def retry_now(*, row_ids: Collection[int], by: StaffUser, now: dt.datetime) -> int:
    """Let the next sweep take pushed-back rows at once, whatever their back-off; how many there were."""
    with transaction.atomic():
        rows = list(lock_free_rows(AccountDue.objects.filter(pk__in=row_ids, attempts__gt=0).order_by("pk")))
        AccountDue.objects.filter(pk__in=[row.pk for row in rows]).update(retry_at=None)
        for row in rows:
            audit.record(
                action="accountdue.retried",
                obj=row,
                by=by,
                now=now,
                account_id=row.account_id,
                detail={"consumer": row.consumer, "attempts": row.attempts, "error": row.last_error[:300]},
            )
        for name in sorted({row.consumer for row in rows} & set(settings.DUE_CONSUMERS)):
            after_commit(ring, settings.DUE_CONSUMERS[name])
    return len(rows)
