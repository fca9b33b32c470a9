"""On which days a condition's answer changes: the number that is judged, along the days, before and after."""

from __future__ import annotations

from collections.abc import Callable

from scoring.rules import tree, windows
from scoring.rules.sql.outset import at_zero
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.points import best, first_enough, points
from scoring.rules.sql.rows import LENGTH, At, changes
from scoring.rules.sql.steps import BY_DAY, KEYS
from scoring.rules.sql.tallies import levels, tally_of
from scoring.rules.sql.terms import Leafy, judged, truth, window_of
from scoring.rules.sql.totals import score_answers, score_totals
from scoring.rules.sql.value_changes import against_limits, greatest_or_last, span_against_span
from scoring.rules.windows import Subject


def flips(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, delta): +1 where the answer becomes yes, -1 where it becomes no.

    Before the first row the answer is `at_zero`.
    """
    return f"SELECT {KEYS}, day, now - before AS delta FROM ({_answers(plan, node, subject)}) c WHERE before <> now"


def _answers(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, before, now) for each day on which the answer may change."""
    if isinstance(node, tree.Score):
        return score_answers(plan, node, subject)
    if isinstance(node, tree.Change):
        return span_against_span(plan, node, subject)
    if tally_of(plan, node) is not None:
        return _along(plan, node, subject, lambda number: truth(_answer(node, number)))
    best_so_far = isinstance(window_of(node), windows.AnyDays)
    if isinstance(node, tree.Value) and isinstance(node.against, tree.Share):
        measured = numbers(plan, node, subject)
        return against_limits(plan, node.against, measured, subject)
    is_counted = isinstance(node, tree.Count | tree.Distinct | tree.Users | tree.Days)
    if best_so_far and is_counted and node.compare.op == "at_least":  # type: ignore[union-attr]
        return first_enough(plan, node, subject)  # once reached it stays
    if best_so_far or (isinstance(node, tree.Value) and node.measure != "sum"):
        start = truth(_answer(node, "0")) if at_zero(node) else "0"
        told = f"SELECT {KEYS}, day, {truth(_answer(node, 'm'))} AS now FROM ({numbers(plan, node, subject)}) r"
        return f"SELECT {KEYS}, day, now, LAG(now, 1, {start}) OVER ({BY_DAY}) AS before FROM ({told}) a"
    # of a sum the number before is known without looking back
    before, now = truth(_answer(node, "(m - delta)")), truth(_answer(node, "m"))
    return f"SELECT {KEYS}, day, {now} AS now, {before} AS before FROM ({_sums(plan, node, subject)}) r"


def numbers(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m), one for each day on which the measured number may change. A score's are in
    32nds."""
    if isinstance(node, tree.Score):
        return score_totals(plan, node, subject)
    if tally_of(plan, node) is not None:
        return f"SELECT {KEYS}, day, now AS m FROM ({_along(plan, node, subject, str)}) n"
    if isinstance(node, tree.Value) and node.measure != "sum":
        return greatest_or_last(plan, node, subject)
    if isinstance(window_of(node), windows.AnyDays):
        return best(plan, node, subject)
    return _sums(plan, node, subject)


def _along(plan: Plan, node: Leafy, subject: Subject, number: Callable[[str], str]) -> str:
    """Rows (account_id, user_id, day, before, now) of a number worked out from what the condition adds up."""
    table, column = levels(plan, node, subject)

    def of(at: At) -> str:
        return number(at(column))

    return changes(table, [column], of, plan.day, LENGTH[subject])


def _sums(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m, delta) of what `points` add up to."""
    daily = (
        f"SELECT {KEYS}, day, CAST(SUM(delta) AS BIGINT) AS delta FROM ({points(plan, node, subject)}) p"
        f" WHERE day <= {plan.day} GROUP BY {KEYS}, day"
    )
    return f"SELECT {KEYS}, day, delta, CAST(SUM(delta) OVER ({BY_DAY}) AS BIGINT) AS m FROM ({daily}) d"


def _answer(node: Leafy, number: str) -> str:
    """Whether the running number is what was asked for."""
    match node:
        case tree.Recency(_, within_days, _):
            return f"({number} {'>' if within_days is not None else '<='} 0)"
        case tree.Trait():
            return f"({number} {'>' if node.is_set else '<='} 0)"
        case tree.Value():
            assert isinstance(node.against, tree.Compare)
            return f"({number} IS NOT NULL AND {judged(number, node.against)})"
        case tree.Count() | tree.Distinct() | tree.Users() | tree.Days() | tree.UsersWho():
            return judged(number, node.compare)
    return f"({number} > 0)"
