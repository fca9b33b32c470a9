"""Before anything is counted: what a condition says while nothing has happened, and who can ever make a rule hold."""

from __future__ import annotations

from collections.abc import Callable

from scoring.rules import tree
from scoring.rules.sql.booleans import in_32nds
from scoring.rules.sql.terms import Leafy, truth

# SQL of whether a condition ever becomes true (or false), None where that is not known yet
Ever = Callable[[Leafy, bool], str | None]


def at_zero(node: Leafy) -> bool:
    """The condition's answer while nothing has happened yet."""
    match node:
        case tree.Recency(_, within_days, _):
            return within_days is None
        case tree.Trait():
            return not node.is_set
        case tree.Score(compare=compare):
            return _accepts(in_32nds(compare), points_at_zero(node))
        case tree.Nested():
            return rule_at_zero(node)
        case tree.Value():
            summed = node.measure == "sum" and isinstance(node.against, tree.Compare)
            return summed and _accepts(node.against, 0)  # type: ignore[arg-type]
        case tree.Count() | tree.Distinct() | tree.Users() | tree.Days() | tree.UsersWho():
            return _accepts(node.compare, 0)
    return False


def points_at_zero(node: tree.Score) -> int:
    """The total of a score while nothing has happened yet, in 32nds."""
    return sum(32 * one.points for one in node.signals if one.when is not None and rule_at_zero(one.when))


def rule_at_zero(rule: tree.Node) -> bool:
    """Whether a rule holds while nothing has happened yet."""
    match rule:
        case tree.All(of):
            return all(rule_at_zero(part) for part in of)
        case tree.Any_(of):
            return any(rule_at_zero(part) for part in of)
        case tree.Not(of=part):
            return not rule_at_zero(part)
        case tree.AtLeast(k, of):
            return sum(rule_at_zero(part) for part in of) >= k
        case tree.Nested():
            return rule_at_zero(rule.looked_up())
    return at_zero(rule)


def could(rule: tree.Node, ever: Ever, wanted: bool = True) -> str | None:
    """SQL that is true of everybody for whom the rule is `wanted` on some day, and of few others; None: anybody.

    What is judged day by day is asked only whether it is ever so, so two parts that are never so at once pass.
    """
    match rule:
        case tree.All(of) | tree.Any_(of):
            needed = len(of) if isinstance(rule, tree.All) is wanted else 1
        case tree.AtLeast(k, of):
            needed = k if wanted else len(of) - k + 1
        case tree.Not(of=part):
            return could(part, ever, not wanted)
        case tree.Nested():
            return could(rule.looked_up(), ever, wanted)
        case _:
            return None if at_zero(rule) is wanted else ever(rule, wanted)
    parts = [could(part, ever, wanted) for part in of]
    told = [part for part in parts if part is not None]
    needed -= len(parts) - len(told)
    if needed <= 0:
        return None
    if needed == len(told):
        return "(" + " AND ".join(told) + ")"
    return "(" + " + ".join(truth(part) for part in told) + f" >= {needed})"


def _accepts(compare: tree.Compare, number: int) -> bool:
    if compare.op == "in":
        return number in compare.values
    return (compare.low is None or compare.low <= number) and (compare.high is None or number <= compare.high)
