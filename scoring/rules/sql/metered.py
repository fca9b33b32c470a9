"""Metered values: the last one of all, and what the account's plan allows."""

from __future__ import annotations

from plgops.lib.days import FOREVER
from scoring.rules import tree
from scoring.rules.sql.facts import HAS_VALUE
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import PlanLimit, needs_person, window_of


def last_tables(plan: Plan) -> None:
    """`lasts` and `alasts`: the value that came last (of several at one instant, the greatest), and its day."""
    for subject, name in (("user", "lasts"), ("account", "alasts")):
        found = plan.of_kind(subject, tree.Value)  # type: ignore[arg-type]
        nodes = [node for node in found if isinstance(node, tree.Value) and node.measure == "last"]
        if not nodes:
            continue
        keys = "account_id, user_id" if subject == "user" else "account_id"
        of = "a.id, u.user_id" if subject == "user" else "a.id"
        rows, columns = [], []
        for node in nodes:
            number = plan.leaves[subject][node]  # type: ignore[index]
            ids = plan.types.ids_of(node)
            scan = plan.usage_scan("accounts_usageday", ids, by_person=needs_person(node))
            rows.append(
                f"SELECT a.id AS account_id, u.user_id, {number} AS leaf, u.day, u.last_value AS value, ROW_NUMBER()"
                f" OVER (PARTITION BY {of} ORDER BY u.last_value_us DESC, u.last_value DESC) AS place"
                f"{scan} AND u.last_value IS NOT NULL AND {plan.match(ids, window_of(node), ids)}"
            )
            columns += [
                f"MAX(CASE WHEN leaf = {number} THEN value END) AS m{number}",
                f"MAX(CASE WHEN leaf = {number} THEN day END) AS l{number}",
            ]
        told = "\nUNION ALL ".join(rows)
        plan.add(name, f"SELECT {keys}, {', '.join(columns)} FROM ({told}) r WHERE place = 1 GROUP BY {keys}")


def limit_table(plan: Plan) -> None:
    """`plim`: by account what its plan allows (y), what share of that is asked for (x), and the next change (n).

    The plan is the account's trait “plan” as it stands. Limits are few and written into the statement, so that
    a share is worked out exactly and no engine needs their table.
    """
    nodes = dict.fromkeys(
        node.against
        for subject in plan.leaves
        for node in plan.of_kind(subject, tree.Value)
        if isinstance(node, tree.Value) and isinstance(node.against, tree.Share)
    )
    plan.limit_columns = {share: number for number, share in enumerate(nodes)}
    if not nodes:
        return
    every, columns = plan.types.limits(), []
    for share, number in plan.limit_columns.items():
        mine = [limit for limit in every if limit.metric == share.metric]
        in_force = {limit.plan: limit for limit in sorted(mine, key=_by_day) if limit.from_day <= plan.day}
        later = {limit.plan: limit for limit in sorted(mine, key=_by_day, reverse=True) if limit.from_day > plan.day}
        allowed = {code: limit.limit for code, limit in in_force.items()}
        asked = {code: -(-limit * share.thousandths // 1000) for code, limit in allowed.items()}
        changes = {code: limit.from_day for code, limit in later.items()}
        stands = f"t.from_day <= {plan.day}"
        columns += [
            f"MAX(CASE WHEN {stands} THEN {_by_plan(plan, allowed)} END) AS y{number}",
            f"MAX(CASE WHEN {stands} THEN {_by_plan(plan, asked)} END) AS x{number}",
            f"MIN(CASE WHEN {stands} THEN {_by_plan(plan, changes)} END) AS n{number}",
        ]
    columns.append(
        f"MIN(CASE WHEN t.from_day > {plan.day} THEN t.from_day WHEN t.to_day < {FOREVER} THEN t.to_day END) AS n"
    )
    plan.add(
        "plim",
        f"SELECT t.account_id, {', '.join(columns)} FROM acct a CROSS JOIN accounts_traitvalue t"
        f" WHERE t.account_id = a.id AND a.id > 0 AND t.name = {plan.bind('plan')} AND t.to_day > {plan.day}"
        f" AND t.to_day > t.from_day AND {HAS_VALUE} GROUP BY t.account_id",
    )


def _by_day(limit: PlanLimit) -> int:
    return limit.from_day


def _by_plan(plan: Plan, numbers: dict[str, int]) -> str:
    """The number of the plan that the row `t` names; NULL for the others."""
    if not numbers:
        return "CAST(NULL AS BIGINT)"
    return "CASE " + " ".join(f"WHEN t.text = {plan.bind(code)} THEN {n}" for code, n in numbers.items()) + " END"
