"""Scores along the days: what each signal adds up becomes running sums, and the total is judged on each day with a
change. The arithmetic is the verdict's (`booleans.total`)."""

from __future__ import annotations

from collections.abc import Callable

from scoring.rules import tree, windows
from scoring.rules.sql.booleans import answered, combined, in_32nds, total
from scoring.rules.sql.outset import at_zero
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.points import best, points
from scoring.rules.sql.steps import BY_DAY, KEYS, running
from scoring.rules.sql.terms import Leafy, judged, truth, window_of
from scoring.rules.windows import Subject


def states_of(rule: tree.Node, plan: Plan, subject: Subject, *, before: bool = False) -> str:
    """Whether a rule holds on a row of `running` sums of its conditions' changes (`s` with their numbers); or held
    before it."""

    def answer(node: Leafy) -> str:
        return f"({column(f's{plan.leaves[subject][node]}', before)} = {0 if at_zero(node) else 1})"

    return combined(rule, answer)


def column(name: str, before: bool) -> str:
    """A column of `running`, or what it was before the row."""
    return f"({name} - d_{name})" if before else name


def score_answers(plan: Plan, node: tree.Score, subject: Subject) -> str:
    """Rows (account_id, user_id, day, t, t0): whether the total is what was asked for, and was before."""
    sums, added = _sums(plan, node, subject)
    now, before = (truth(judged(added(before), in_32nds(node.compare))) for before in (False, True))
    return f"SELECT {KEYS}, day, {now} AS t, {before} AS t0 FROM ({sums}) s"


def score_totals(plan: Plan, node: tree.Score, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m): the total from each day on which it may change, in 32nds."""
    sums, added = _sums(plan, node, subject)
    return f"SELECT {KEYS}, day, CAST({added(False)} AS BIGINT) AS m FROM ({sums}) s"


def _sums(plan: Plan, node: tree.Score, subject: Subject) -> tuple[str, Callable[[bool], str]]:
    """What the signals add up along the days, and the total over such a row (or before it)."""
    conditions = dict.fromkeys(
        leaf for signal in node.signals if signal.when is not None for leaf in answered(signal.when)
    )
    columns = {plan.leaves[subject][leaf]: f"s{plan.leaves[subject][leaf]}" for leaf in conditions}
    rows = [f"SELECT {KEYS}, day, {number} AS part, delta FROM {subject}_{number}" for number in columns]
    tallies: dict[tuple[Leafy, int | None], str] = {}
    for signal in node.signals:
        if signal.per is None or (signal.per, signal.half_life_days) in tallies:
            continue
        number = -1 - len(tallies)
        columns[number] = tallies[signal.per, signal.half_life_days] = f"c{-number}"
        counted = _tally(plan, signal.per, signal.half_life_days, subject)
        rows.append(f"SELECT {KEYS}, day, {number} AS part, delta FROM ({counted}) t{-number}")

    def added(before: bool) -> str:
        def weighed(signal: tree.Signal) -> str:
            assert signal.per is not None
            name = column(tallies[signal.per, signal.half_life_days], before)
            return f"32 * {name}" if signal.half_life_days is None else name

        return total(node.signals, lambda rule: states_of(rule, plan, subject, before=before), weighed)

    return running(" UNION ALL ".join(rows), columns, plan.day), added


def _tally(plan: Plan, node: Leafy, half_life: int | None, subject: Subject) -> str:
    """Rows (account_id, user_id, day, delta) of what a signal adds up."""
    if half_life is None and isinstance(window_of(node), windows.AnyDays):
        return f"SELECT {KEYS}, day, m - LAG(m, 1, 0) OVER ({BY_DAY}) AS delta FROM ({best(plan, node, subject)}) b"
    return points(plan, node, subject, half_life)
