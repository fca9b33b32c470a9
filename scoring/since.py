"""Since when a rule has held: the day, and the moment on that day.

Rules work by days, so the day is exact (it comes from the rule's history) and the moment is the newest fact of that day
that the rule asks for: an event, a stage, a trait's value. Where there is none, time alone made it true, and the moment
is the start of that day. What was asked for under a `not` made nothing true.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Max

from accounts.models import Account, StageEntry, TraitValue
from accounts.workspace import zone
from plgops.lib import days
from scoring.engines import appdb, reading
from scoring.rules import tree
from scoring.rules.sql.terms import in_list

TOGETHER = 500  # accounts in one statement; their ids are written into it
Began = tuple[int, int]  # an account, and a day on which a span of its began


@dataclass(frozen=True, slots=True)
class Since:
    """The first day of the span in which the rule holds, and the moment on it."""

    day: int
    at: dt.datetime


def of(doc: tree.DefinitionDoc, *, account_ids: Sequence[int], as_of_day: int, now: dt.datetime) -> dict[int, Since]:
    """Since when the rule has held, by account; without those for whom it does not hold at the end of the day.

    The history of these accounts and four queries more for each TOGETHER of them. Never later than `now`.
    """
    found: dict[int, Since] = {}
    for start in range(0, len(account_ids), TOGETHER):
        part = account_ids[start : start + TOGETHER]
        spans = appdb.history({0: doc}, account_ids=part, until_day=as_of_day)[0]
        began = [(account_id, first) for account_id, first, end in spans if first <= as_of_day < end]
        at = moments(doc, began, now=now)
        found |= {account_id: Since(day, at[account_id, day]) for account_id, day in began}
    return found


def moments(doc: tree.DefinitionDoc, began: Collection[Began], *, now: dt.datetime) -> dict[Began, dt.datetime]:
    """The moment on each of these days on which the rule came true for an account. At most five queries."""
    if not began:
        return {}
    types = reading.event_types()
    leaves = [leaf.node for leaf in tree.leaves(doc.rule, subject=doc.level) if not leaf.negated]
    newest: dict[Began, dt.datetime] = {}
    for facts in (
        _events({number for node in leaves for number in types.ids_of(node)}, began),
        _stages({node.stage for node in leaves if isinstance(node, tree.StageReached)}, began),
        _traits({node.name for node in leaves if isinstance(node, tree.Trait | tree.TraitChanged)}, began),
    ):
        for account_id, day, at in facts:
            newest[account_id, day] = max(newest.get((account_id, day), at), at)
    signed_up = dict(Account.objects.filter(pk__in={pk for pk, _ in began}).values_list("pk", "signed_up_at"))
    found = {}
    for account_id, day in began:
        starts = max(days.start_of(day, zone()), signed_up[account_id])
        found[account_id, day] = min(newest.get((account_id, day), starts), now)
    return found


def _events(type_ids: Iterable[int], began: Iterable[Began]) -> list[tuple[int, int, dt.datetime]]:
    """The newest of these events on each account's day."""
    ids = sorted(type_ids)
    if not ids:
        return []
    asked = ", ".join(f"({int(account_id)}, {int(day)})" for account_id, day in began)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH asked(account_id, day) AS (VALUES {asked}) SELECT u.account_id, u.day, MAX(u.last_us)"
            " FROM asked q CROSS JOIN accounts_usageday u WHERE u.account_id = q.account_id AND u.day = q.day"
            f" AND u.event_type_id IN {in_list(ids)} GROUP BY u.account_id, u.day"
        )
        return [(account_id, day, days.from_micros(int(us))) for account_id, day, us in cursor.fetchall()]


def _stages(stages: Iterable[str], began: Collection[Began]) -> Iterable[tuple[int, int, dt.datetime]]:
    wanted = sorted(stages)
    if not wanted:
        return ()
    rows = StageEntry.objects.filter(stage__in=wanted, **_on(began, "account_id", "day"))
    return rows.values_list("account_id", "day").annotate(newest=Max("at"))


def _traits(names: Iterable[str], began: Collection[Began]) -> Iterable[tuple[int, int, dt.datetime]]:
    """Traits of the accounts themselves: of people's, whose they are decides, and that is not told."""
    wanted = sorted(names)
    if not wanted:
        return ()
    rows = TraitValue.objects.filter(name__in=wanted, **_on(began, "account_id", "from_day"))
    return rows.values_list("account_id", "from_day", "valid_from")


def _on(began: Collection[Began], account: str, day: str) -> dict[str, Collection[int]]:
    """Rows of these accounts on these days: a few too many, which nobody asks for."""
    return {f"{account}__in": {pk for pk, _ in began}, f"{day}__in": {on for _, on in began}}
