"""What the days on which an answer changes are made of: the rows of usage that a condition counts."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, needs_person, window_of
from scoring.rules.windows import Subject

KEYS = "account_id, user_id"
BY_DAY = f"PARTITION BY {KEYS} ORDER BY day"
# joins the month of a row's day (history.py makes the table)
MONTH_OF = " JOIN months ON {0}.day >= first_day AND {0}.day < next_month"


def moves(window: windows.Window) -> bool:
    """Whether what is in the window leaves it again."""
    return isinstance(window, windows.LastDays | windows.BillingMonth)


def usage(plan: Plan, node: Leafy, subject: Subject, what: str) -> str:
    """Rows of usage (account_id, user_id, day, what) that lie in the condition's window, if that is anchored."""
    table = "accounts_usagevalue" if isinstance(node, tree.Distinct) else "accounts_usageday"
    scan = plan.usage_scan(table, plan.types.ids_of(node), by_person=needs_person(node))
    window = window_of(node)
    inside = "" if moves(window) else plan.inside(window, "u.day", "p.signup_day")
    wheres = f" AND {inside}" if inside else ""
    if subject == "user" or isinstance(node, tree.Users):
        wheres += " AND u.user_id > 0"
    user = "u.user_id" if subject == "user" else "0 AS user_id"
    return f"SELECT a.id AS account_id, {user}, u.day, {what}{scan}{wheres}"
