"""Trees as plain boolean expressions over the wide tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from scoring.rules import tree
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, judged, truth
from scoring.rules.windows import Subject

Answer = Callable[[Leafy], str]


def combined(rule: tree.Node, answer: Answer) -> str:
    """The groups of a tree, and those of definitions that it nests, over what `answer` says of each other node."""
    match rule:
        case tree.All(of):
            return "(" + " AND ".join(combined(part, answer) for part in of) + ")"
        case tree.Any_(of):
            return "(" + " OR ".join(combined(part, answer) for part in of) + ")"
        case tree.Not(of=part):
            return f"(NOT {combined(part, answer)})"
        case tree.AtLeast(k, of):
            return "(" + " + ".join(truth(combined(part, answer)) for part in of) + f" >= {k})"
        case tree.Nested():
            return combined(rule.looked_up(), answer)
    return answer(rule)


def answered(rule: tree.Node) -> Iterator[Leafy]:
    """The nodes that `combined` asks about."""
    match rule:
        case tree.All(of) | tree.Any_(of) | tree.AtLeast(of=of):
            for part in of:
                yield from answered(part)
        case tree.Not(of=part):
            yield from answered(part)
        case tree.Nested():
            yield from answered(rule.looked_up())
        case _:
            yield rule


def holds(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    """The tree as a boolean expression that is never NULL."""
    return combined(rule, lambda node: _condition(plan, node, subject))


def _condition(plan: Plan, rule: Leafy, subject: Subject) -> str:
    if isinstance(rule, tree.Score):
        return judged(measured(plan, rule, subject), in_32nds(rule.compare))
    assert not isinstance(rule, tree.Nested), "combined looks into it"
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
    def weighed(signal: tree.Signal) -> str:
        return " + ".join(f"{weight} * m{plan.leaves[subject][node]}" for weight, node in signal.measured_by())

    return total(signals, lambda rule: holds(plan, rule, subject), weighed)


def total(
    signals: Sequence[tree.Signal], holds_for: Callable[[tree.Node], str], weighed: Callable[[tree.Signal], str]
) -> str:
    """The points of signals, in 32nds: whole numbers whatever the half-lives.

    `holds_for` says whether a rule does, `weighed` what `per` adds up, in 32nds.
    """
    return f"({' + '.join(_points(signal, holds_for, weighed) for signal in signals)})" if signals else "0"


def _points(signal: tree.Signal, holds_for: Callable[[tree.Node], str], weighed: Callable[[tree.Signal], str]) -> str:
    if signal.when is not None:
        return f"CASE WHEN {holds_for(signal.when)} THEN {32 * signal.points} ELSE 0 END"
    points = f"{signal.points} * ({weighed(signal)})"
    if signal.cap is None:
        return points
    most, past = (32 * signal.cap, ">") if signal.points > 0 else (-32 * signal.cap, "<")
    return f"CASE WHEN {points} {past} {most} THEN {most} ELSE {points} END"


def in_32nds(compare: tree.Compare) -> tree.Compare:
    """What a score is compared with, as its total is told."""
    low, high = (None if bound is None else 32 * bound for bound in (compare.low, compare.high))
    return tree.Compare(compare.op, low, high, tuple(32 * value for value in compare.values))
