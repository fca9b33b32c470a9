"""How far a condition that does not hold is from holding, as a share of what it asks for, for putting in order.

0.2 where 4 of 5 are there; 1 where nothing is; NULL where it cannot be told (a text, a plan without a limit).
"""

from __future__ import annotations

from scoring.rules import tree
from scoring.rules.sql.booleans import measured
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy
from scoring.rules.windows import Subject

UNKNOWN = "CAST(NULL AS DOUBLE PRECISION)"
ALL_OF_IT = "CAST(1 AS DOUBLE PRECISION)"


def missing(plan: Plan, node: Leafy, subject: Subject) -> str:
    """The share of what is asked for that is missing, on a row of the wide table where the condition does not hold."""
    column = measured(plan, node, subject)
    number = plan.leaves[subject].get(node)
    match node:
        case tree.Nested() | tree.TraitChanged() | tree.StageReached():
            return UNKNOWN
        case tree.Trait():
            return UNKNOWN if node.low is None and node.high is None else _short(column, node.low, node.high)
        case tree.First():
            return ALL_OF_IT  # one event
        case tree.Recency(_, within_days, length):  # one event too, but who has left lately comes first
            return _short(f"({plan.day} - {column})", length, None if within_days is None else within_days - 1)
        case tree.StageSince():
            return _short(f"({plan.day} - {column})", node.at_least_days, node.at_most_days)
        case tree.Sequence(steps):
            return _short(column, len(steps), None)
        case tree.Change():
            return _of_change(node, column, f"y{number}")
        case tree.Value():
            return _of_value(node, column, f"x{number}")
        case tree.Score(compare=compare):
            return _compared(column, compare, unit=32)
    return _compared(column, node.compare)


def _real(column: str) -> str:
    return f"CAST({column} AS DOUBLE PRECISION)"


def _compared(column: str, compare: tree.Compare, unit: int = 1) -> str:
    if compare.op != "in":
        low, high = (None if bound is None else bound * unit for bound in (compare.low, compare.high))
        return _short(column, low, high)
    values = sorted({value * unit for value in compare.values})
    below = f"WHEN {column} < {values[0]} THEN {_share(column, values[0])}"
    between = "".join(
        f" WHEN {column} < {high} AND {_real(column)} * 2 < {low + high} THEN {_share(column, low)}"
        f" WHEN {column} < {high} THEN {_share(column, high)}"
        for low, high in zip(values, values[1:], strict=False)
    )
    return f"CASE {below}{between} ELSE {_share(column, values[-1])} END"


def _short(column: str, low: int | None, high: int | None) -> str:
    parts = [] if low is None else [f"WHEN {column} < {low} THEN {_share(column, low)}"]
    parts += [] if high is None else [f"WHEN {column} > {high} THEN {_share(column, high)}"]
    return f"CASE {' '.join(parts)} END"


def _share(column: str, bound: int) -> str:
    """The way from the column to the bound, in bounds."""
    return f"ABS({_real(column)} - {bound}) / {max(abs(bound), 1)}"


def _of_value(node: tree.Value, column: str, share: str) -> str:
    if isinstance(node.against, tree.Compare):
        return f"CASE WHEN {column} IS NULL THEN 1 ELSE {_compared(column, node.against)} END"
    way = f"CASE WHEN {share} > 0 THEN ({share} - {_real(column)}) / {share} END"
    return f"CASE WHEN {share} IS NULL THEN NULL WHEN {column} IS NULL THEN 1 ELSE {way} END"


def _of_change(node: tree.Change, column: str, base: str) -> str:
    asked = f"({_real(base)} * {node.thousandths})"
    few = f"({node.at_least} - {_real(column)}) / {max(node.at_least, 1)}"
    way = f"ABS({asked} - {_real(column)} * 1000) / {asked}"
    return (
        f"CASE WHEN {base} < {node.base_at_least} THEN NULL"
        f" WHEN {column} < {node.at_least} THEN {few} WHEN {asked} > 0 THEN {way} END"
    )
