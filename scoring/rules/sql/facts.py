"""Dated facts: traits of accounts and people, and the stage ledger."""

from __future__ import annotations

from plgops.lib.days import FOREVER
from scoring.rules import tree
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import in_list

# null is no value, and neither is an empty text
HAS_VALUE = "t.text <> '' AND CAST(t.value AS TEXT) <> 'null'"


def trait_tables(plan: Plan) -> None:
    """`atrait` by account, `utrait` by person: does a value that stands match, and when does that change."""
    found = plan.of_kind("account", tree.Trait) + plan.of_kind("user", tree.Trait)
    traits = [node for node in dict.fromkeys(found) if isinstance(node, tree.Trait)]
    plan.trait_columns = {node: number for number, node in enumerate(traits)}
    for of, name in (("account", "atrait"), ("user", "utrait")):
        columns, names = [], set()
        for node, number in plan.trait_columns.items():
            if node.of != of:
                continue
            named = plan.bind(node.name)
            names.add(named)
            stands = f"t.name = {named} AND t.from_day <= {plan.day}"
            measured = "t.number" if node.op in ("at_least", "at_most", "between") else "1"
            columns.append(f"MAX(CASE WHEN {stands} AND {trait_test(plan, node)} THEN 1 ELSE 0 END) AS m{number}")
            columns.append(f"MAX(CASE WHEN {stands} AND {HAS_VALUE} THEN {measured} END) AS v{number}")
            columns.append(
                f"MIN(CASE WHEN t.name = {named} AND t.from_day > {plan.day} THEN t.from_day"
                f" WHEN t.name = {named} AND t.to_day < {FOREVER} THEN t.to_day END) AS n{number}"
            )
        if not columns:
            continue
        if of == "account":
            # people's traits stand under account 0, where people without an account are asked about
            source = "acct a CROSS JOIN accounts_traitvalue t WHERE t.account_id = a.id AND a.id > 0"
            key = "t.account_id"
        else:
            source = (
                "(SELECT DISTINCT user_id FROM members) q CROSS JOIN accounts_traitvalue t WHERE t.user_id = q.user_id"
            )
            key = "t.user_id"
        text = (
            f"SELECT {key}, {', '.join(columns)} FROM {source} AND t.name IN ({', '.join(sorted(names))})"
            f" AND t.to_day > {plan.day} AND t.to_day > t.from_day GROUP BY {key}"
        )
        plan.add(name, text)


def changed_tables(plan: Plan) -> None:
    """`achange` and `uchange`: the day of a trait's latest change up to the day (m), and of the next one known (n).

    Values that stand on following days differ, so each but the first is a change.
    """
    found = plan.of_kind("account", tree.TraitChanged) + plan.of_kind("user", tree.TraitChanged)
    nodes = [node for node in dict.fromkeys(found) if isinstance(node, tree.TraitChanged)]
    plan.changed_columns = {node: number for number, node in enumerate(nodes)}
    for of, name in (("account", "achange"), ("user", "uchange")):
        mine = [node for node in nodes if node.of == of]
        if not mine:
            continue
        columns = []
        for node in mine:
            number, named = plan.changed_columns[node], f"t.name = {plan.bind(node.name)}"
            latest = f"MAX(CASE WHEN {named} AND t.from_day <= {plan.day} THEN t.from_day END)"
            first = f"MIN(CASE WHEN {named} THEN t.from_day END)"
            columns.append(f"CASE WHEN {latest} > {first} THEN {latest} END AS m{number}")
            columns.append(f"MIN(CASE WHEN {named} AND t.from_day > {plan.day} THEN t.from_day END) AS n{number}")
        if of == "account":
            source = "acct a CROSS JOIN accounts_traitvalue t WHERE t.account_id = a.id AND a.id > 0"
        else:
            source = (
                "(SELECT DISTINCT user_id FROM members) q CROSS JOIN accounts_traitvalue t WHERE t.user_id = q.user_id"
            )
        names = ", ".join(sorted({plan.bind(node.name) for node in mine}))
        plan.add(
            name,
            f"SELECT t.{of}_id, {', '.join(columns)} FROM {source} AND t.name IN ({names})"
            f" AND t.to_day > t.from_day GROUP BY t.{of}_id",
        )


def trait_test(plan: Plan, node: tree.Trait) -> str:
    """Whether the value `t` is what was asked for."""
    if node.op == "is_set":
        return HAS_VALUE
    if node.op in ("in", "exactly"):
        either = []
        if node.texts:
            listed = ", ".join(plan.bind(text) for text in node.texts)
            either.append(f"(t.number IS NULL AND t.text IN ({listed}) AND {HAS_VALUE})")
        if node.numbers:
            either.append(f"t.number IN {in_list(node.numbers)}")
        return f"({' OR '.join(either)})"
    bounds = [f"t.number >= {node.low}"] if node.low is not None else []
    bounds += [f"t.number <= {node.high}"] if node.high is not None else []
    return " AND ".join(bounds)


def stage_table(plan: Plan) -> None:
    """`stage`: by account, the newest entry up to the day (in the window), and the first one after it."""
    kinds = (tree.StageReached, tree.StageSince)
    found = plan.of_kind("account", *kinds) + plan.of_kind("user", *kinds)
    plan.stage_columns = {
        node: number
        for number, node in enumerate(dict.fromkeys(found))
        if isinstance(node, kinds) and node.stage != "signed_up"
    }
    if not plan.stage_columns:
        return
    columns, names = [], set()
    for node, number in plan.stage_columns.items():
        if not isinstance(node, kinds):
            continue
        named = plan.bind(node.stage)
        names.add(named)
        inside = plan.inside(node.window, "s.day", "") if isinstance(node, tree.StageReached) else ""
        entered = f"s.stage = {named} AND s.day <= {plan.day}" + (f" AND {inside}" if inside else "")
        columns.append(f"MAX(CASE WHEN {entered} THEN s.day END) AS m{number}")
        columns.append(f"MIN(CASE WHEN s.stage = {named} AND s.day > {plan.day} THEN s.day END) AS n{number}")
    plan.add(
        "stage",
        f"SELECT s.account_id, {', '.join(columns)} FROM acct a CROSS JOIN accounts_stageentry s"
        f" WHERE s.account_id = a.id AND s.stage IN ({', '.join(sorted(names))}) GROUP BY s.account_id",
    )
