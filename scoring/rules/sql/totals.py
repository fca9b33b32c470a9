"""Scores along the days: what each signal adds up becomes running sums, and the total is judged on each day with a
change. The arithmetic is the verdict's (`booleans.total`)."""

from __future__ import annotations

from collections.abc import Callable

from scoring.rules import tree, windows
from scoring.rules.sql.booleans import answered, combined, in_32nds, total
from scoring.rules.sql.outset import at_zero
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.points import best, points
from scoring.rules.sql.rows import LENGTH, At, changes, moved, running, spread
from scoring.rules.sql.steps import BY_DAY, KEYS, weights
from scoring.rules.sql.tallies import tallied, tally_of
from scoring.rules.sql.terms import Leafy, judged, truth, window_of
from scoring.rules.windows import Subject

_Per = tuple[Leafy, int | None]  # what a signal adds up, and its half-life


def states_of(rule: tree.Node, plan: Plan, subject: Subject, at: At) -> str:
    """Whether a rule holds where its conditions' changes (`s` with their numbers) add up to so much."""

    def answer(node: Leafy) -> str:
        return f"({at(f's{plan.leaves[subject][node]}')} = {0 if at_zero(node) else 1})"

    return combined(rule, answer)


def score_answers(plan: Plan, node: tree.Score, subject: Subject) -> str:
    """Rows (account_id, user_id, day, before, now): whether the total is what was asked for."""
    return _changes(plan, node, subject, lambda points: truth(judged(points, in_32nds(node.compare))))


def score_totals(plan: Plan, node: tree.Score, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m): the total from each day on which it changes, in 32nds."""
    totals = _changes(plan, node, subject, str)
    return f"SELECT {KEYS}, day, CAST(now AS BIGINT) AS m FROM ({totals}) s"


def _changes(plan: Plan, node: tree.Score, subject: Subject, number: Callable[[str], str]) -> str:
    """Where a number changes that is worked out from the total: what each signal adds up is laid side by side."""
    length = LENGTH[subject]
    named: dict[_Per, str] = {}  # the column of what a signal adds up
    adding: dict[str, dict[int, dict[str, tuple[int, str]]]] = {}  # by table, and by age: see `moved`
    # rows of single days with the number of a part, and what they add to its column
    single: list[str] = []
    added: dict[str, str] = {}
    for leaf in dict.fromkeys(leaf for one in node.signals if one.when is not None for leaf in answered(one.when)):
        number_of = plan.leaves[subject][leaf]
        single.append(f"SELECT {KEYS}, day, {len(single)} AS part, delta FROM {subject}_{number_of}")
        added[f"s{number_of}"] = f"CASE WHEN part = {len(added)} THEN delta ELSE 0 END"
    for one in node.signals:
        if one.per is None or (one.per, one.half_life_days) in named:
            continue
        column = named[one.per, one.half_life_days] = f"c{len(named)}"
        tally = tally_of(plan, one.per)
        if tally is None:
            single.append(f"SELECT {KEYS}, day, {len(single)} AS part, delta FROM ({_counted(plan, one, subject)}) t")
            added[column] = f"CASE WHEN part = {len(added)} THEN delta ELSE 0 END"
            continue
        table, source = tallied(plan, tally, subject)
        for age, weight in weights(window_of(one.per), one.half_life_days).items():
            adding.setdefault(table, {}).setdefault(age, {})[column] = weight, source

    columns = [*(name for name in added if name not in named.values()), *named.values()]
    parts = [part for table, ages in adding.items() for part in moved(table, ages, plan.day, length)]
    if single:
        parts.append(spread(plan.named(f"{subject}_parts", " UNION ALL ".join(single)), added, length))

    def of(at: At) -> str:
        def weighed(signal: tree.Signal) -> str:
            assert signal.per is not None
            sum_ = at(named[signal.per, signal.half_life_days])
            return f"32 * {sum_}" if signal.half_life_days is None else sum_

        return number(total(node.signals, lambda rule: states_of(rule, plan, subject, at), weighed))

    sums = plan.named(f"{subject}_sums", running(parts, columns, length, plan.dialect))
    return changes(sums, columns, of, plan.day, length)


def _counted(plan: Plan, signal: tree.Signal, subject: Subject) -> str:
    """Rows (account_id, user_id, day, delta) of what a signal adds up."""
    assert signal.per is not None
    if signal.half_life_days is None and isinstance(window_of(signal.per), windows.AnyDays):
        best_so_far = best(plan, signal.per, subject)
        return f"SELECT {KEYS}, day, m - LAG(m, 1, 0) OVER ({BY_DAY}) AS delta FROM ({best_so_far}) b"
    return points(plan, signal.per, subject, signal.half_life_days)
