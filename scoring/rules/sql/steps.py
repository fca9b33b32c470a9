"""What the days on which an answer changes are made of: the rows of usage that a condition counts, from when to when
each of them counts, and running sums along the days."""

from __future__ import annotations

from collections.abc import Mapping

from scoring.rules import tree, windows
from scoring.rules.nodes import DECAY
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import FAR, Leafy, in_list, moves, needs_person, window_of
from scoring.rules.windows import Subject

KEYS = "account_id, user_id"
BY_DAY = f"PARTITION BY {KEYS} ORDER BY day"
# joins the month of a row's day (history.py makes the table)
MONTH_OF = " JOIN months ON {0}.day >= first_day AND {0}.day < next_month"


def usage(plan: Plan, node: Leafy, subject: Subject, what: str) -> str:
    """Rows of usage (account_id, user_id, day, what) that lie in the condition's window, if that is anchored.

    Whoever can never reach what is asked for, with all there is, is left out.
    """
    table = "accounts_usagevalue" if isinstance(node, tree.Distinct) else "accounts_usageday"
    ids = plan.types.ids_of(node)
    window = window_of(node)
    if moves(window):
        window = _back(plan, window)
    wheres = plan.inside(window, "u.day", "p.signup_day")
    wheres = f" AND {wheres}" if wheres else ""
    if subject == "user" or isinstance(node, tree.Users):
        wheres += " AND u.user_id > 0"
    wheres += _within_reach(plan, node, subject, table)
    user = "u.user_id" if subject == "user" else "0 AS user_id"
    scan = plan.usage_scan(table, ids, by_person=needs_person(node))
    return f"SELECT a.id AS account_id, {user}, u.day, {what}{scan}{wheres}"


def _back(plan: Plan, window: windows.Window) -> windows.Window:
    """The days of usage that matter for a window that moves."""
    if isinstance(window, windows.LastDays):
        return plan.back(window.days)
    return windows.Ever() if plan.since is None else windows.Dates(windows.month_start(plan.since), None)


_TOTALS: dict[type, str] = {
    tree.Users: "COUNT(DISTINCT e.user_id)",
    tree.Distinct: "COUNT(DISTINCT e.value)",
}


def _within_reach(plan: Plan, node: Leafy, subject: Subject, table: str) -> str:
    """A cheap look at the whole before the windows: sorting them takes long, and most subjects never get there."""
    total = _TOTALS.get(type(node))
    least = least_of(node.compare) if isinstance(node, tree.Users | tree.Distinct) else 0
    short = isinstance(window_of(node), windows.FirstDays | windows.Dates)  # there is little in it to sort
    if total is None or least < 2 or short or not plan.sifts:
        return ""
    keys = "account_id" if subject == "account" else KEYS
    mine = ", ".join(f"u.{key}" for key in keys.split(", "))
    inner = ", ".join(f"e.{key}" for key in keys.split(", "))
    return (
        f" AND ({mine}) IN (SELECT {inner} FROM {table} e WHERE e.event_type_id IN {in_list(plan.types.ids_of(node))}"
        f"{plan.only_asked('e.account_id')} GROUP BY {inner} HAVING {total} >= {least})"
    )


def least_of(compare: tree.Compare) -> int:
    """The lowest number that is accepted."""
    return min(compare.values) if compare.op == "in" else compare.low or 0


def counted(rows: str, window: windows.Window, half_life: int | None = None) -> str:
    """What the rows (account_id, user_id, day, delta) add on their day, and take back as they leave a window that
    moves, or bit by bit as they grow older."""
    if half_life is None and not moves(window):
        return f"SELECT {KEYS}, day, delta FROM ({rows}) g"
    leaves, month, ages = _leaving(window, half_life, "g")
    return f"SELECT {KEYS}, {leaves} AS day, weight * delta AS delta FROM ({rows}) g{month}{ages}"


def once(rows: str, window: windows.Window, half_life: int | None = None) -> str:
    """Each thing of the rows (account_id, user_id, day, thing) from its first day on; where the window moves, or with a
    half-life, as its newest day counts."""
    if half_life is None and not moves(window):
        first = f"SELECT {KEYS}, thing, MIN(day) AS day FROM ({rows}) u GROUP BY {KEYS}, thing"
        return f"SELECT {KEYS}, day, 1 AS delta FROM ({first}) f"
    if half_life is None and isinstance(window, windows.LastDays):
        return _visits(rows, window.days)
    leaves, month, ages = _leaving(window, half_life, "o")
    days = (
        f"SELECT {KEYS}, day, LEAD(day, 1, {FAR}) OVER (PARTITION BY {KEYS}, thing ORDER BY day) AS next_day"
        f" FROM ({rows}) d"
    )
    # a newer day takes over before the older one has left; a row of the same day at once, so that each day counts once
    day = f"CASE WHEN age > 0 AND next_day < {leaves} THEN next_day ELSE {leaves} END"
    return f"SELECT {KEYS}, {day} AS day, weight AS delta FROM ({days}) o{month}{ages}"


def _visits(rows: str, length: int) -> str:
    """Each thing of the rows from a day before which it was gone until so many days after one that none followed."""
    along = f"OVER (PARTITION BY {KEYS}, thing ORDER BY day)"
    near = f"SELECT {KEYS}, day, LAG(day, 1, {-FAR}) {along} AS last_day, LEAD(day, 1, {FAR}) {along} AS next_day"
    begins, ends = f"last_day + {length} < day", f"next_day > day + {length}"
    edges = f"SELECT * FROM ({near} FROM ({rows}) d) n WHERE {begins} OR {ends}"
    day = f"CASE WHEN delta = 1 THEN day ELSE day + {length} END"
    both = "(SELECT 1 AS delta UNION ALL SELECT -1) t"
    return (
        f"SELECT {KEYS}, {day} AS day, delta FROM ({edges}) e CROSS JOIN {both}"
        f" WHERE (delta = 1 AND {begins}) OR (delta = -1 AND {ends})"
    )


def _leaving(window: windows.Window, half_life: int | None, row: str) -> tuple[str, str, str]:
    """On which days a day of the row changes its weight; the joins of its month, and of the ages (0: the day itself)
    with the change of weight at each, which is in 32nds where there is a half-life."""
    month, leaves = "", f"{row}.day + age"
    if half_life is None and isinstance(window, windows.BillingMonth):
        leaves, month = f"CASE WHEN age = 0 THEN {row}.day ELSE next_month END", MONTH_OF.format(row)
    ages = " UNION ALL ".join(
        f"SELECT {age} AS age, {weight} AS weight" for age, weight in weights(window, half_life).items()
    )
    return leaves, month, f" CROSS JOIN ({ages}) t"


def weights(window: windows.Window, half_life: int | None = None) -> dict[int, int]:
    """By how many days after its own, what usage adds then (less than 0: takes back); in 32nds where there is a
    half-life."""
    if half_life is not None:
        return {0: sum(DECAY)} | {half_life * step: -loss for step, loss in enumerate(DECAY, start=1)}
    if isinstance(window, windows.BillingMonth):
        return {0: 1, 1: -1}  # the end of its month stands for the age
    return {0: 1, window.days: -1} if isinstance(window, windows.LastDays) else {0: 1}


def running(rows: str, columns: Mapping[int, str], plan: Plan) -> str:
    """From rows (account_id, user_id, day, part, delta) one for each day with any: the running sum of each part in the
    column named for its number, and what the day itself added in the same with `d_` before. All that was before the
    plan's first day is told of that one."""
    day = "day" if plan.since is None else f"CASE WHEN day < {plan.since} THEN {plan.since} ELSE day END"
    apart = ", ".join(
        f"CAST(SUM(CASE WHEN part = {number} THEN delta ELSE 0 END) AS BIGINT) AS d_{name}"
        for number, name in columns.items()
    )
    sums = ", ".join(f"CAST(SUM(d_{name}) OVER ({BY_DAY}) AS BIGINT) AS {name}, d_{name}" for name in columns.values())
    return (
        f"SELECT {KEYS}, day, {sums} FROM (SELECT {KEYS}, day, {apart} FROM"
        f" (SELECT {KEYS}, {day} AS day, part, delta FROM ({rows}) e WHERE day <= {plan.day}) r GROUP BY {KEYS}, day) d"
    )
