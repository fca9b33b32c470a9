"""What definitions say of accounts, whatever they ask about: a CTE and boolean expressions over it. Pure.

A definition about people holds for an account with so many of them; here that is one more column of the account.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoring.rules import tree
from scoring.rules.compile import tables
from scoring.rules.sql.booleans import holds
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import truth


class Lifted:
    """The tables of a plan with what its definitions say of each account: `FROM acct a` and these joins."""

    def __init__(self, plan: Plan, docs: Sequence[tree.DefinitionDoc]) -> None:
        """Registers and adds everything that `docs` ask; one rule about people is counted once."""
        self.plan = plan
        for doc in docs:
            plan.register(doc.rule, doc.level)
        tables(plan)
        self._counted = {doc.rule: plan.people_rules[doc.rule] for doc in docs if doc.level == "user"}
        if self._counted:
            sums = ", ".join(f"CAST(SUM(h{number}) AS BIGINT) AS q{number}" for number in self._counted.values())
            plan.add("lifts", f"SELECT account_id, {sums} FROM people GROUP BY account_id")

    @property
    def source(self) -> str:
        """FROM: each account asked about once (`a`), with what was measured of it."""
        joins = " JOIN accts ON accts.account_id = a.id" if self.plan.leaves["account"] else ""
        joins += " LEFT JOIN lifts ON lifts.account_id = a.id" if self._counted else ""
        return f" FROM acct a{joins}"

    def holds(self, doc: tree.DefinitionDoc) -> str:
        """Whether one of the definitions holds for the account; never NULL."""
        if doc.level == "account":
            return holds(self.plan, doc.rule, "account")
        return f"(COALESCE(q{self._counted[doc.rule]}, 0) >= {doc.users_at_least})"


def flag(expression: str, name: str) -> str:
    """A boolean as a column of 1 and 0."""
    return f"{truth(expression)} AS {name}"
