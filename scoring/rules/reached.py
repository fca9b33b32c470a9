"""Rules into one SQL statement: how high a condition's number ever was while the rest of the rule held. Pure.

What `history` tells of one threshold is told of all at once: an account is flagged for the first time since a day if
the number reached the threshold then, and never before.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoring.rules import tree
from scoring.rules.history import intervals, tables
from scoring.rules.sql.changes import numbers
from scoring.rules.sql.outset import points_at_zero
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import FAR, Dialect, EventTypes, Leafy, Statement


def compile_reached(
    rest: tree.DefinitionDoc,
    node: Leafy,
    *,
    least: int,
    since_day: int,
    types: EventTypes,
    until_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (account id, before, after, first day): the greatest number of the condition on days on which `rest` held,
    before `since_day` and from it to `until_day`, NULL where it held on none; and from which day on it was at least
    `least`, of the spans that reach to `since_day` or beyond the first. Numbers are as `compile_measures` tells them;
    only those of accounts that come to the condition's own threshold need be told."""
    plan = Plan(types, until_day, account_ids, dialect)
    tables(plan, [rest], also=[node])
    plan.add("rest", intervals(plan, rest, 0))
    rows = f"SELECT account_id, day, m FROM ({numbers(plan, node, 'account')}) c"
    if isinstance(node, tree.Score):  # points may be there from the first day on
        rows += f" UNION ALL SELECT id, {-FAR}, {points_at_zero(node)} FROM acct"
    ends = f"LEAD(day, 1, {FAR}) OVER (PARTITION BY account_id ORDER BY day)"
    plan.add("levels", f"SELECT account_id, day AS from_day, {ends} AS to_day, m FROM ({rows}) d")
    earlier = f"l.from_day < {since_day} AND r.from_day < {since_day}"
    begins = "CASE WHEN l.from_day > r.from_day THEN l.from_day ELSE r.from_day END"
    since = f"l.to_day > {since_day} AND r.to_day > {since_day}"
    return plan.statement(
        f"SELECT l.account_id, MAX(CASE WHEN {earlier} THEN m END) AS before,"
        f" MAX(CASE WHEN {since} THEN m END) AS after,"
        f" MIN(CASE WHEN {since} AND m >= {least} THEN {begins} END) AS first_day"
        " FROM levels l JOIN rest r ON r.account_id = l.account_id"
        " AND l.from_day < r.to_day AND r.from_day < l.to_day GROUP BY l.account_id"
    )
