"""Trees as plain boolean expressions over the wide tables."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.rules import tree
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, judged, truth
from scoring.rules.windows import Subject


def holds(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    """The tree as a boolean expression that is never NULL."""
    match rule:
        case tree.All(of):
            return "(" + " AND ".join(holds(plan, part, subject) for part in of) + ")"
        case tree.Any_(of):
            return "(" + " OR ".join(holds(plan, part, subject) for part in of) + ")"
        case tree.Not(of=part):
            return f"(NOT {holds(plan, part, subject)})"
        case tree.AtLeast(k, of):
            return "(" + " + ".join(truth(holds(plan, part, subject)) for part in of) + f" >= {k})"
        case tree.Nested():
            return holds(plan, rule.looked_up(), subject)
        case tree.Score(compare=compare):
            return judged(measured(plan, rule, subject), _in_32nds(compare))
    column = f"m{plan.leaves[subject][rule]}"
    match rule:
        case tree.Trait():
            return f"(COALESCE({column}, 0) = 1)" if rule.is_set else f"(COALESCE({column}, 0) = 0)"
        case tree.First():
            return f"(h{plan.leaves[subject][rule]} = 1)"
        case tree.Sequence(steps):
            return f"({column} = {len(steps)})"
        case tree.Change():
            base = f"y{plan.leaves[subject][rule]}"
            sign = ">=" if rule.op == "at_least" else "<="
            least = f"{column} >= {rule.at_least} AND {base} >= {rule.base_at_least}"
            return f"({least} AND {column} * 1000 {sign} {base} * {rule.thousandths})"
        case tree.Value(against=against):
            if isinstance(against, tree.Compare):
                return f"({column} IS NOT NULL AND {judged(column, against)})"
            share = f"x{plan.leaves[subject][rule]}"
            return f"({column} IS NOT NULL AND {share} IS NOT NULL AND {column} >= {share})"
        case tree.TraitChanged(within_days=length):
            return f"({column} IS NOT NULL AND {column} > {plan.day - length})"
        case tree.StageReached():
            return f"({column} IS NOT NULL)"
        case tree.StageSince(_, low, high):
            bounds = [f"{column} IS NOT NULL"]
            bounds += [f"{column} <= {plan.day - low}"] if low is not None else []
            bounds += [f"{column} >= {plan.day - high}"] if high is not None else []
            return "(" + " AND ".join(bounds) + ")"
        case tree.Recency(_, within_days, not_for_days):
            if within_days is not None:
                return f"({column} IS NOT NULL AND {column} > {plan.day - within_days})"
            return f"({column} IS NULL OR {column} <= {plan.day - (not_for_days or 0)})"
    return judged(column, rule.compare)


def measured(plan: Plan, node: Leafy, subject: Subject) -> str:
    """The column that evidence shows: of a trait its number (or 1: there is a value), else what was judged."""
    if isinstance(node, tree.Nested):
        return truth(holds(plan, node, subject))
    if isinstance(node, tree.Score):
        return _total(plan, node.signals, subject)
    return f"{'v' if isinstance(node, tree.Trait) else 'm'}{plan.leaves[subject][node]}"


def extras(plan: Plan, node: Leafy, subject: Subject) -> list[str]:
    """The columns that are told beside it, in the order of `tree.extras`."""
    if isinstance(node, tree.Score):
        by_part = [[signal for signal in node.signals if signal.part == part] for part in tree.PARTS]
        return [_total(plan, signals, subject) for signals in [*by_part, *([signal] for signal in node.signals)]]
    return [f"y{plan.leaves[subject][node]}"] if tree.extras(node) else []


def soonest(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    """The first day on which time alone may change any condition of the tree; NULL: never."""
    asked = tree.measurements(rule, subject=subject)
    numbers = dict.fromkeys(plan.leaves[subject][node] for whose, node in asked if whose == subject)
    return plan.least([f"n{number}" for number in numbers])


def _total(plan: Plan, signals: Sequence[tree.Signal], subject: Subject) -> str:
    """The points of signals, in 32nds: whole numbers whatever the half-lives."""
    return f"({' + '.join(_points(plan, signal, subject) for signal in signals)})" if signals else "0"


def _points(plan: Plan, signal: tree.Signal, subject: Subject) -> str:
    if signal.when is not None:
        return f"CASE WHEN {holds(plan, signal.when, subject)} THEN {32 * signal.points} ELSE 0 END"
    parts = [f"{weight} * m{plan.leaves[subject][node]}" for weight, node in signal.measured_by()]
    points = f"{signal.points} * ({' + '.join(parts)})"
    if signal.cap is None:
        return points
    most, past = (32 * signal.cap, ">") if signal.points > 0 else (-32 * signal.cap, "<")
    return f"CASE WHEN {points} {past} {most} THEN {most} ELSE {points} END"


def _in_32nds(compare: tree.Compare) -> tree.Compare:
    low, high = (None if bound is None else 32 * bound for bound in (compare.low, compare.high))
    return tree.Compare(compare.op, low, high, tuple(32 * value for value in compare.values))
