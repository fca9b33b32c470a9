"""Rules into one SQL statement: on which days each account held, over all time up to a day.

The other question of one tree (compile.py asks for one day). Each condition becomes the days on which its answer
changes (`sql/changes`), the changes of all conditions of a subject are laid side by side and summed along the days,
and the tree is a boolean expression over those sums: so every day on which anything changes has an answer, and no
other day needs one. People are counted the same way. As of day D the history says what the verdict at D says.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoring.rules import tree, windows
from scoring.rules.sql.changes import at_zero, flips
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.steps import BY_DAY, KEYS
from scoring.rules.sql.terms import FAR, Dialect, EventTypes, Statement, truth, window_of
from scoring.rules.windows import Subject

_MONTHS = 480  # forty years: nothing older is a product's usage


class NoHistory(Exception):
    """The rule asks something whose days cannot be told from the roll-up; says which condition."""


_TOLD = (
    tree.Count,
    tree.Distinct,
    tree.Users,
    tree.Days,
    tree.Recency,
    tree.First,
    tree.Value,
    tree.Change,
    tree.Trait,
    tree.StageReached,
    tree.StageSince,
    tree.UsersWho,
)


def compile_history(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    until_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (definition number, account id, from day, to day): the rule held at the end of the days from the first
    to before the last, FAR where it holds up to `until_day` and nothing known ends it. Numbers are positions in `docs`.
    Raises NoHistory.
    """
    for leaf in (leaf for doc in docs for leaf in tree.leaves(doc.rule, subject=doc.level)):
        if not isinstance(leaf.node, _TOLD):
            raise NoHistory(f"The days on which “{tree.kind_of(leaf.node)}” held cannot be told ({leaf.path}).")
    plan = Plan(types, until_day, account_ids, dialect)
    for doc in docs:
        plan.register(doc.rule, doc.level)
    plan.add("acct", plan.accounts())
    if any(isinstance(window_of(node), windows.BillingMonth) for nodes in plan.leaves.values() for node in nodes):
        _months(plan)
    if plan.people_rules:
        _members(plan)
        _states(plan, "user")
        _people(plan)
    if plan.leaves["account"]:
        _states(plan, "account")
    return plan.statement("\nUNION ALL ".join(_intervals(plan, doc, number) for number, doc in enumerate(docs)))


def _months(plan: Plan) -> None:
    """`months`: the first day of each calendar month and of the next, as far back as anything was recorded."""
    firsts = [windows.month_start(plan.day)]
    while len(firsts) < _MONTHS:
        firsts.append(windows.month_start(firsts[-1] - 1))
    rows = ", ".join(f"({first}, {windows.next_month(first)})" for first in firsts)
    plan.add("months(first_day, next_month)", f"VALUES {rows}")


def _members(plan: Plan) -> None:
    """The spans in which each person was there to be asked: a member, and both had signed up."""
    signed = "CASE WHEN p.signup_day > a.signup_day THEN p.signup_day ELSE a.signup_day END"
    begins = f"CASE WHEN m.from_day > {signed} THEN m.from_day ELSE {signed} END"
    plan.add(
        "members",
        f"SELECT m.account_id, m.user_id, p.signup_day, {begins} AS from_day, m.to_day"
        " FROM acct a CROSS JOIN accounts_membership m JOIN accounts_productuser p ON p.id = m.user_id"
        f" WHERE m.account_id = a.id AND p.merged_into_id IS NULL AND {begins} < m.to_day",
    )


def _states(plan: Plan, subject: Subject) -> None:
    """`apart` and `states` of the subject: for each day with a change the sum of changes of each condition."""
    name = "user" if subject == "user" else "account"
    nodes = plan.leaves[subject]
    if subject == "user":
        there = (
            f"SELECT -1 AS leaf, {KEYS}, from_day AS day, 1 AS delta FROM members"
            f" UNION ALL SELECT -1, {KEYS}, to_day, -1 FROM members"
        )
    else:
        there = "SELECT -1 AS leaf, a.id AS account_id, 0 AS user_id, a.signup_day AS day, 1 AS delta FROM acct a"
    rows = [there]
    rows += [
        f"SELECT {number}, {KEYS}, day, delta FROM ({flips(plan, node, subject)}) f{number}"
        for node, number in nodes.items()
    ]
    plan.add(f"{name}_changes", " UNION ALL ".join(rows))
    columns = [(-1, "there"), *((number, f"s{number}") for number in nodes.values())]
    apart = ", ".join(f"SUM(CASE WHEN leaf = {number} THEN delta ELSE 0 END) AS {column}" for number, column in columns)
    summed = ", ".join(f"SUM({column}) OVER ({BY_DAY}) AS {column}" for _, column in columns)
    plan.add(
        f"{name}_states",
        f"SELECT {KEYS}, day, {summed} FROM (SELECT {KEYS}, day, {apart} FROM {name}_changes"
        f" WHERE day <= {plan.day} GROUP BY {KEYS}, day) d",
    )


def _people(plan: Plan) -> None:
    """`flips_of_people`: when somebody begins or ceases to be one for whom a rule holds."""
    parts = []
    for rule, number in plan.people_rules.items():
        answers = f"SELECT {KEYS}, day, {_holds(plan, rule, 'user')} AS t FROM user_states"
        changes = f"SELECT {KEYS}, day, t - LAG(t, 1, 0) OVER ({BY_DAY}) AS delta FROM ({answers}) a{number}"
        parts.append(f"SELECT {number} AS rule, account_id, day, delta FROM ({changes}) c{number} WHERE delta <> 0")
    plan.add("flips_of_people", " UNION ALL ".join(parts))


def _intervals(plan: Plan, doc: tree.DefinitionDoc, number: int) -> str:
    if doc.level == "account":
        answers = f"SELECT account_id, day, {_holds(plan, doc.rule, 'account')} AS t FROM account_states"
    else:
        people = plan.people_rules[doc.rule]
        daily = (
            f"SELECT account_id, day, SUM(delta) AS delta FROM flips_of_people WHERE rule = {people}"
            " GROUP BY account_id, day"
        )
        running = (
            f"SELECT account_id, day, SUM(delta) OVER (PARTITION BY account_id ORDER BY day) AS m FROM ({daily}) d"
        )
        answers = f"SELECT account_id, day, {truth(f'm >= {doc.users_at_least}')} AS t FROM ({running}) r"
    before = "LAG(t, 1, 0) OVER (PARTITION BY account_id ORDER BY day)"
    changes = (
        f"SELECT account_id, day, t FROM (SELECT account_id, day, t, {before} AS t0 FROM ({answers}) a) b WHERE t <> t0"
    )
    ends = f"LEAD(day, 1, {FAR}) OVER (PARTITION BY account_id ORDER BY day)"
    return (
        f"SELECT {number} AS definition, account_id, day AS from_day, to_day"
        f" FROM (SELECT account_id, day, t, {ends} AS to_day FROM ({changes}) c) i{number} WHERE t = 1"
    )


def _holds(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    """Whether the subject is there and the tree holds, as 1 or 0, on a row of its states."""
    return truth(f"there > 0 AND {_tree(plan, rule, subject)}")


def _tree(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    match rule:
        case tree.All(of):
            return "(" + " AND ".join(_tree(plan, part, subject) for part in of) + ")"
        case tree.Any_(of):
            return "(" + " OR ".join(_tree(plan, part, subject) for part in of) + ")"
        case tree.Not(of=part):
            return f"(NOT {_tree(plan, part, subject)})"
        case tree.AtLeast(k, of):
            return "(" + " + ".join(truth(_tree(plan, part, subject)) for part in of) + f" >= {k})"
    return f"(s{plan.leaves[subject][rule]} = {0 if at_zero(rule) else 1})"
