"""What the days on which an answer changes are made of: the rows of usage that a condition counts."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, in_list, needs_person, window_of
from scoring.rules.windows import Subject

KEYS = "account_id, user_id"
BY_DAY = f"PARTITION BY {KEYS} ORDER BY day"
# joins the month of a row's day (history.py makes the table)
MONTH_OF = " JOIN months ON {0}.day >= first_day AND {0}.day < next_month"


# twice each row: once for what begins, once for what ends
TWICE = " CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1) t"


def moves(window: windows.Window) -> bool:
    """Whether what is in the window leaves it again."""
    return isinstance(window, windows.LastDays | windows.BillingMonth)


def usage(plan: Plan, node: Leafy, subject: Subject, what: str) -> str:
    """Rows of usage (account_id, user_id, day, what) that lie in the condition's window, if that is anchored.

    Whoever can never reach what is asked for, with all there is, is left out.
    """
    table = "accounts_usagevalue" if isinstance(node, tree.Distinct) else "accounts_usageday"
    ids = plan.types.ids_of(node)
    window = window_of(node)
    wheres = "" if moves(window) else plan.inside(window, "u.day", "p.signup_day")
    wheres = f" AND {wheres}" if wheres else ""
    if subject == "user" or isinstance(node, tree.Users):
        wheres += " AND u.user_id > 0"
    wheres += _within_reach(plan, node, subject, table)
    user = "u.user_id" if subject == "user" else "0 AS user_id"
    scan = plan.usage_scan(table, ids, by_person=needs_person(node))
    return f"SELECT a.id AS account_id, {user}, u.day, {what}{scan}{wheres}"


_TOTALS: dict[type, str] = {
    tree.Count: "SUM(e.count)",
    tree.Days: "COUNT(DISTINCT e.day)",
    tree.Users: "COUNT(DISTINCT e.user_id)",
    tree.Distinct: "COUNT(DISTINCT e.value)",
}


def _within_reach(plan: Plan, node: Leafy, subject: Subject, table: str) -> str:
    """A cheap look at the whole before the windows: sorting them takes long, and most subjects never get there."""
    total = _TOTALS.get(type(node))
    least = _least(node.compare) if isinstance(node, tree.Count | tree.Days | tree.Users | tree.Distinct) else 0
    if total is None or least < 2:
        return ""
    keys = "account_id" if subject == "account" else KEYS
    mine = ", ".join(f"u.{key}" for key in keys.split(", "))
    inner = ", ".join(f"e.{key}" for key in keys.split(", "))
    return (
        f" AND ({mine}) IN (SELECT {inner} FROM {table} e WHERE e.event_type_id IN {in_list(plan.types.ids_of(node))}"
        f"{plan.only_asked('e.account_id')} GROUP BY {inner} HAVING {total} >= {least})"
    )


def _least(compare: tree.Compare) -> int:
    """The lowest number that is accepted."""
    return min(compare.values) if compare.op == "in" else compare.low or 0
