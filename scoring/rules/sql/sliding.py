"""Windows that slide over all time (`any_days`): a row for each condition, then pivoted."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, window_of


def sliding_tables(plan: Plan) -> None:
    """`slid` and `aslid`: the best stretch of `any_days`, a row for each condition, then pivoted."""
    kinds = (tree.Count, tree.Users, tree.Days, tree.Distinct, tree.Value)
    for subject, name in (("user", "slid"), ("account", "aslid")):
        nodes = [
            node
            for node in plan.of_kind(subject, *kinds)  # type: ignore[arg-type]
            if isinstance(window_of(node), windows.AnyDays)
        ]
        if not nodes:
            continue
        keys = "account_id, user_id" if subject == "user" else "account_id"
        numbers = [plan.leaves[subject][node] for node in nodes]  # type: ignore[index]
        rows = [
            f"SELECT {keys}, {number} AS leaf, CAST(MAX(m) AS BIGINT) AS m"
            f" FROM ({stretch_rows(plan, node, keys, enough=plan.only_whether)}) w{number}"
            f" GROUP BY {keys}"
            for node, number in zip(nodes, numbers, strict=True)
        ]
        plan.add(f"{name}_rows", "\nUNION ALL ".join(rows))
        pivot = ", ".join(f"MAX(CASE WHEN leaf = {number} THEN m END) AS m{number}" for number in numbers)
        plan.add(name, f"SELECT {keys}, {pivot} FROM {name}_rows GROUP BY {keys}")


def stretch_rows(plan: Plan, node: Leafy, keys: str, *, enough: bool = False) -> str:
    """Rows (keys, day, m): what was counted in the stretch that ends on each day with a row.

    `enough`: only whether it is what is asked for matters, so of days at least so many may be told as just so many.
    """
    window = window_of(node)
    length = window.days - 1 if isinstance(window, windows.AnyDays) else 0
    ids = plan.types.ids_of(node)
    prefixed = ", ".join(f"u.{key}" for key in keys.split(", "))
    over = f"ORDER BY day RANGE BETWEEN {length} PRECEDING AND CURRENT ROW)"
    if isinstance(node, (tree.Count, tree.Days, tree.Value)):
        scan = plan.usage_scan("accounts_usageday", ids, by_person=False)
        if not isinstance(node, tree.Days):  # a range takes in all rows of its first and last day
            column = "sum_value" if isinstance(node, tree.Value) else "count"
            return f"SELECT {prefixed}, u.day, SUM(u.{column}) OVER (PARTITION BY {prefixed} {over} AS m{scan}"
        daily = f"SELECT DISTINCT {prefixed}, u.day{scan}"
        if enough and node.compare.op == "at_least" and node.compare.low:  # so many days ago was the one it takes
            ago = f"day - LAG(day, {node.compare.low - 1}) OVER (PARTITION BY {keys} ORDER BY day)"
            reached = f"CASE WHEN {ago} <= {length} THEN {node.compare.low} ELSE 0 END"
            return f"SELECT {keys}, day, {reached} AS m FROM ({daily}) d"
        return f"SELECT {keys}, day, COUNT(*) OVER (PARTITION BY {keys} {over} AS m FROM ({daily}) d"
    # different people or values cannot be summed: each ending day looks back over its stretch
    table = "accounts_usagevalue" if isinstance(node, tree.Distinct) else "accounts_usageday"
    thing = "u.value" if isinstance(node, tree.Distinct) else "u.user_id"
    scan = plan.usage_scan(table, ids, by_person=False) + (
        "" if isinstance(node, tree.Distinct) else " AND u.user_id > 0"
    )
    same = " AND ".join(f"h.{key} = e.{key}" for key in keys.split(", "))
    listed = ", ".join(f"e.{key}" for key in keys.split(", "))
    return (
        f"SELECT {listed}, e.day, COUNT(DISTINCT h.thing) AS m FROM (SELECT DISTINCT {prefixed}, u.day{scan}) e"
        f" JOIN (SELECT DISTINCT {prefixed}, u.day, {thing} AS thing{scan}) h"
        f" ON {same} AND h.day <= e.day AND h.day >= e.day - {length} GROUP BY {listed}, e.day"
    )
