"""Many accounts at once: a publication, a midnight or an import about which an account's verdict changes nothing.

After a publication every account has to be judged by the new version, at midnight thousands of windows lapse, an
import brings tens of thousands of accounts; and nearly all of them do not qualify, before as after. The usage lake
tells in one pass who does not hold and until when at the least; those who have no open episode either are done with
three numbers in AccountDue. All others are left to evaluation (scoring/evaluate.py), which alone writes episodes.

A row is written only while it is what the lake was made from (`changed_seq`), nobody else has it in hand, and the
versions asked about are still live.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence

from accounts import due_in_bulk, lake
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction
from scoring import definitions
from scoring.definitions import CONSUMER, LiveRule
from scoring.engines import columnar
from scoring.models import Handoff, Qualification
from scoring.together import Stale, newest, versions

MANY = 2_000  # so many accounts behind, and asking about everybody takes less time than sweeping over these
CHUNK = 5_000  # rows written in a transaction


def follow(*, now: dt.datetime, at_least: int = MANY) -> int:
    """Finish the accounts that wait and about which nothing changes; how many. Nothing if fewer than `at_least` wait.

    One pass over the usage lake, brought up to date first, and a few columns of AccountDue for everybody. Rows
    written: those finished, CHUNK at a time, each chunk by itself, so what is killed is simply not finished.
    """
    today = day_of(now)
    rules = definitions.live_rules()
    version = newest(rules)
    if version is None or due_in_bulk.waiting(consumer=CONSUMER, today=today, version=version, cap=at_least) < at_least:
        return 0
    lake.refresh(now=now)
    quiet, finished = _quiet(rules, today), 0
    for start in range(0, len(quiet), CHUNK):
        part = quiet[start : start + CHUNK]
        try:
            finished += in_one_transaction(functools.partial(_finish, part, rules, now=now, today=today))
        except Stale:  # another publication: what is left has to be asked again
            break
    return finished


def _quiet(rules: Sequence[LiveRule], today: int) -> list[tuple[int, int, int | None]]:
    """(account, changed_seq, next due day) of those for whom nothing holds and nothing is open, by id."""
    found = columnar.verdicts({rule.version_id: rule.doc for rule in rules}, as_of_day=today)
    loud: set[int] = set()
    soonest: dict[int, int] = {}
    for verdict in (verdict for listed in found.values() for verdict in listed):
        if verdict.holds:
            loud.add(verdict.account_id)
        elif verdict.next_day is not None:
            day = max(verdict.next_day, today + 1)
            soonest[verdict.account_id] = min(soonest.get(verdict.account_id, day), day)
    # read after the rules: an episode that older versions opened meanwhile is here, or was refused
    loud |= set(Qualification.objects.filter(closed_at=None).values_list("account_id", flat=True))
    companies = set(Handoff.objects.filter(closed_at=None).values_list("company_id", flat=True))
    # its facts may lift a child's episode over the motion rule
    below = Qualification.objects.filter(closed_at=None, release=Qualification.Release.SELF_SERVE)
    companies |= {parent for parent in below.values_list("account__parent_id", flat=True) if parent is not None}
    with lake.connection() as db:
        rows = db.execute(
            f"SELECT s.account_id, s.seq, a.parent_id FROM {lake.SEQUENCES} s"
            " JOIN accounts_account a ON a.id = s.account_id ORDER BY s.account_id"
        ).fetchall()
    return [
        (account_id, seq, soonest.get(account_id))
        for account_id, seq, parent_id in rows
        if account_id not in loud and account_id not in companies and parent_id not in companies
    ]


def _finish(
    part: Sequence[tuple[int, int, int | None]], rules: Sequence[LiveRule], *, now: dt.datetime, today: int
) -> int:
    if not definitions.still_stand(versions(rules)):
        raise Stale
    return due_in_bulk.finish_unclaimed(part, consumer=CONSUMER, now=now, today=today, version=newest(rules) or 0)
