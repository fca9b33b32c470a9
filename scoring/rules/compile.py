"""Rules into one SQL statement: which accounts hold as of the end of a day, and until when at the least.

The statement keeps to what SQLite, PostgreSQL and DuckDB share: integer days, no division, truth as CASE
1/0, sums cast, texts compared for equality only. Numbers are written as integers, texts are bound by name.

Its shape does not grow with the number of conditions. Usage is read once into one row per account and
person with a filtered aggregate for each condition (`base`), and summed from there to the account; distinct
values, traits and stages likewise; windows that slide over all time come as rows and are pivoted. Two wide
tables (`pairs`: account and person; `accts`: account) then hold what every condition measured and the next
day on which time alone changes its answer, and the trees are plain boolean expressions over them. Equal
conditions of several definitions are measured once.

Everything is local to one account: a rule about people is asked of the pair (account, person) and sees that
person's events in that account. Population: docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scoring.rules import tree, windows
from scoring.rules.sql.behind import Look, stretches_found, usage_behind
from scoring.rules.sql.booleans import extras, holds, measured, soonest
from scoring.rules.sql.facts import changed_tables, stage_table, trait_tables
from scoring.rules.sql.later import bounds
from scoring.rules.sql.metered import last_tables, limit_table
from scoring.rules.sql.outset import could
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.sequences import sequence_tables
from scoring.rules.sql.sliding import sliding_tables
from scoring.rules.sql.terms import (
    NO_DAY,
    Dialect,
    EventTypes,
    Leafy,
    Statement,
    judged,
    truth,
    window_of,
)
from scoring.rules.sql.usage import usage_tables, value_tables
from scoring.rules.sql.wide import people_table, wide_table
from scoring.rules.windows import Subject


def compile_verdicts(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (definition number, account id, user id, holds, next day), numbers being positions in `docs`.

    Level account: one row for each account where the rule holds or time alone may change it, user id 0.
    Level user: one row for each person it holds for, and rows with user id 0 that carry the account's next
    day. Rows with a negative definition number bound the next day of several definitions at once.
    """
    return _verdicts(Plan(types, as_of_day, account_ids, dialect), docs)


def compile_holders(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (definition number, account id): whom each holds for, and nothing else."""
    return _holders(Plan(types, as_of_day, account_ids, dialect, holders_only=True), docs)


def compile_people(
    doc: tree.DefinitionDoc,
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
    loners: bool = False,
) -> Statement:
    """Rows (account id, user id) for whom a rule of level user holds; with `loners` also people without an
    account, under account 0."""
    return _people(Plan(types, as_of_day, account_ids, dialect, loners=loners), doc)


def compile_measures(
    rule: tree.Node,
    *,
    subject: Subject,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int],
    dialect: Dialect,
    best: int | None = None,
) -> Statement:
    """What every condition measured: rows (account id, user id, holds, then for each leaf measured, 1/0 and extras).

    Leaves are those of `subject` in reading order; user id is 0 for accounts. The expressions are the
    verdict's own. With `best`, only so many people of each account, who qualifies and whom most conditions hold
    for first; each row then ends with the person's place, from 1.
    """
    return _measures(Plan(types, as_of_day, account_ids, dialect), rule, subject, best)


def compile_stretches(
    nodes: Sequence[tuple[Leafy, Sequence[tuple[int, int]]]],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int],
    dialect: Dialect,
) -> Statement:
    """For conditions with a window `any_days`: rows (place in `nodes`, account id, last day of the best stretch).

    Each comes with (account id, user id) for whom it is asked, one person for an account (0: the account itself).
    Of equally good stretches, the latest.
    """
    return stretches_found(Plan(types, as_of_day, account_ids, dialect), nodes)


def compile_behind(
    nodes: Sequence[tuple[Leafy, Sequence[Look]]],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int],
    dialect: Dialect,
    people: int,
    days: int,
) -> Statement:
    """The people and days behind usage conditions: rows (place in `nodes`, account id, what, id, n, newest).

    Each node comes with where to look (its own window only counts if it starts at a person's sign-up). `what` is
    0 for totals (id: different people, n: different days, newest: microseconds; no row where there is no usage),
    1 for a person (n: events; most first, at most `people`) and 2 for a day (n: events; newest first, at most
    `days`); without `people` and `days` only totals are told.
    """
    return usage_behind(Plan(types, as_of_day, account_ids, dialect), nodes, people, days)


def distinct_conditions(docs: Iterable[tree.DefinitionDoc]) -> set[tuple[Subject, Leafy]]:
    """The measurements that a statement over `docs` makes; a caller splits what would be too wide."""
    return {asked for doc in docs for asked in tree.measurements(doc.rule, subject=doc.level)}


def _asked(plan: Plan, docs: Sequence[tree.DefinitionDoc]) -> None:
    plan.only_whether = True
    for doc in docs:
        plan.register(doc.rule, doc.level)
    tables(plan)


def _verdicts(plan: Plan, docs: Sequence[tree.DefinitionDoc]) -> Statement:
    _asked(plan, docs)
    rows: list[str] = []
    for number, doc in enumerate(docs):
        if doc.level == "account":
            rows.append(
                f"SELECT {number} AS definition, account_id, 0 AS user_id, holds, next_day FROM ("
                f"SELECT account_id, {truth(holds(plan, doc.rule, 'account'))} AS holds,"
                f" {soonest(plan, doc.rule, 'account')} AS next_day FROM accts) r{number}"
                " WHERE holds = 1 OR next_day IS NOT NULL"
            )
        else:
            rule = plan.people_rules[doc.rule]
            rows.append(
                f"SELECT {number} AS definition, account_id, user_id, 1 AS holds, {NO_DAY} AS next_day"
                f" FROM people WHERE h{rule} = 1"
            )
            rows.append(
                f"SELECT {number} AS definition, account_id, 0 AS user_id, 0 AS holds, MIN(n{rule}) AS next_day"
                f" FROM people WHERE n{rule} IS NOT NULL GROUP BY account_id"
            )
    return plan.statement("\nUNION ALL ".join([*rows, *bounds(plan)]))


def _holders(plan: Plan, docs: Sequence[tree.DefinitionDoc]) -> Statement:
    _asked(plan, docs)
    rows = [
        f"SELECT {number} AS definition, account_id FROM accts WHERE {holds(plan, doc.rule, 'account')}"
        if doc.level == "account"
        else f"SELECT {number} AS definition, account_id FROM people WHERE h{plan.people_rules[doc.rule]} = 1"
        f" GROUP BY account_id HAVING COUNT(*) >= {doc.users_at_least}"
        for number, doc in enumerate(docs)
    ]
    return plan.statement("\nUNION ALL ".join(rows))


def _people(plan: Plan, doc: tree.DefinitionDoc) -> Statement:
    plan.register(doc.rule, "user")
    tables(plan)
    rule = plan.people_rules[doc.rule]
    return plan.statement(f"SELECT account_id, user_id FROM people WHERE h{rule} = 1")


def _measures(plan: Plan, rule: tree.Node, subject: Subject, best: int | None) -> Statement:
    plan.register(rule, subject)
    tables(plan)
    nodes = [leaf.node for leaf in tree.leaves(rule, subject=subject) if leaf.subject == subject]
    answers = [truth(holds(plan, node, subject)) for node in nodes]
    columns = [
        ", ".join([measured(plan, node, subject), answer, *extras(plan, node, subject)])
        for node, answer in zip(nodes, answers, strict=True)
    ]
    table, user = ("accts", "0") if subject == "account" else ("pairs", "user_id")
    answer = truth(holds(plan, rule, subject))
    keys = f"SELECT account_id, {user} AS user_id, {answer} AS holds"
    if best is None:
        return plan.statement(f"{keys}, {', '.join(columns)} FROM {table}")
    place = f"ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY {answer} DESC, {' + '.join(answers)} DESC, user_id)"
    ranked = f"{keys}, {', '.join(columns)}, {place} AS place FROM {table}"
    return plan.statement(f"SELECT * FROM ({ranked}) r WHERE place <= {int(best)} ORDER BY account_id, place")


def _who_could(plan: Plan) -> str:
    """Rows (account_id, user_id) of the people for whom a rule can hold, by what was counted of them; "": anybody."""
    if not plan.holders_only:
        return ""
    told = {
        node: (table, plan.usage_columns[node]) for (whose, node), table in plan.usage_table.items() if whose == "user"
    }
    told |= {
        node: ("slid" if isinstance(window_of(node), windows.AnyDays) else "vals", number)
        for node, number in plan.leaves["user"].items()
        if isinstance(window_of(node), windows.AnyDays) or isinstance(node, tree.Distinct)
    }
    able: dict[str, list[str]] = {}
    for rule in plan.people_rules:
        for table in dict.fromkeys(table for table, _ in told.values()):

            def counts(node: Leafy, wanted: bool, table: str = table) -> str | None:
                there, number = told.get(node, ("", 0))
                if not wanted or there != table:
                    return None
                if not isinstance(node, tree.Count | tree.Days | tree.Users | tree.Distinct):
                    return None
                return judged(f"m{number}", node.compare)

            if (some := could(rule, counts)) is not None:
                able.setdefault(table, []).append(some)
                break
        else:
            return ""
    rows = (f"SELECT account_id, user_id FROM {table} WHERE {' OR '.join(some)}" for table, some in able.items())
    return " UNION ALL ".join(rows)


def tables(plan: Plan) -> None:
    """Everything that the conditions asked so far are judged by."""
    plan.add("acct", plan.accounts())
    usage_tables(plan)
    value_tables(plan)
    sliding_tables(plan)
    if plan.people_rules:
        plan.add("members", plan.members(_who_could(plan)))
    last_tables(plan)
    limit_table(plan)
    sequence_tables(plan)
    trait_tables(plan)
    changed_tables(plan)
    stage_table(plan)
    if plan.people_rules:
        wide_table(plan, "user")
        people_table(plan)
    if plan.leaves["account"]:
        wide_table(plan, "account")
