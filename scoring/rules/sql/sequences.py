"""Sequences: how far each got in order, and when the latest one that was completed began.

The rows of all steps are laid out along time, and what is carried from row to row is the latest day on which a
sequence that has come so far began: the later it began, the sooner its steps are within the days. Of a step at the
beginning or the end the first and last time of each day say everything. One in between may need a time that lies
between those; where an event happened more than twice on a day, its times are read from the log.
"""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import moves, needs_person
from scoring.rules.windows import Subject

_MICROS = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM e.occurred_at) * 1000000 AS BIGINT)",
    "sqlite": "(CAST(strftime('%%s', e.occurred_at) AS INTEGER) * 1000000"
    " + CASE WHEN LENGTH(e.occurred_at) > 19 THEN CAST(SUBSTR(e.occurred_at, 21, 6) AS INTEGER) ELSE 0 END)",
}


def sequence_tables(plan: Plan) -> None:
    """`seq` and `aseq`: steps done in order (m), and the day on which the latest complete one began (l)."""
    for subject, name in (("user", "seq"), ("account", "aseq")):
        nodes = [
            (node, number)
            for node, number in plan.leaves[subject].items()  # type: ignore[index]
            if isinstance(node, tree.Sequence)
        ]
        if not nodes:
            continue
        keys = "account_id, user_id" if subject == "user" else "account_id"
        rows = [_reached(plan, node, number, keys) for node, number in nodes]
        plan.add(f"{name}_rows", "\nUNION ALL ".join(rows))
        pivot = ", ".join(
            f"MAX(CASE WHEN leaf = {number} THEN {column} END) AS {column}{number}"
            for _, number in nodes
            for column in ("m", "l")
        )
        plan.add(name, f"SELECT {keys}, {pivot} FROM {name}_rows GROUP BY {keys}")


def _reached(plan: Plan, node: tree.Sequence, number: int, keys: str) -> str:
    last = len(node.steps)
    done = " ".join(
        f"WHEN step = {step} AND x{step - 1} > day - {node.within_days} THEN {step}" for step in range(2, last + 1)
    )
    began = f"CASE WHEN step = {last} AND x{last - 1} > day - {node.within_days} THEN x{last - 1} END"
    return (
        f"SELECT {keys}, {number} AS leaf, MAX(CASE WHEN step = 1 THEN 1 {done} ELSE 0 END) AS m, MAX({began}) AS l"
        f" FROM ({_carried(plan, node, keys, node.window)}) done{number} GROUP BY {keys}"
    )


def completed(plan: Plan, node: tree.Sequence, subject: Subject) -> str:
    """Rows (account_id, user_id, ended, day): the days on which a sequence was completed, and the latest on which one
    that was completed then had begun. Of windows that are anchored what lies in them."""
    keys, user, people = ("account_id, user_id", "user_id", " AND user_id > 0")
    if subject == "account":
        keys, user, people = "account_id", "0 AS user_id", ""
    last, began = len(node.steps), f"x{len(node.steps) - 1}"
    window = windows.Ever() if moves(node.window) else node.window
    return (
        f"SELECT account_id, {user}, day AS ended, MAX({began}) AS day"
        f" FROM ({_carried(plan, node, keys, window)}) s WHERE step = {last}"
        f" AND {began} > day - {node.within_days}{people} GROUP BY {keys}, day"
    )


def _carried(plan: Plan, node: tree.Sequence, keys: str, window: windows.Window) -> str:
    """The rows of all steps along time, each with the latest day on which what had come so far began: x1 for the first
    step, x2 for the first two in order, and so on."""
    rows = " UNION ALL ".join(
        part for step, events in enumerate(node.steps, start=1) for part in _times(plan, node, step, events, window)
    )
    # a range takes in all rows of one instant: what happened at the same time is in order
    over = f"OVER (PARTITION BY {keys} ORDER BY us)"
    table = f"SELECT {keys}, day, us, step, MAX(CASE WHEN step = 1 THEN day END) {over} AS x1 FROM ({rows}) s1"
    for step in range(2, len(node.steps)):
        carried = f"MAX(CASE WHEN step = {step} THEN x{step - 1} END) {over} AS x{step}"
        table = f"SELECT t{step}.*, {carried} FROM ({table}) t{step}"
    return table


def _times(plan: Plan, node: tree.Sequence, step: int, events: tuple[str, ...], window: windows.Window) -> list[str]:
    """Rows (account_id, user_id, day, us, step) of the times at which a step may have been taken."""
    ids = plan.types.resolve(events)
    match, by_person = plan.match(ids, window, ids), needs_person(node)
    head = "SELECT a.id AS account_id, u.user_id, u.day"
    scan = plan.usage_scan("accounts_usageday", ids, by_person=by_person)
    first, last = step == 1, step == len(node.steps)
    rows = [] if last else [f"{head}, u.first_us AS us, {step} AS step{scan} AND {match}"]
    rows += [] if first else [f"{head}, u.last_us AS us, {step} AS step{scan} AND {match}"]
    if not first and not last and plan.dialect in _MICROS:
        micros, account = _MICROS[plan.dialect], "e.account_id = u.account_id"
        if plan.loners:
            account = f"({account} OR (u.account_id = 0 AND e.account_id IS NULL))"
        log = f" JOIN accounts_event e ON {account} AND e.user_id = u.user_id AND e.event_type_id = u.event_type_id"
        scan = plan.usage_scan("accounts_usageday", ids, by_person=by_person, joined=log)
        between = f"{micros} > u.first_us AND {micros} < u.last_us"
        rows.append(f"{head}, {micros} AS us, {step} AS step{scan} AND u.count > 2 AND {between} AND {match}")
    return rows


def columns_of(plan: Plan, node: tree.Sequence, number: int, subject: Subject) -> tuple[str, str]:
    """SQL of the steps done, and of the next day on which time alone changes the answer."""
    table = "seq" if subject == "user" else "aseq"
    return f"COALESCE({table}.m{number}, 0)", plan.lapses(node.window, f"{table}.l{number}")
