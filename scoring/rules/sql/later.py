"""What will happen without a new message: signed up later, joins or leaves later, dated in the future."""

from __future__ import annotations

from plgops.lib.days import FOREVER
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import in_list

# definition numbers of the rows that bound every definition, or those that look at people
EVERY_DEFINITION = -1
PEOPLE_DEFINITIONS = -2


def bounds(plan: Plan) -> list[str]:
    """Queries of rows (definition, account, 0, 0, next day) that bound several definitions at once."""
    rows = [
        f"SELECT {EVERY_DEFINITION} AS definition, a.id AS account_id, 0 AS user_id, 0 AS holds,"
        " a.signup_day AS next_day FROM accounts_account a WHERE a.merged_into_id IS NULL AND NOT a.is_internal"
        f" AND a.signup_day > {plan.day}{plan.only_asked('a.id')}"
    ]
    nodes = [*plan.leaves["account"], *plan.leaves["user"]]
    ids = sorted({number for node in nodes for number in plan.types.ids_of(node)})
    if ids:
        rows.append(
            f"SELECT {EVERY_DEFINITION} AS definition, u.account_id, 0 AS user_id, 0 AS holds,"
            " MIN(u.day) AS next_day FROM acct a CROSS JOIN accounts_usageday u WHERE u.account_id = a.id"
            f" AND u.day > {plan.day} AND u.event_type_id IN {in_list(ids)} GROUP BY u.account_id"
        )
    if plan.people_rules:
        changes = (
            f"CASE WHEN m.from_day > {plan.day} THEN m.from_day WHEN p.signup_day > {plan.day} THEN p.signup_day"
            f" WHEN m.to_day < {FOREVER} THEN m.to_day END"
        )
        rows.append(
            f"SELECT {PEOPLE_DEFINITIONS} AS definition, m.account_id, 0 AS user_id, 0 AS holds,"
            f" MIN({changes}) AS next_day FROM acct a CROSS JOIN accounts_membership m"
            " JOIN accounts_productuser p ON p.id = m.user_id WHERE m.account_id = a.id"
            f" AND p.merged_into_id IS NULL AND m.to_day > {plan.day} AND m.to_day > m.from_day"
            f" AND (m.from_day > {plan.day} OR m.to_day < {FOREVER} OR p.signup_day > {plan.day})"
            " GROUP BY m.account_id"
        )
    return rows
