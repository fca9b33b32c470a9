"""AccountDue rows of very many accounts: how many wait, and finishing those that nobody has in hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import connection
from django.db.models import F, Q

from accounts.models import AccountDue
from plgops.lib.db import lock_free_rows


def waiting(*, consumer: str, today: int, version: int, cap: int) -> int:
    """How many accounts a consumer has to look at: changed, due by time, or not yet followed to `version`.

    Three ranges of indexes, each read to at most `cap` entries; who waits for two reasons is counted twice.
    """
    mine = AccountDue.objects.filter(consumer=consumer)
    ranges = (
        mine.filter(is_behind=True),
        mine.filter(due_day__lte=today, changed_seq=F("done_seq")),
        mine.filter(followed_version=None),
        mine.filter(followed_version__lt=version),
    )
    return sum(len(rows.order_by().values_list("pk")[:cap]) for rows in ranges)


def finish_unclaimed(
    done: Sequence[tuple[int, int, int | None]], *, consumer: str, now: dt.datetime, today: int, version: int
) -> int:
    """Write `done_seq`, the next due day and the version for (account, changed_seq, due day); how many were written.

    Only rows that wait, whose `changed_seq` is still that one, that nobody has locked or leased and that were
    not pushed back after an error. Needs a transaction, in which the verdict still stands.
    """
    given = {account_id: (seq, due_day) for account_id, seq, due_day in done}
    waits = Q(is_behind=True) | Q(due_day__lte=today) | Q(followed_version=None) | Q(followed_version__lt=version)
    rows = AccountDue.objects.filter(
        waits, consumer=consumer, account_id__in=given, lease_until=None, attempts=0, retry_at=None
    )
    held = lock_free_rows(rows.order_by("account_id")).values_list("pk", "account_id", "changed_seq")
    ours = [(pk, *given[account_id]) for pk, account_id, seq in held if seq == given[account_id][0]]
    if not ours:
        return 0
    casts = "(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS integer))"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_accountdue AS d SET done_seq = v.column2, due_day = v.column3, followed_version = %s,"
            f" changed_at = %s FROM (VALUES {', '.join([casts] * len(ours))}) AS v WHERE d.id = v.column1",
            [version, now, *(value for row in ours for value in row)],
        )
    return len(ours)
