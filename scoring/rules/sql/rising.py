"""Rules about people that stay true once they are: of each person only the day is looked for from which on they hold.

Such a condition asks for at least so much in a window that is anchored, or for something that was done once. A rule of
nothing else, by any and all, holds from the latest or earliest of their days on, for as long as the person is there. So
no sums along the days have to be laid side by side, which a history of other rules takes longest for.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoring.rules import tree
from scoring.rules.sql.changes import flips
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.steps import KEYS
from scoring.rules.sql.tallies import levels, tally_of
from scoring.rules.sql.terms import FAR, Leafy, judged, moves, window_of


def rises(plan: Plan, rule: tree.Node) -> bool:
    """Whether a rule about people that holds on a day holds on every later one."""
    match rule:
        case tree.All(of) | tree.Any_(of):
            return all(rises(plan, part) for part in of)
        case tree.Nested():
            return rises(plan, rule.looked_up())
        case tree.Count() | tree.Days() | tree.Distinct():
            compare = rule.compare
            if compare.op != "at_least" or (compare.low or 0) < 1:
                return False
        case tree.First() | tree.Sequence():
            pass
        case _:
            return False
    return not moves(window_of(rule))


def first_days(plan: Plan) -> None:
    """`user_first`: for each person and rule (`r` with its number) the day from which on it holds, FAR for never; only
    who ever has one."""
    columns = [f"f{number}" for number in plan.leaves["user"].values()]
    rows = " UNION ALL ".join(_sources(plan, columns))
    pivot = ", ".join(f"COALESCE(MIN({column}), {FAR}) AS {column}" for column in columns)
    plan.add("user_began", f"SELECT {KEYS}, {pivot} FROM ({rows}) s GROUP BY {KEYS}")
    told = {number: _since(plan, rule) for rule, number in plan.people_rules.items()}
    listed = ", ".join(f"{since} AS r{number}" for number, since in told.items())
    ever = " OR ".join(f"r{number} < {FAR}" for number in told)
    plan.add("user_first", f"SELECT * FROM (SELECT {KEYS}, {listed} FROM user_began) b WHERE {ever}")


def _sources(plan: Plan, columns: Sequence[str]) -> list[str]:
    """Rows (account_id, user_id, f…) of the days on which each condition begins to hold; what is added up together in
    one part."""
    together: dict[str, dict[str, str]] = {}
    for node, number in plan.leaves["user"].items():
        name = f"f{number}"
        if tally_of(plan, node) is None:
            source, day = f"user_{number}", "day"
            plan.add(source, flips(plan, node, "user"))
        else:
            source, column = levels(plan, node, "user")
            day = f"CASE WHEN {_enough(node, column)} THEN day END"
        together.setdefault(source, {})[name] = day

    def parts(of: dict[str, str]) -> str:
        return ", ".join(
            f"{f'MIN({of[name]})' if name in of else 'CAST(NULL AS INTEGER)'} AS {name}" for name in columns
        )

    return [
        f"SELECT {KEYS}, {parts(of)} FROM {source} WHERE day <= {plan.day} GROUP BY {KEYS}"
        for source, of in together.items()
    ]


def _enough(node: Leafy, column: str) -> str:
    assert isinstance(node, tree.Count | tree.Days)
    return judged(column, node.compare)


def _since(plan: Plan, rule: tree.Node) -> str:
    """The day from which on a rule holds, by those of its conditions."""
    match rule:
        case tree.All(of):
            return _outermost(plan, "latest", [_since(plan, part) for part in of])
        case tree.Any_(of):
            return _outermost(plan, "earliest", [_since(plan, part) for part in of])
        case tree.Nested():
            return _since(plan, rule.looked_up())
    return f"f{plan.leaves['user'][rule]}"  # type: ignore[index]


def _outermost(plan: Plan, which: str, days: Sequence[str]) -> str:
    if len(days) == 1:
        return days[0]
    names = {"latest": ("MAX", "GREATEST"), "earliest": ("MIN", "LEAST")}[which]
    return f"{names[plan.dialect != 'sqlite']}({', '.join(days)})"


def spans_of_people(plan: Plan) -> None:
    """`flips_of_people` as history.py tells it: when somebody begins or ceases to be one for whom a rule holds.

    Of one who is there twice at a time, by two keys of the account, the later span begins where the earlier ends.
    """
    before = (
        f"MAX(to_day) OVER (PARTITION BY {KEYS} ORDER BY from_day, to_day ROWS BETWEEN UNBOUNDED PRECEDING"
        " AND 1 PRECEDING)"
    )
    told = f"SELECT {KEYS}, from_day, to_day, {before} AS covered FROM members"
    begins = "CASE WHEN covered > from_day THEN covered ELSE from_day END"
    plan.add("user_there", f"SELECT {KEYS}, {begins} AS from_day, to_day FROM ({told}) t")
    begins, ends = "CASE WHEN {0} > m.from_day THEN {0} ELSE m.from_day END", "m.to_day"
    if plan.since is not None:
        begins = f"CASE WHEN {begins} < {plan.since} THEN {plan.since} ELSE {begins} END"
    parts = [
        f"SELECT {number} AS rule, f.account_id, {begins.format(f'f.r{number}')} AS from_day, {ends} AS to_day"
        f" FROM user_first f JOIN user_there m ON m.account_id = f.account_id AND m.user_id = f.user_id"
        for number in plan.people_rules.values()
    ]
    both = " CROSS JOIN (SELECT 1 AS delta UNION ALL SELECT -1) d"
    day = "CASE WHEN delta = 1 THEN from_day ELSE to_day END"
    plan.add(
        "flips_of_people",
        f"SELECT rule, account_id, {day} AS day, delta FROM ({' UNION ALL '.join(parts)}) s{both}"
        f" WHERE from_day < to_day AND {day} <= {plan.day}",
    )
