"""Usage: read once into a row per account and person, with a filtered aggregate for each condition."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, needs_person, window_of


def usage_tables(plan: Plan) -> None:
    """`base`: account and person; `abase`: the account; `daily`: distinct days of the account."""
    plain = (tree.Count, tree.Users, tree.Days, tree.Recency, tree.First, tree.Value, tree.Change)
    mine = {subject: plan.standing(subject, *plain) for subject in plan.leaves}
    nodes = list(dict.fromkeys([*mine["user"], *mine["account"]]))
    if not nodes:
        return
    ids = [number for node in nodes for number in plan.types.ids_of(node)]
    by_person = any(needs_person(node) for node in nodes)
    within = {_reach(node) for node in nodes}
    columns, sums = [], []
    for number, node in enumerate(nodes):
        # the first time is the first of all: whether it lies in the window is asked afterwards
        window = windows.Ever() if isinstance(node, tree.First) else window_of(node)
        # where the scan keeps to the one window that all ask about, its rows need not be asked again
        match = plan.match(plan.types.ids_of(node), windows.Ever() if len(within) == 1 else window, ids)
        if isinstance(node, tree.Count):
            columns.append(f"CAST(SUM(CASE WHEN {match} THEN u.count ELSE 0 END) AS BIGINT) AS m{number}")
            sums.append(f"CAST(SUM(m{number}) AS BIGINT) AS m{number}")
        elif isinstance(node, tree.Users):
            columns.append(f"MAX(CASE WHEN {match} AND u.user_id > 0 THEN 1 ELSE 0 END) AS m{number}")
            sums.append(f"CAST(SUM(m{number}) AS BIGINT) AS m{number}")
        elif isinstance(node, tree.Recency):
            columns.append(f"MAX(CASE WHEN {match} THEN u.day END) AS m{number}")
            sums.append(f"MAX(m{number}) AS m{number}")
        elif isinstance(node, tree.First):
            columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS m{number}")
            sums.append(f"MIN(m{number}) AS m{number}")
        elif isinstance(node, tree.Change):
            recent, both = (
                plan.match(plan.types.ids_of(node), windows.LastDays(n), ids) for n in (node.days, 2 * node.days)
            )
            before = f"{both} AND u.day <= {plan.day - node.days}"
            for name, inside in (("m", recent), ("b", before)):
                columns.append(f"CAST(SUM(CASE WHEN {inside} THEN u.count ELSE 0 END) AS BIGINT) AS {name}{number}")
                sums.append(f"CAST(SUM({name}{number}) AS BIGINT) AS {name}{number}")
            for name, inside in (("l", recent), ("k", before)):
                columns.append(f"MIN(CASE WHEN {inside} THEN u.day END) AS {name}{number}")
                sums.append(f"MIN({name}{number}) AS {name}{number}")
        elif isinstance(node, tree.Value):
            if node.measure == "max":
                columns.append(f"MAX(CASE WHEN {match} THEN u.max_value END) AS m{number}")
                sums.append(f"MAX(m{number}) AS m{number}")
            elif node.measure == "sum":
                columns.append(f"CAST(SUM(CASE WHEN {match} THEN u.sum_value ELSE 0 END) AS BIGINT) AS m{number}")
                columns.append(f"MIN(CASE WHEN {match} THEN u.sum_value END) AS g{number}")
                sums.append(f"CAST(SUM(m{number}) AS BIGINT) AS m{number}, MIN(g{number}) AS g{number}")
        elif node in mine["user"]:
            columns.append(f"COUNT(DISTINCT CASE WHEN {match} THEN u.day END) AS m{number}")
        if isinstance(window, windows.LastDays | windows.BillingMonth):
            columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS l{number}")
            sums.append(f"MIN(l{number}) AS l{number}")
    plan.usage_columns = {node: number for number, node in enumerate(nodes)}
    scan = plan.usage_scan("accounts_usageday", ids, by_person=by_person, within=within)
    if columns:
        listed = ", ".join(columns)
        grouped = " GROUP BY a.id, u.user_id"
        plan.add("base", f"SELECT a.id AS account_id, u.user_id, {listed}{scan}{grouped}")
    if mine["account"] and sums:
        plan.add("abase", f"SELECT account_id, {', '.join(sums)} FROM base GROUP BY account_id")
    daily = [node for node in mine["account"] if isinstance(node, tree.Days)]
    if daily:
        ids = [number for node in daily for number in plan.types.ids_of(node)]
        counted = ", ".join(
            f"COUNT(DISTINCT CASE WHEN {plan.match(plan.types.ids_of(node), window_of(node), ids)} THEN u.day END)"
            f" AS m{plan.usage_columns[node]}"
            for node in daily
        )
        scan = plan.usage_scan("accounts_usageday", ids, by_person=False, within=map(_reach, daily))
        plan.add("daily", f"SELECT a.id AS account_id, {counted}{scan} GROUP BY a.id")


def _reach(node: Leafy) -> windows.Window:
    """The days that a condition looks at."""
    if isinstance(node, tree.Change):
        return windows.LastDays(2 * node.days)
    return windows.Ever() if isinstance(node, tree.Recency | tree.First) else window_of(node)


def value_tables(plan: Plan) -> None:
    """`vals`: different values by account and person; `avals`: those of the account."""
    for subject, name in (("user", "vals"), ("account", "avals")):
        nodes = plan.standing(subject, tree.Distinct)  # type: ignore[arg-type]
        if not nodes:
            continue
        columns = []
        ids = [number for node in nodes for number in plan.types.ids_of(node)]
        for node in nodes:
            number = plan.leaves[subject][node]  # type: ignore[index]
            match = plan.match(plan.types.ids_of(node), window_of(node), ids)
            columns.append(f"COUNT(DISTINCT CASE WHEN {match} THEN u.value END) AS m{number}")
            columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS l{number}")
        keys = "a.id, u.user_id" if subject == "user" else "a.id"
        by_person = any(needs_person(node) for node in nodes)
        scan = plan.usage_scan("accounts_usagevalue", ids, by_person=by_person, within=map(_reach, nodes))
        named = keys.replace("a.id", "a.id AS account_id")
        plan.add(name, f"SELECT {named}, {', '.join(columns)}{scan} GROUP BY {keys}")
